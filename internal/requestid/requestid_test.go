package requestid_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/taskmed/taskmed/internal/requestid"
)

func TestAccept_KeepsOnlyWhatCannotForgeALogLine(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "web-7.A_9", strings.Repeat("x", 128)} {
		assert.Equal(t, good, requestid.Accept(good))
	}
	for _, bad := range []string{"", "a b", "a\nb", "ä", `a"b`, strings.Repeat("x", 129)} {
		got := requestid.Accept(bad)
		assert.NotEqual(t, bad, got)
		assert.Len(t, got, 36)
	}
}

func TestFrom_GivesWhatWithPut(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "r1", requestid.From(requestid.With(context.Background(), "r1")))
	assert.Empty(t, requestid.From(context.Background()))
}
