package validate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

func TestInput_CollectsEveryMistakeInOrder(t *testing.T) {
	t.Parallel()
	var in validate.Input
	require.NoError(t, in.Err())

	require.Equal(t, "Zoë 🦷", in.RequiredText("name", "  Zoë 🦷 ", 200))
	require.NoError(t, in.Err())

	in.RequiredText("name", " \t", 200)
	in.RequiredText("title", strings.Repeat("ã", 201), 200)
	nul := "a\x00b"
	in.OptionalText("notes", &nul, 200)
	in.ID("contactId", models.KindContact, "practitioner_01h455vb4pex5vsknk084sn02q")

	var mistakes models.Invalid
	require.ErrorAs(t, in.Err(), &mistakes)
	require.Len(t, mistakes, 4)
	for i, want := range []struct {
		code  models.UserErrorCode
		field string
	}{
		{models.UserErrorCodeRequired, "name"},
		{models.UserErrorCodeTooLong, "title"},
		{models.UserErrorCodeInvalid, "notes"},
		{models.UserErrorCodeInvalid, "contactId"},
	} {
		require.Equal(t, want.code, mistakes[i].Code)
		require.Equal(t, []string{want.field}, mistakes[i].Field)
	}
}

func TestOptionalText_TakesBlankForAbsent(t *testing.T) {
	t.Parallel()
	var in validate.Input
	blank := "  "
	require.Nil(t, in.OptionalText("notes", &blank, 10))
	require.Nil(t, in.OptionalText("notes", nil, 10))
	require.NoError(t, in.Err())
}
