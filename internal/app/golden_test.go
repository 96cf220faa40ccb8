package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

var update = flag.Bool("update", false, "write the golden answers anew") //nolint:gochecknoglobals // a test flag

// TestQueries runs every testdata/*.graphql with the variables beside it as the
// role that its first line names ("# as receptionist") and compares the whole
// answer, and the number of SQL statements, with the golden one.
func TestQueries(t *testing.T) {
	t.Parallel()
	world := newSeeded(t, api.WithoutCache())
	values := map[string]string{"patient": busiestPatient(t, world), "cursor": contactCursor(t, world)}
	queries, err := filepath.Glob("testdata/*.graphql")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(queries), 10)
	for _, file := range queries {
		name := strings.TrimSuffix(filepath.Base(file), ".graphql")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			query, variables := readQuery(t, name)
			for name, value := range values {
				variables = bytes.ReplaceAll(variables, []byte("{{"+name+"}}"), []byte(value))
			}
			role, named := strings.CutPrefix(strings.SplitN(query, "\n", 2)[0], "# as ")
			require.True(t, named, "the first line says as whom the query runs")
			asker, golden := world.as(t, world.aurora, strings.TrimSpace(role)), strings.TrimSuffix(file, ".graphql")+".golden.json"
			answer := asker.Do(t, query, variables)
			// A loader that collects keys for a millisecond may need two statements on a busy machine.
			for n := 0; n < 10 && answer.Extensions.TaskMed.Statements > statementsIn(t, golden); n++ {
				answer = asker.Do(t, query, variables)
			}
			compareGolden(t, golden, answer)
		})
	}
}

// busiestPatient is the contact with the most medical records.
func busiestPatient(t testing.TB, world *seeded) string {
	t.Helper()
	patients := rows(t, world, `SELECT contact_id FROM medical_records WHERE clinic_id = $1
		GROUP BY contact_id ORDER BY count(*) DESC, contact_id LIMIT 1`, pgx.RowTo[uuid.UUID], world.aurora.ID)
	require.Len(t, patients, 1)
	return models.KindContact.Global(patients[0])
}

// contactCursor is a cursor of the contacts by name.
func contactCursor(t *testing.T, world *seeded) string {
	t.Helper()
	var answer struct {
		Contacts struct{ PageInfo struct{ EndCursor string } }
	}
	world.as(t, world.aurora, "owner").Must(t, `{ contacts(first: 1) { pageInfo { endCursor } } }`, nil, &answer)
	return answer.Contacts.PageInfo.EndCursor
}

// readQuery reads a query of testdata and the variables beside it, if any.
func readQuery(t testing.TB, name string) (query string, variables json.RawMessage) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".graphql"))
	require.NoError(t, err)
	variables, err = os.ReadFile(filepath.Join("testdata", name+".variables.json"))
	if errors.Is(err, fs.ErrNotExist) {
		variables, err = json.RawMessage("{}"), nil
	}
	require.NoError(t, err)
	return string(text), variables
}

// statementsIn is how many statements a golden answer took; 0 if there is none yet.
func statementsIn(t *testing.T, file string) int64 {
	t.Helper()
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	require.NoError(t, err)
	var golden struct{ Statements int64 }
	require.NoError(t, json.Unmarshal(text, &golden))
	return golden.Statements
}

func compareGolden(t *testing.T, file string, answer *api.Response) {
	t.Helper()
	golden, err := json.Marshal(map[string]any{
		"data": answer.Data, "errors": answer.Errors, "status": answer.Status,
		"statements": answer.Extensions.TaskMed.Statements,
	})
	require.NoError(t, err)
	var text bytes.Buffer
	require.NoError(t, json.Indent(&text, golden, "", "  "))
	text.WriteByte('\n')
	if *update {
		require.NoError(t, os.WriteFile(file, text.Bytes(), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "no golden answer; write it with -update and read it")
	require.Equal(t, string(want), text.String())
}
