package conform

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// question is an operation with its variables.
type question struct {
	text      string
	variables map[string]any
}

// path is a field that shows a noun's entities, with the parent below which it is
// asked for; node, which shows all kinds, is one, too.
type path struct {
	entity.Shown

	field *ast.FieldDefinition
	// target is the object type that is shown.
	target string
	// parentKind is what the field is of; "" for Query.
	parentKind models.Kind
}

func (p path) name() string { return p.Object + "." + p.Field }

// paths are all fields that show an object type. Those below what has no global id
// are left out: nothing leads there but a resolver written by hand.
func (s *Suite) paths(object string) []path {
	var all []path
	for _, shown := range s.registry.Shown(object) {
		p := path{Shown: shown, target: object}
		p.field = s.schema.Types[shown.Object].Fields.ForName(shown.Field)
		if shown.Object != s.schema.Query.Name {
			for _, described := range s.registry.Nouns() {
				if described.Object == shown.Object {
					p.parentKind = described.Kind
				}
			}
			if p.parentKind == "" || !s.isNode(shown.Object) {
				continue
			}
		}
		all = append(all, p)
	}
	return all
}

func (s *Suite) isNode(object string) bool {
	return slices.Contains(s.schema.Types[object].Interfaces, "Node")
}

// question asks for a selection of what a path shows, below a parent and with arguments.
func (p path) question(parent string, args map[string]any, selection string) question {
	q := question{variables: map[string]any{}}
	var declared, passed []string
	for _, name := range slices.Sorted(maps.Keys(args)) {
		declared = append(declared, "$"+name+": "+p.field.Arguments.ForName(name).Type.String())
		passed = append(passed, name+": $"+name)
		q.variables[name] = args[name]
	}
	body := "got: " + p.Field
	if len(passed) > 0 {
		body += "(" + strings.Join(passed, ", ") + ")"
	}
	body += " { " + selection + " }"
	if p.parentKind != "" {
		declared = append(declared, "$parent: ID!")
		q.variables["parent"] = parent
		body = "at: node(id: $parent) { ... on " + p.Object + " { " + body + " } }"
	}
	q.text = "{ " + body + " }"
	if len(declared) > 0 {
		q.text = "query (" + strings.Join(declared, ", ") + ") " + q.text
	}
	return q
}

// around puts the selection of an entity where a path shows it.
func (p path) around(selection string) string {
	if p.How == entity.Paged {
		return "nodes { " + selection + " } edges { cursor node { " + selection + " } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
	}
	return selection
}

// got reads what a path showed: the entities, and the value as a whole.
func (p path) got(t testing.TB, answer *api.Response) (entities []map[string]any, whole map[string]any) {
	t.Helper()
	var data struct {
		At  *struct{ Got json.RawMessage }
		Got json.RawMessage
	}
	require.NoError(t, json.Unmarshal(answer.Data, &data), "%s", answer.Body)
	raw := data.Got
	if p.parentKind != "" && data.At != nil {
		raw = data.At.Got
	}
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if p.How == entity.Whole {
		require.NoError(t, json.Unmarshal(raw, &entities))
		return entities, nil
	}
	require.NoError(t, json.Unmarshal(raw, &whole))
	if p.How != entity.Paged {
		return []map[string]any{whole}, whole
	}
	nodes, _ := whole["nodes"].([]any)
	for _, node := range nodes {
		if object, ok := node.(map[string]any); ok {
			entities = append(entities, object)
		}
	}
	return entities, whole
}

// node is the question for an entity by its global id.
func (s *Suite) node(object, id, selection string) question {
	return question{"query ($id: ID!) { got: node(id: $id) { ... on " + object + " { " + selection + " } } }", map[string]any{"id": id}}
}

// parents are keys below which a path shows something, the fullest first.
func (s *Suite) parents(t testing.TB, p path, clinic *testkit.Clinic, most int) []uuid.UUID {
	t.Helper()
	of := s.described(t, p.target)
	switch {
	case p.parentKind == "":
		return []uuid.UUID{uuid.Nil}
	case p.Through != nil:
		return s.ids(t, fmt.Sprintf("SELECT %s FROM %s WHERE clinic_id = $1 GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT %d",
			p.Through.Parent, p.Through.Table, most), clinic.ID)
	case p.Finder != "":
		at := s.described(t, p.Object)
		s.exec(t, "SELECT set_config('app.clinic', $1, false)", clinic.ID.String())
		defer s.exec(t, "SELECT set_config('app.clinic', $1, false)", s.own.ID.String())
		return s.ids(t, fmt.Sprintf("SELECT id FROM %[1]s WHERE clinic_id = $1 AND EXISTS (SELECT FROM %[2]s(%[1]s.id)) ORDER BY id LIMIT %[3]d",
			at.Table, p.Finder, most), clinic.ID)
	case p.parentKind == models.KindClinic && p.Parent == "":
		return []uuid.UUID{clinic.ID}
	case p.Parent != "":
		return s.ids(t, fmt.Sprintf("SELECT %[1]s FROM %[2]s WHERE %[3]s = $1 AND %[1]s IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT %[4]d",
			p.Parent, of.Table, tenantColumn(of.Table), most), clinic.ID)
	default: // the parent points at it
		at := s.described(t, p.Object)
		return s.ids(t, fmt.Sprintf("SELECT id FROM %s WHERE %s = $1 AND %s IS NOT NULL ORDER BY id LIMIT %d",
			at.Table, tenantColumn(at.Table), p.Key, most), clinic.ID)
	}
}

// parent is the global id of the first of parents.
func (s *Suite) parent(t testing.TB, p path, clinic *testkit.Clinic) string {
	t.Helper()
	if p.parentKind == "" {
		return ""
	}
	parents := s.parents(t, p, clinic, 1)
	require.NotEmpty(t, parents, "nothing is furnished below %s: have the seeder make some", p.name())
	return p.parentKind.Global(parents[0])
}

// some is the id of an entity that a clinic has.
func (s *Suite) some(t testing.TB, of entity.Described, clinic *testkit.Clinic) uuid.UUID {
	t.Helper()
	found := s.ids(t, fmt.Sprintf("SELECT id FROM %s WHERE %s = $1 ORDER BY id LIMIT 1", of.Table, tenantColumn(of.Table)), clinic.ID)
	require.NotEmpty(t, found, "no row of %s is furnished: have the seeder make some", of.Table)
	return found[0]
}
