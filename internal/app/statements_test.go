package app_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
)

// TestStatements_DoNotGrowWithThePages walks the schema to every chain of lists,
// three levels deep, asks for pages of 1 and of several at every level, with all
// relations to one beside them, and counts statements (promise P4). Each level
// may take one for its entities and one for their number.
func TestStatements_DoNotGrowWithThePages(t *testing.T) {
	t.Parallel()
	world := newSeeded(t, roomy, api.WithoutCache())
	owner := world.as(t, world.aurora, "owner")
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	contact := firstContact(t, world)

	for _, kind := range []struct {
		name, shape string
		// batches is into how many a level's statement may fall apart: the
		// look-ahead needs one, a loader that waits a millisecond on a busy
		// machine a few more, but never one per entity.
		batches int64
		size    int
	}{
		{"nodes", "nodes { %s }", 1, 10},
		{"edges", "edges { cursor node { %s } }", 1, 10},
		{"both, by loaders", "nodes { %[1]s } edges { node { %[1]s } }", 4, 5},
	} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			w := walker{schema: schema, shape: kind.shape, contact: contact}
			queries := w.under("clinic", "Clinic", 3)
			for _, field := range schema.Query.Fields {
				queries = append(queries, w.chains(field, 3)...)
			}
			require.Greater(t, len(queries), 15, "the walk found the schema's lists")
			grown := 0
			for _, query := range queries {
				small := owner.Must(t, strings.ReplaceAll("{ "+query+" }", "$n", "1"), nil, nil)
				large := owner.Must(t, strings.ReplaceAll("{ "+query+" }", "$n", fmt.Sprint(kind.size)), nil, nil)
				most := levels(query) * kind.batches
				require.LessOrEqual(t, small.Extensions.TaskMed.Statements, most, query)
				require.LessOrEqual(t, large.Extensions.TaskMed.Statements, most, query)
				require.Positive(t, small.Extensions.TaskMed.Statements)
				if len(large.Body) > len(small.Body) {
					grown++
				}
			}
			// Pages that did not grow would show nothing.
			require.Greater(t, grown, len(queries)/2)
			t.Logf("%d queries, %d of them with larger answers for larger pages", len(queries), grown)
		})
	}
}

// levels counts what a query may spend a statement on: every selection set that
// is not a connection's own parts, and every total.
func levels(query string) int64 {
	sets := strings.Count(query, "{") - strings.Count(query, "nodes {") - strings.Count(query, "edges {") -
		strings.Count(query, "node {") - strings.Count(query, "pageInfo {") - strings.Count(query, "price {") -
		strings.Count(query, "range: {")
	// What a change is of takes a statement for each kind that it may be.
	const kinds = 8
	return int64(sets + strings.Count(query, "totalCount") + strings.Count(query, "entity {")*(kinds-1))
}

// roomy lifts the limits that three levels of 20 would reach.
func roomy(settings *config.Config, _ *app.Options) {
	settings.CostLimit, settings.DepthLimit = 10_000_000, 40
}

func firstContact(t *testing.T, world *seeded) string {
	t.Helper()
	var answer struct {
		Contacts struct{ Nodes []struct{ ID string } }
	}
	world.as(t, world.aurora, "owner").Must(t, `{ contacts(first: 1) { nodes { id } } }`, nil, &answer)
	return answer.Contacts.Nodes[0].ID
}

// walker writes queries from the schema.
type walker struct {
	schema *ast.Schema
	// shape is how a connection's entities are selected.
	shape   string
	contact string
}

// chains are the queries that begin with a list field and go levels deep.
func (w walker) chains(field *ast.FieldDefinition, levels int) []string {
	node := w.node(field)
	if node == nil {
		return nil
	}
	inner := []string{w.leaves(node, true)}
	if levels > 1 {
		for _, below := range node.Fields {
			for _, chain := range w.chains(below, levels-1) {
				inner = append(inner, w.leaves(node, true)+" "+chain)
			}
		}
	}
	queries := make([]string, len(inner))
	for i, selected := range inner {
		queries[i] = field.Name + w.arguments(field) + " { pageInfo { hasNextPage } totalCount " + fmt.Sprintf(w.shape, selected) + " }"
	}
	return queries
}

// under are the chains below a field that gives one object.
func (w walker) under(field, typeName string, levels int) []string {
	var queries []string
	for _, below := range w.schema.Types[typeName].Fields {
		for _, chain := range w.chains(below, levels) {
			queries = append(queries, field+" { "+chain+" }")
		}
	}
	return queries
}

// node is the type of a connection's entities, nil for a field that is no connection.
func (w walker) node(field *ast.FieldDefinition) *ast.Definition {
	name, connection := strings.CutSuffix(field.Type.Name(), "Connection")
	if !connection {
		return nil
	}
	return w.schema.Types[name]
}

