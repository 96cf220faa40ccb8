package records_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/models"
)

// value draws a JSON value that jsonb can hold.
func value(t *rapid.T, depth int) any {
	kinds := 6
	if depth == 0 {
		kinds = 4
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return strings.ReplaceAll(rapid.String().Draw(t, "text"), "\x00", "")
	case 3:
		return json.Number(rapid.StringMatching(`-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "number"))
	case 4:
		list := make([]any, rapid.IntRange(0, 4).Draw(t, "length"))
		for i := range list {
			list[i] = value(t, depth-1)
		}
		return list
	}
	object := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "fields") {
		object[strings.ReplaceAll(rapid.String().Draw(t, "key"), "\x00", "")] = value(t, depth-1)
	}
	return object
}

// What jsonb makes of a value has the same digest and the size that is checked.
func TestData_SurvivesJsonb(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	rapid.Check(t, func(rt *rapid.T) {
		text, err := json.Marshal(value(rt, 3))
		require.NoError(rt, err)
		canonical := records.CanonicalJSON(rt, text)
		for _, sent := range []string{string(text), canonical} {
			stored, err := database.Value[string](w.ctx(), w.DB, "SELECT $1::text::jsonb::text", sent)
			require.NoError(rt, err)
			require.Equal(rt, canonical, records.CanonicalJSON(rt, []byte(stored)), stored)
			if sent == canonical {
				require.Equal(rt, len(stored), records.StoredSize(rt, text), stored)
			}
		}
	})
}

func TestData_IsBoundAsItIsStored(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	text := func(bytes int) string { return `"` + strings.Repeat("x", bytes-2) + `"` }
	for name, attempt := range map[string]struct{ data, want string }{
		"as much as there may be":       {text(256 << 10), ""},
		"one byte more":                 {text(256<<10 + 1), "TOO_LONG data"},
		"blanks that jsonb adds":        {"[" + strings.Repeat("1,", 100_000) + "1]", "TOO_LONG data"},
		"numbers that jsonb writes out": {"[" + strings.Repeat("1e400,", 1000) + "1]", "TOO_LONG data"},
		"a number beyond measure":       {"1e99999999999", "INVALID data"},
		"a number too fine":             {"-1e-2000", "INVALID data"},
		"many levels":                   {strings.Repeat("[", 99) + strings.Repeat("]", 99), ""},
		"too many levels":               {strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "INVALID data"},
		"a NUL in a key":                {`{"a\u0000":1}`, "INVALID data"},
		"half a surrogate pair":         {`"\ud800"`, ""},
		"two values":                    {`1 2`, "INVALID data"},
	} {
		input := w.draft(0)
		input.Data = models.JSON(attempt.data)
		record, err := w.chart.Create(w.ctx(), input)
		if attempt.want == "" {
			require.NoError(t, err, name)
			require.NotEmpty(t, record.Data, name)
			continue
		}
		require.Equal(t, []string{attempt.want}, mistakes(t, err), name)
	}
	require.Equal(t, 3, w.count(t))
}

// A signed record is verified from what Postgres gives back, whatever was sent.
func TestSign_OfAnyDataCanBeVerified(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	random := rapid.Custom(func(rt *rapid.T) string {
		text, err := json.Marshal(value(rt, 2))
		require.NoError(rt, err)
		return string(text)
	})
	for seed := range 20 {
		sent := random.Example(seed)
		signed := w.sign(t, w.create(t, func(in *models.CreateMedicalRecordInput) {
			in.Title, in.Data = fmt.Sprint("n. ", seed), models.JSON(sent)
		}))
		stored, err := database.Rows[models.MedicalRecord](w.ctx(), w.DB, "SELECT * FROM medical_records WHERE id = $1", signed.ID)
		require.NoError(t, err)
		require.Equal(t, *stored[0].Digest, records.Digest(stored[0]), sent)
	}
}
