package conform

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// leaf is what an answer ends with, and where it comes from.
type leaf struct {
	// keys lead to it: "number", or "total", "amountMinor".
	keys    []string
	of      *ast.Definition
	columns []string
	// kind is set where it is the global id of what a column holds the id of.
	kind models.Kind
}

func (l leaf) String() string { return strings.Join(l.keys, ".") }

// leafList are a noun's leaves: its own fields, those of the parts that its Go
// value holds, and the ids of what it points at.
func (s *Suite) leafList(object string) []leaf {
	var all []leaf
	for _, field := range s.schema.Types[object].Fields {
		result := s.schema.Types[field.Type.Name()]
		known := s.table.Named(object).Fields[field.Name]
		kind, column := s.registry.PointsAt(object, field.Name)
		switch {
		case known == nil:
		case kind != "" && s.isNode(result.Name):
			all = append(all, leaf{[]string{field.Name, "id"}, result, []string{column}, kind})
		case field.Name == "id" && s.kind(object) != "":
			all = append(all, leaf{[]string{"id"}, result, []string{"id"}, s.kind(object)})
		case known.Leaf != nil && field.Type.Name() == "ID":
			all = append(all, leaf{[]string{field.Name}, result, s.registry.MadeOf(object, field.Name), s.kindCalled(strings.TrimSuffix(field.Name, "Id"))})
		case known.Leaf != nil:
			all = append(all, leaf{[]string{field.Name}, result, s.registry.MadeOf(object, field.Name), ""})
		case known.Part != nil:
			for _, part := range result.Fields {
				if s.schema.Types[part.Type.Name()].Kind == ast.Object {
					continue // a part of a part: for the noun's own test
				}
				all = append(all, leaf{[]string{field.Name, part.Name}, s.schema.Types[part.Type.Name()], partOf(s.registry.MadeOf(object, field.Name), part.Name), ""})
			}
		}
	}
	return all
}

// kind is that of an object type's global ids; "" where it has none.
func (s *Suite) kind(object string) models.Kind {
	for _, described := range s.registry.Nouns() {
		if described.Object == object {
			return described.Kind
		}
	}
	return ""
}

// partOf are the columns that a part's leaf can be made of: of an amount those in
// minor units, or the column that is called like it.
func partOf(columns []string, leaf string) (made []string) {
	for _, column := range columns {
		if column == columnFor(leaf) || strings.HasSuffix(leaf, "Minor") && strings.HasSuffix(column, "_minor") {
			made = append(made, column)
		}
	}
	return made
}

// leaves is the selection of all leaves.
func (s *Suite) leaves(object string) string {
	var b strings.Builder
	for _, l := range s.leafList(object) {
		b.WriteString(" " + l.keys[0])
		if len(l.keys) > 1 {
			b.WriteString(" { " + l.keys[1] + " }")
		}
	}
	return b.String()
}

// computed are the leaves that are made of one column and do not say what it says,
// and why.
func computed() map[string]string {
	return map[string]string{
		"Appointment.nextSteps": "made of the status and of the asker's role: TestNextSteps_AreWhatTheMutationsAllow",
	}
}

// Leaves compares what every path shows with the table's rows: each leaf that is
// made of one column says what the column says. An enum's words stand one for one.
// What is computed of several columns is for the noun's own test.
func (s *Suite) Leaves(t testing.TB, object string) (faults []string) {
	t.Helper()
	of := s.described(t, object)
	all := s.leafList(object)
	words := map[string]string{}
	compared := 0
	compare := func(place string, shown, row map[string]any) {
		for _, l := range all {
			if len(l.columns) != 1 || computed()[object+"."+l.String()] != "" {
				continue
			}
			compared++
			got, want := at(shown, l.keys), row[l.columns[0]]
			if !s.says(l, got, want, words) {
				faults = append(faults, fmt.Sprintf("%s: %s.%s is %v, and the column %s holds %v", place, object, l, got, l.columns[0], want))
			}
		}
	}
	selection := s.leaves(object)
	paths := s.paths(object)
	for _, p := range paths {
		parents := s.parents(t, p, s.own, 3)
		if len(parents) == 0 {
			faults = append(faults, "nothing is furnished below "+p.name()+": have the seeder make some")
		}
		for _, parent := range parents {
			id := ""
			if p.parentKind != "" {
				id = p.parentKind.Global(parent)
			}
			answer := s.ask(t, models.RoleOwner, p.question(id, s.needed(t, p, s.own), p.around(selection)))
			if len(answer.Errors) > 0 {
				faults = append(faults, fmt.Sprintf("%s: %s", p.name(), answer.Body))
				continue
			}
			entities, whole := p.got(t, answer)
			rows := s.rows(t, of, p, parent, entities)
			if len(rows) != len(entities) {
				faults = append(faults, fmt.Sprintf("%s: %d entities are shown and SQL finds %d", p.name(), len(entities), len(rows)))
				continue
			}
			for i, shown := range entities {
				compare(p.name(), shown, rows[i])
			}
			faults = append(faults, edgesAreNodes(p, whole)...)
		}
	}
	if s.isNode(object) {
		id := s.some(t, of, s.own)
		var data struct{ Got map[string]any }
		require.NoError(t, json.Unmarshal(s.ask(t, models.RoleOwner, s.node(object, of.Kind.Global(id), selection)).Data, &data))
		compare("node", data.Got, s.row(t, of, id))
	}
	if compared == 0 && len(paths) > 0 {
		faults = append(faults, object+": no leaf was compared with any column")
	}
	return faults
}

