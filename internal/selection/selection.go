// Package selection is what a client asked for, place by place. A place is where
// a field stands in an operation: the way of response keys that leads to it. The
// same entity may be shown at several places, each of which wants other things of
// it; so whatever is fetched for a field belongs to its place.
package selection

import (
	"iter"
	"slices"

	"github.com/taskmed/taskmed/internal/objects"
)

// Plan is an operation with its fragments unfolded and @skip and @include
// applied. It is shared between requests: do not change it.
type Plan struct {
	// Object is the root type's name, Fields what is selected of it.
	Object string
	Fields []*Field
	// Places is how many fields the plan has; each Field.Index is below it.
	Places int
}

// Field is one selected field at one place.
type Field struct {
	// Name is the schema's name; Key is the response key: the alias or the name.
	Name, Key string
	// Quoted is the key as JSON with its colon, ready to be written.
	Quoted []byte
	// Of is what is known of the field; nil for __typename and introspection.
	Of *objects.Field
	// Above is the field that this one is selected of; nil at the root.
	Above *Field
	// Index is the place's number in its plan.
	Index int
	// sets are what is selected below, by the object type that the value turns out
	// to be of: one for an object, one per possible type for an interface.
	sets map[string][]*Field
	raw  func(variables map[string]any) map[string]any
}

// On is what is selected below if the value is an object of the named type.
func (f *Field) On(object string) []*Field { return f.sets[object] }

// Below is what is selected below a field whose result is an object type.
func (f *Field) Below() []*Field {
	if f.Of == nil {
		return nil
	}
	return f.sets[f.Of.Result]
}

// Objects are the names of the types that the value may be of and for which
// something is selected.
func (f *Field) Objects() iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range f.sets {
			if !yield(name) {
				return
			}
		}
	}
}

// Raw are the field's arguments with the operation's variables put in, defaults
// included, in the GraphQL library's types.
func (f *Field) Raw(variables map[string]any) map[string]any {
	if f.raw == nil {
		return nil
	}
	return f.raw(variables)
}

// Path is the way of response keys to the place.
func (f *Field) Path() []string {
	var path []string
	for at := f; at != nil; at = at.Above {
		path = append(path, at.Key)
	}
	slices.Reverse(path)
	return path
}

// Named gives the fields of a set that have a name; aliases give several.
func Named(set []*Field, name string) iter.Seq[*Field] {
	return func(yield func(*Field) bool) {
		for _, field := range set {
			if field.Name == name && !yield(field) {
				return
			}
		}
	}
}

// Has tells whether a set selects a field under any key.
func Has(set []*Field, name string) bool {
	for range Named(set, name) {
		return true
	}
	return false
}

// Wanted is what a selection wants of entities and of the list that they stand in.
type Wanted struct {
	// Shown are the sets of fields that are selected of the entities: several where
	// a connection shows them as nodes and as edges, or under aliases.
	Shown [][]*Field
	// Count, Info and Cursors are whether totalCount, pageInfo and edges are selected.
	Count, Info, Cursors bool
}

// Connection reads what is selected of a connection.
func Connection(of *Field) Wanted {
	var wanted Wanted
	for _, part := range of.Below() {
		switch part.Name {
		case "nodes":
			wanted.Shown = append(wanted.Shown, part.Below())
		case "edges":
			wanted.Cursors = true
			for node := range Named(part.Below(), "node") {
				wanted.Shown = append(wanted.Shown, node.Below())
			}
		case "pageInfo":
			wanted.Info = true
		case "totalCount":
			wanted.Count = true
		}
	}
	return wanted
}

// Object reads what is selected of an object, or of each of a list of objects.
func Object(set []*Field) Wanted { return Wanted{Shown: [][]*Field{set}} }

// Each gives every field that is selected of the entities, at all places.
func (w Wanted) Each() iter.Seq[*Field] {
	return func(yield func(*Field) bool) {
		for _, set := range w.Shown {
			for _, field := range set {
				if !yield(field) {
					return
				}
			}
		}
	}
}
