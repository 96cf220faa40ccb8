package rehearsal_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/rehearsal"
)

const schema = `
	scalar DateTime
	scalar Date
	enum Status { ACTIVE LEAD }
	input Range { from: DateTime! to: DateTime! }
	input Filter { status: [Status!] range: Range contactId: ID practitionerId: ID size: Int = 3 and: Filter }
	input Change { id: ID! name: String! email: String birthDate: Date expectedVersion: Int guardianId: ID practitionerId: ID }
	type Contact { id: ID! appointments(range: Range, first: Int, last: Int): [Contact!]! }
	type ChangePayload { contact: Contact }
	type Query { contact(id: ID!): Contact contacts(filter: Filter, first: Int, after: String, last: Int): [Contact!]! nodes(ids: [ID!]!): [Contact] }
	type Mutation { changeContact(input: Change!): ChangePayload! }`

func filled(t *testing.T, operation string, all bool) map[string]any {
	t.Helper()
	loaded, err := gqlparser.LoadSchema(&ast.Source{Input: schema})
	require.NoError(t, err)
	document, faults := gqlparser.LoadQueryWithRules(loaded, operation, nil)
	require.Empty(t, faults)
	filler := rehearsal.Filler{
		Schema: loaded, IDs: map[string]string{"Contact": "contact_1", "Practitioner": "practitioner_1"},
		Now: time.Date(2026, time.November, 22, 15, 4, 5, 0, time.UTC),
	}
	return filler.Variables(document, document.Operations[0], all)
}

func TestVariables_AreThoseThatAFieldTakes(t *testing.T) {
	t.Parallel()
	const list = `query($filter: Filter, $first: Int, $after: String, $last: Int, $range: Range!) {
		contacts(filter: $filter, first: $first, after: $after, last: $last) { ...c } } fragment c on Contact { appointments(range: $range) { id } }`
	day := map[string]any{"from": "2026-11-22T00:00:00Z", "to": "2026-11-23T00:00:00Z"}
	require.Equal(t, map[string]any{"range": day}, filled(t, list, false), "nothing that may be left out")
	all := filled(t, list, true)
	require.Equal(t, map[string]any{"range": day, "first": 10, "filter": all["filter"]}, all, "a page goes forward from the first")
	filter, ok := all["filter"].(map[string]any)
	require.True(t, ok)
	require.Equal(t, []any{"ACTIVE"}, filter["status"])
	require.Equal(t, "contact_1", filter["contactId"])
	require.Equal(t, "practitioner_1", filter["practitionerId"])
	require.Contains(t, filter["and"], "and", "filters within filters")
	require.NotContains(t, filter, "size", "its default is right")

	const change = `mutation($input: Change!) { changeContact(input: $input) { contact { id } } }`
	require.Equal(t, map[string]any{"id": "contact_1", "name": "maria silva"}, filled(t, change, false)["input"])
	require.Equal(t, map[string]any{"id": "contact_1", "name": "maria silva", "email": "maria@example.com", "birthDate": "1980-05-17", "practitionerId": "practitioner_1"}, filled(t, change, true)["input"],
		"another contact is left out")
	require.Equal(t, map[string]any{"x": "contact_1"}, filled(t, `query($x: ID!) { contact(id: $x) { id } }`, false))
}

func TestRecorder_KeepsWhatReadsOrWrites(t *testing.T) {
	t.Parallel()
	var recorder rehearsal.Recorder
	for _, sql := range []string{"begin", "SELECT 2", "SELECT 1", "SELECT 1", "SELECT set_config('app.clinic', $1, false)", "  insert into x values ($1)", "commit"} {
		recorder.TraceQueryStart(t.Context(), nil, pgx.TraceQueryStartData{SQL: sql})
	}
	require.Equal(t, []string{"  insert into x values ($1)", "SELECT 1", "SELECT 2"}, recorder.Statements())
}
