package operation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/gqlserver/hostile"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
)

// Promise H2, the best of a few runs.
func TestHostileDocuments_AreRefusedUnderTenMilliseconds(t *testing.T) {
	checker := newChecker(t, operation.Limits{})
	for _, document := range hostile.Documents() {
		t.Run(document.Name, func(t *testing.T) {
			best := time.Hour
			for run := 0; run < 5 || run < 50 && best >= 10*time.Millisecond*slowness; run++ {
				var refused string
				best = min(best, cpu(func() { refused = refuse(checker, document.Text) }))
				require.NotEmpty(t, refused, "it passed")
			}
			t.Logf("%v: %s", best.Round(time.Microsecond), refuse(checker, document.Text))
			assert.Less(t, best, 10*time.Millisecond*slowness)
		})
	}
}

// refuse returns the first fault.
func refuse(checker *operation.Checker, text string) string {
	document, faults := checker.Document(text)
	if len(faults) > 0 {
		return faults[0].Message
	}
	op, fault := document.Operation("")
	if fault != nil {
		return fault.Message
	}
	variables, faults := checker.Variables(op, nil)
	if len(faults) > 0 {
		return faults[0].Message
	}
	if verdict := checker.Admit(op, variables, "OWNER"); len(verdict.Faults) > 0 {
		return verdict.Faults[0].Message
	}
	return ""
}
