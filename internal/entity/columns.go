package entity

import (
	"strings"
	"unicode"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/touched"
)

// columnsOf are the columns that a field is made of; none for what is not read
// from the row.
func (n *noun) columnsOf(field string) []string {
	if columns, ok := n.columns[field]; ok {
		return columns
	}
	if one, ok := n.one[field]; ok {
		return []string{one.Column}
	}
	if declared, ok := n.any[field]; ok {
		return []string{declared.Column}
	}
	if name := snake(field); n.fields[name] != nil {
		return []string{name}
	}
	return nil
}

// columnsFor are the columns that a selection needs, the id and others named, in
// the order of the struct: one selection has one statement, however it is written.
func (n *noun) columnsFor(wanted selection.Wanted, others ...string) []string {
	need := make([]string, 0, 16)
	if n.fields["id"] != nil {
		need = append(need, "id")
	}
	for field := range wanted.Each() {
		need = append(need, n.columnsOf(field.Name)...)
	}
	return n.inOrder(append(need, others...))
}

// inOrder gives columns each once, in the order of the struct.
func (n *noun) inOrder(names []string) []string {
	var marked uint64
	for _, name := range names {
		if c := n.fields[name]; c != nil {
			marked |= 1 << c.at
		}
	}
	ordered := make([]string, 0, len(names))
	for i, name := range n.names {
		if marked&(1<<i) != 0 {
			ordered = append(ordered, name)
		}
	}
	return ordered
}

// mostColumns is how many columns a row may have: a set of them is one word.
const mostColumns = 64

// below is the tag of a noun's rows that point at a parent by a column.
func (n *noun) below(column string, parent uuid.UUID) touched.Tag {
	return touched.OnID(n.word(), strings.TrimSuffix(column, "_id"), parent)
}

// word is what the noun is called in tags.
func (n *noun) word() string {
	if n.kind != "" {
		return string(n.kind)
	}
	return n.table
}

// snake is a schema's name as a column: externalReference is external_reference.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) {
			if i > 0 {
				b.WriteByte('_')
			}
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}
