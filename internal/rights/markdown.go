package rights

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// Markdown writes the table for people: every mutation, and every type and
// field that not everyone may see.
func (t *Table) Markdown() string {
	var b strings.Builder
	b.WriteString("# Who may do what\n\nGenerated from `@allow` in `graph/*.graphqls` by `UPDATE_GOLDEN=1 go test ./internal/rights`; do not edit.\n")
	b.WriteString("\nWhat is not listed here is open to every role of the clinic. An operation that\nselects anything its role may not is refused whole, before anything of it runs.\n")
	if mutation := t.schema.Mutation; mutation != nil {
		b.WriteString("\n## Mutations\n\n")
		t.head(&b, "Mutation")
		for _, field := range sorted(mutation.Fields) {
			t.row(&b, field.Name, t.Field(mutation.Name, field))
		}
	}
	b.WriteString("\n## Types and fields that not everyone may see\n\n")
	t.head(&b, "Type or field")
	for _, name := range slices.Sorted(maps.Keys(t.byName)) {
		if t.schema.Mutation != nil && name == t.schema.Mutation.Name || strings.HasPrefix(name, "__") {
			continue
		}
		if t.types[name] != Everyone {
			t.row(&b, name, t.types[name])
		}
		for _, field := range sorted(t.schema.Types[name].Fields) {
			// What its type closes already need not be said of each of its fields.
			if roles := t.Field(name, field); roles != t.types[name] {
				t.row(&b, name+"."+field.Name, roles)
			}
		}
	}
	return b.String()
}

func (t *Table) head(b *strings.Builder, first string) {
	fmt.Fprintf(b, "| %s |", first)
	for _, role := range t.roles {
		fmt.Fprintf(b, " %s |", role)
	}
	b.WriteString("\n|---|" + strings.Repeat(":-:|", len(t.roles)) + "\n")
}

func (t *Table) row(b *strings.Builder, name string, roles Roles) {
	fmt.Fprintf(b, "| `%s` |", name)
	for _, role := range t.roles {
		if t.has(roles, role) {
			b.WriteString(" yes |")
		} else {
			b.WriteString(" – |")
		}
	}
	b.WriteByte('\n')
}

func sorted(fields ast.FieldList) []*ast.FieldDefinition {
	list := slices.Clone([]*ast.FieldDefinition(fields))
	list = slices.DeleteFunc(list, func(f *ast.FieldDefinition) bool { return strings.HasPrefix(f.Name, "__") })
	slices.SortFunc(list, func(a, b *ast.FieldDefinition) int { return strings.Compare(a.Name, b.Name) })
	return list
}