// leaves are a type's fields without arguments: scalars and, once, what its
// relations to one show.
func (w walker) leaves(of *ast.Definition, relations bool) string {
	var selected []string
	for _, field := range of.Fields {
		target := w.schema.Types[field.Type.Name()]
		switch {
		case strings.HasPrefix(field.Name, "__") || field.Arguments.ForName("range") != nil || w.node(field) != nil:
		case target.IsLeafType():
			selected = append(selected, field.Name)
		case relations:
			selected = append(selected, field.Name+" { "+w.leaves(target, false)+" }")
		}
	}
	return strings.Join(selected, " ")
}

func (w walker) arguments(field *ast.FieldDefinition) string {
	given := []string{"first: $n"}
	for _, argument := range field.Arguments {
		if !argument.Type.NonNull {
			continue
		}
		switch argument.Name {
		case "range":
			given = append(given, `range: {from: "2026-01-01T00:00:00Z", to: "2026-12-31T00:00:00Z"}`)
		case "contactId":
			given = append(given, fmt.Sprintf("contactId: %q", w.contact))
		case "query":
			given = append(given, `query: "maria"`)
		}
	}
	return "(" + strings.Join(given, ", ") + ")"
}

// TestStatements_OfTheReferenceQueries pins what the three queries that clinics
// send most cost in statements and in round trips to Postgres. The clinics take
// turns, so that connections have to be given another clinic; that takes none.
func TestStatements_OfTheReferenceQueries(t *testing.T) {
	t.Parallel()
	world := newSeeded(t, api.WithoutCache())
	for range 5 {
		for _, clinic := range []*testkit.Clinic{world.aurora, world.horizonte} {
			for _, query := range []struct {
				name       string
				statements int64
				roundTrips int64
			}{{"day_view", 1, 1}, {"contact_page", 3, 1}, {"contact_list", 1, 1}} {
				text, variables := readQuery(t, query.name)
				variables = bytes.ReplaceAll(variables, []byte("{{patient}}"), []byte(busiestPatient(t, world)))
				answer := world.as(t, clinic, "owner").Must(t, text, variables, nil)
				seen := answer.Extensions.TaskMed
				if clinic == world.aurora {
					require.Equal(t, query.statements, seen.Statements, query.name)
				}
				require.LessOrEqual(t, seen.RoundTrips, query.roundTrips, query.name)
			}
		}
	}
}

// What one statement reads beside its rows is what each place would be given by itself:
// several places of one relation, what hangs below each, and one more place than a
// statement takes.
func TestStatements_ReadTheFirstOfListsBesideTheirRows(t *testing.T) {
	t.Parallel()
	world := newSeeded(t, api.WithoutCache())
	client := world.as(t, world.aurora, "owner")
	places := []string{
		"nextAppointment { id }", "nextAppointment { startsAt practitioner { name } contact { name } }", "lastAppointment { id service { name } invoice { id number } }",
		"nextAppointment { practitioner { id } contact { nextAppointment { id } } }", "lastAppointment { startsAt }",
	}
	ask := func(places ...string) (nodes []map[string]any, statements int64) {
		var selected strings.Builder
		for i, place := range places {
			fmt.Fprintf(&selected, " p%d: %s", i, place)
		}
		var answer struct {
			Contacts struct{ Nodes []map[string]any }
		}
		seen := client.Must(t, "{ contacts(first: 40) { nodes { id"+selected.String()+" } } }", nil, &answer).Extensions.TaskMed
		return answer.Contacts.Nodes, seen.Statements
	}
	all, statements := ask(places...)
	require.EqualValues(t, 3, statements, "four beside the contacts, the fifth by itself, and what the fourth shows of its contact")
	require.Len(t, all, 40)
	some := 0
	for i, place := range places {
		alone, _ := ask(place)
		for row, node := range alone {
			require.Equal(t, node["p0"], all[row]["p"+strconv.Itoa(i)], place)
			if node["p0"] != nil {
				some++
			}
		}
	}
	require.Greater(t, some, len(places)*10, "few contacts have appointments")
	require.Less(t, some, len(places)*40, "all have: what is not there is not tried")
	// Beside rows that nothing could be is nothing.
	var none struct {
		Conversations, Contacts struct{ Nodes []any }
	}
	client.Must(t, `{ conversations(status: []) { nodes { lastMessage { id conversation { id } } } }
		contacts(filter: {status: []}) { nodes { nextAppointment { id practitioner { id } } } } }`, nil, &none)
	require.Empty(t, none.Conversations.Nodes)
	require.Empty(t, none.Contacts.Nodes)
}
