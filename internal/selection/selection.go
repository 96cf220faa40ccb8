// Package selection describes what a client asked for below an object, free of
// the GraphQL library, so that the clinic's packages can fetch exactly that.
package selection

import (
	"iter"
	"slices"
)

// Set is the selection set of one object type at one place of an operation,
// with fragments unfolded and @skip and @include applied.
type Set struct {
	fields []Field
}

// Field is one selected field.
type Field struct {
	// Name is the schema's name; Key is the response key (alias or name), which
	// tells two selections of the same field apart.
	Name, Key string
	// Args are the coerced arguments, defaults included.
	Args map[string]any
	// Set is what is selected below; empty for leaves.
	Set Set
}

// Of makes a Set.
func Of(fields ...Field) Set { return Set{fields: fields} }

// Leaf tells whether nothing is selected.
func (s Set) Leaf() bool { return len(s.fields) == 0 }

// Has tells whether a field is selected under any key.
func (s Set) Has(name string) bool {
	for i := range s.fields {
		if s.fields[i].Name == name {
			return true
		}
	}
	return false
}

// All gives the selected fields in the order of the operation.
func (s Set) All() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for _, field := range s.fields {
			if !yield(field) {
				return
			}
		}
	}
}

// Named gives every selection of a field, one per response key.
func (s Set) Named(name string) iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for _, field := range s.fields {
			if field.Name == name && !yield(field) {
				return
			}
		}
	}
}

// Merge puts several selections of the same entities into one.
func Merge(sets ...Set) Set {
	if len(sets) == 1 {
		return sets[0]
	}
	var merged Set
	for _, set := range sets {
		merged.fields = append(merged.fields, set.fields...)
	}
	return merged
}

// Columns are the columns that the selected fields need, by a table from fields
// to columns, with the id that every entity needs; each once.
func (s Set) Columns(of func(field string) []string) []string {
	columns := []string{"id"}
	for _, field := range s.fields {
		for _, column := range of(field.Name) {
			if !slices.Contains(columns, column) {
				columns = append(columns, column)
			}
		}
	}
	return columns
}
