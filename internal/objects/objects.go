// Package objects tells how the object types of the schema are read from Go
// values: which field is a leaf of the value, which is a part of it, and which
// is a relation that somebody fetches. The tables are written by the plugin of
// gqlgen (internal/tools/gqlgen), from what gqlgen itself binds.
package objects

import (
	"context"
	"fmt"
	"reflect"

	"github.com/taskmed/taskmed/models"
)

// Table holds the object types of a schema.
type Table struct {
	byName map[string]*Object
	byType map[reflect.Type]*Object
	// connections make a connection's Go value, by its type's name.
	connections map[string]func(Page) any
}

// Object is one object type.
type Object struct {
	Name string
	// Satisfies are its own name and those of its interfaces: what a fragment may
	// be on.
	Satisfies []string
	// Protected is whether the schema marks it with @phi.
	Protected bool
	// Value is a nil pointer of the Go type that stands for the object; an untyped
	// nil for the root types.
	Value any
	// GlobalID is a Node's global id; nil for what is none.
	GlobalID func(value any) string
	// Nil tells whether a value is a nil pointer of the object's Go type; ok is
	// false for a value of another Go type. Nil for the root types.
	Nil    func(value any) (null, ok bool)
	Fields map[string]*Field
}

// Field is one field of an object type.
type Field struct {
	Name   string
	Object string
	// Result is the name of the field's type, without lists and exclamation marks.
	Result string
	// Composite is whether the result has fields of its own.
	Composite bool
	// List is whether it is a list; lists of lists are not served.
	List                 bool
	NonNull, ElemNonNull bool
	// Leaf appends a leaf's value as JSON, null included. ok is false for what
	// only gqlgen's own marshaler can write or refuse. Nil for what is no leaf of
	// the Go value.
	Leaf func(b []byte, object any) (out []byte, ok bool)
	// Part gives a composite that the Go value holds; an untyped nil stands for
	// null. Nil for what is no part of the Go value: then it is a relation.
	Part func(object any) any
	// Elements opens the value of a composite list, as Part or a relation gives it.
	// An untyped nil stands for an element that is null.
	Elements func(list any) []any
	// Length and At open it, too, for whoever would not have a slice made. Length is
	// -1 for a nil slice; ok is false for a value of another Go type.
	Length func(list any) (n int, ok bool)
	At     func(list any, i int) any
	// Target is the object type of a composite result; nil for an interface, whose
	// values are told apart by their Go types. NewTable sets it.
	Target *Object
	// Arguments reads the field's arguments as gqlgen does for its resolver: from
	// the operation's values to Go's types, by name. Nil without arguments.
	Arguments func(ctx context.Context, raw map[string]any) (map[string]any, error)
}

// Relation is whether the field is neither a leaf nor a part of the Go value.
func (f *Field) Relation() bool { return f.Leaf == nil && f.Part == nil }

// Page is one page of a list, before it has become a connection.
type Page struct {
	// Nodes is a slice of pointers of the entities' type, never nil.
	Nodes any
	// Cursors has one cursor per node; nil where no edges are selected.
	Cursors []string
	// Info is nil where it is not selected.
	Info  *models.PageInfo
	Total int
}

// NewTable makes a table; two objects of one name or one Go type are an error.
func NewTable(all []*Object, connections map[string]func(Page) any) (*Table, error) {
	t := &Table{byName: map[string]*Object{}, byType: map[reflect.Type]*Object{}, connections: connections}
	for _, object := range all {
		of := reflect.TypeOf(object.Value)
		if t.byName[object.Name] != nil || t.byType[of] != nil {
			return nil, fmt.Errorf("objects: %s (%s) stands in the table twice", object.Name, of)
		}
		t.byName[object.Name] = object
		if of != nil { // nothing stands for the root types
			t.byType[of] = object
		}
	}
	for _, object := range all {
		for _, field := range object.Fields {
			field.Target = t.byName[field.Result]
		}
	}
	return t, nil
}

// Named finds an object type by its name; nil if the schema has none.
func (t *Table) Named(name string) *Object { return t.byName[name] }

// Of finds the object type that a Go value stands for; nil if it stands for none.
func (t *Table) Of(value any) *Object { return t.byType[reflect.TypeOf(value)] }

// All gives the object types by their names.
func (t *Table) All() map[string]*Object { return t.byName }

// Connection makes the Go value of a connection type; false if there is no such type.
func (t *Table) Connection(name string, page Page) (any, bool) {
	connect, ok := t.connections[name]
	if !ok {
		return nil, false
	}
	return connect(page), true
}