// edgesAreNodes: a page's edges hold its nodes, leaf by leaf.
func edgesAreNodes(p path, whole map[string]any) []string {
	if p.How != entity.Paged {
		return nil
	}
	nodes, _ := whole["nodes"].([]any)
	edges, _ := whole["edges"].([]any)
	if len(nodes) != len(edges) {
		return []string{fmt.Sprintf("%s: a page of %d nodes has %d edges", p.name(), len(nodes), len(edges))}
	}
	for i, edge := range edges {
		if of, _ := edge.(map[string]any); !reflect.DeepEqual(of["node"], nodes[i]) {
			return []string{fmt.Sprintf("%s: edge %d is not node %d", p.name(), i, i)}
		}
	}
	return nil
}

// rows are those of shown entities, in their order: by their ids, or, of what has
// none, by the parent and the declared order.
func (s *Suite) rows(t testing.TB, of entity.Described, p path, parent uuid.UUID, shown []map[string]any) []map[string]any {
	t.Helper()
	if of.Kind == "" {
		order := strings.Join(append(strings.Split(p.Order, ","), "id"), ", ")
		return s.query(t, fmt.Sprintf("SELECT to_jsonb(r) FROM %s r WHERE clinic_id = $1 AND %s = $2 ORDER BY %s", of.Table, p.Parent, order), s.own.ID, parent)
	}
	rows := make([]map[string]any, 0, len(shown))
	for _, one := range shown {
		global, _ := one["id"].(string)
		id, err := of.Kind.Parse(global)
		require.NoError(t, err, global)
		rows = append(rows, s.row(t, of, id))
	}
	return rows
}

func (s *Suite) row(t testing.TB, of entity.Described, id uuid.UUID) map[string]any {
	t.Helper()
	rows := s.query(t, fmt.Sprintf("SELECT to_jsonb(r) FROM %s r WHERE %s = $1 AND id = $2", of.Table, tenantColumn(of.Table)), s.own.ID, id)
	require.Len(t, rows, 1, of.Table)
	return rows[0]
}

func (s *Suite) query(t testing.TB, sql string, args ...any) []map[string]any {
	t.Helper()
	found, err := s.psql.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	rows, err := pgx.CollectRows(found, pgx.RowTo[map[string]any])
	require.NoError(t, err, sql)
	return rows
}

func at(value map[string]any, keys []string) any {
	var here any = value
	for _, key := range keys {
		object, ok := here.(map[string]any)
		if !ok {
			return nil
		}
		here = object[key]
	}
	return here
}

// says tells whether a leaf says what a column does. words keeps what an enum's
// values and the stored words stood for so far.
func (s *Suite) says(l leaf, got, want any, words map[string]string) bool {
	if list, ok := got.([]any); ok && len(list) == 0 && want == nil {
		return true // a list is never null
	}
	if got == nil || want == nil {
		return got == nil && want == nil
	}
	switch {
	case l.kind != "":
		id, err := l.kind.Parse(fmt.Sprint(got))
		return err == nil && id.String() == want
	case l.of.Kind == ast.Enum:
		there, back := fmt.Sprintf("%s %v", l, got), fmt.Sprintf("%s = %v", l, want)
		if words[there] == "" && words[back] == "" {
			words[there], words[back] = fmt.Sprint(want), fmt.Sprint(got)
		}
		return words[there] == fmt.Sprint(want) && words[back] == fmt.Sprint(got)
	case l.of.Name == "DateTime":
		a, err := time.Parse(time.RFC3339Nano, fmt.Sprint(got))
		b, errOfColumn := time.Parse(time.RFC3339Nano, fmt.Sprint(want))
		return err == nil && errOfColumn == nil && a.Equal(b)
	}
	return reflect.DeepEqual(got, want)
}
