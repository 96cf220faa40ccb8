package conform

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// slicing are the arguments of pages.
func slicing(name string) bool {
	return name == "first" || name == "last" || name == "after" || name == "before"
}

// argument is a place in a field's arguments: an argument's, or one in an input
// object that is one.
type argument struct {
	// within is the argument whose input object has it; "" for an argument itself.
	within, name string
	of           *ast.Type
}

func (a argument) String() string {
	if a.within != "" {
		return a.within + "." + a.name
	}
	return a.name
}

// put sets the argument among others.
func (a argument) put(args map[string]any, value any) map[string]any {
	args = maps.Clone(args)
	if args == nil {
		args = map[string]any{}
	}
	if a.within == "" {
		args[a.name] = value
		return args
	}
	object, _ := args[a.within].(map[string]any)
	object = maps.Clone(object)
	if object == nil {
		object = map[string]any{}
	}
	object[a.name] = value
	args[a.within] = object
	return args
}

// arguments are all places of a field's arguments, pages' apart; an order is one place.
func (s *Suite) arguments(field *ast.FieldDefinition) []argument {
	var all []argument
	for _, definition := range field.Arguments {
		target := s.schema.Types[definition.Type.Name()]
		switch {
		case slicing(definition.Name):
		case target.Kind == ast.InputObject && !isRange(target) && !isOrder(target):
			for _, inner := range target.Fields {
				all = append(all, argument{definition.Name, inner.Name, inner.Type})
			}
		default:
			all = append(all, argument{"", definition.Name, definition.Type})
		}
	}
	return all
}

func isRange(target *ast.Definition) bool { return strings.HasSuffix(target.Name, "Range") }

func isOrder(target *ast.Definition) bool {
	return target.Fields.ForName("field") != nil && target.Fields.ForName("direction") != nil
}

// kindNamed is the kind that an argument's name and its field speak of.
func (s *Suite) kindNamed(t testing.TB, p path, name string) models.Kind {
	t.Helper()
	word := strings.TrimSuffix(strings.TrimSuffix(name, "s"), "Id")
	if name == "id" {
		word = p.target
	}
	if kind := s.kindCalled(word); kind != "" {
		return kind
	}
	// xId is also of whom the entity's own x points at: an assignee is a member.
	if kind, _ := s.registry.PointsAt(p.target, word); kind != "" {
		return kind
	}
	require.Fail(t, fmt.Sprintf("%s: nobody can tell what the id %s is of: call it id, or xId for the kind x", p.name(), name))
	return ""
}

// kindCalled is the kind of a noun, or of what several rows share and is no noun, as a
// series; "" for none.
func (s *Suite) kindCalled(word string) models.Kind {
	for _, described := range s.registry.Nouns() {
		if described.Kind != "" && strings.EqualFold(described.Object, word) {
			return described.Kind
		}
	}
	for _, kind := range models.Kinds() {
		if strings.EqualFold(kind.Words(), word) {
			return kind
		}
	}
	return ""
}

// needed are the arguments without which a field cannot be asked for: ranges hold
// everything, ids are a clinic's own.
func (s *Suite) needed(t testing.TB, p path, clinic *testkit.Clinic) map[string]any {
	t.Helper()
	args := map[string]any{}
	for _, definition := range p.field.Arguments {
		if definition.Type.NonNull && definition.DefaultValue == nil {
			args[definition.Name] = s.values(t, p, argument{"", definition.Name, definition.Type}, clinic)[0]
		}
	}
	return args
}

// values are some that an argument can have, where possible some that select.
func (s *Suite) values(t testing.TB, p path, a argument, clinic *testkit.Clinic) []any {
	t.Helper()
	target := s.schema.Types[a.of.Name()]
	var values []any
	switch {
	case a.of.Name() == "ID":
		values = []any{s.kindNamed(t, p, a.name).Global(s.idFor(t, p, a, clinic))}
	case target.Kind == ast.Enum:
		for _, value := range target.EnumValues {
			values = append(values, value.Name)
		}
	case isRange(target):
		return []any{s.span(p, target)}
	case isOrder(target):
		for _, field := range s.schema.Types[target.Fields.ForName("field").Type.Name()].EnumValues {
			for _, direction := range []string{"ASC", "DESC"} {
				values = append(values, map[string]any{"field": field.Name, "direction": direction})
			}
		}
	case a.of.Name() == "Boolean":
		values = []any{true}
	default:
		values = []any{"x"}
	}
	if a.of.Elem == nil {
		return values
	}
	lists := []any{values}
	for _, value := range values {
		lists = append(lists, []any{value})
	}
	return lists
}

// span is a range in which everything lies. Lists without pages bound their range.
func (s *Suite) span(p path, target *ast.Definition) map[string]any {
	from, to := noon().AddDate(-3, 0, 0), noon().AddDate(3, 0, 0)
	if p.How == entity.Whole {
		from, to = noon().AddDate(0, -6, 0), noon().AddDate(0, 5, 0)
	}
	return ends(target, from, to)
}

// ofADay is a narrow range.
func ofADay(target *ast.Definition) map[string]any {
	return ends(target, noon().AddDate(0, 0, -1), noon())
}

// ends are a range's, as its type has them.
func ends(target *ast.Definition, from, to time.Time) map[string]any {
	layout := time.RFC3339
	if target.Fields.ForName("from").Type.Name() == "Date" {
		layout = time.DateOnly
	}
	return map[string]any{"from": from.Format(layout), "to": to.Format(layout)}
}

// idFor is the id that most of what a path shows point at by an argument's column.
func (s *Suite) idFor(t testing.TB, p path, a argument, clinic *testkit.Clinic) uuid.UUID {
	t.Helper()
	of := s.described(t, p.target)
	if column := columnFor(a.name); slices.Contains(of.Columns, column) && column != "id" {
		found := s.ids(t, fmt.Sprintf("SELECT %[1]s FROM %[2]s WHERE %[3]s = $1 AND %[1]s IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1",
			column, of.Table, tenantColumn(of.Table)), clinic.ID)
		require.NotEmpty(t, found, "no row of %s has a %s: have the seeder make some", of.Table, column)
		return found[0]
	}
	other, _ := s.kindOf(s.kindNamed(t, p, a.name))
	return s.some(t, other, clinic)
}

// columnFor is the column that an argument's name stands for: contactId is contact_id.
func columnFor(name string) string {
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// variant is a way to ask for a field: with one argument more than it needs.
type variant struct {
	name string
	of   *argument
	args map[string]any
}

// variants are the field as it is, and with each further argument alone.
func (s *Suite) variants(t testing.TB, p path, clinic *testkit.Clinic) []variant {
	t.Helper()
	needed := s.needed(t, p, clinic)
	all := []variant{{p.name(), nil, needed}}
	for _, a := range s.arguments(p.field) {
		if _, given := needed[a.name]; given && a.within == "" {
			continue
		}
		for _, value := range s.values(t, p, a, clinic) {
			all = append(all, variant{fmt.Sprintf("%s(%s: %v)", p.name(), a, value), &a, a.put(needed, value)})
		}
	}
	return all
}
