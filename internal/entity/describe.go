package entity

import (
	"cmp"
	"slices"
	"strings"

	"github.com/taskmed/taskmed/models"
)

// How is the way in which a field of the schema shows a noun's entities.
type How int

// The ways.
const (
	// ByID is a field that gives the entity which an id points at.
	ByID How = iota
	// Paged is a connection, Whole a list without pages, Alone the first of a list.
	Paged
	Whole
	Alone
)

// Shown is a field of the schema that shows a noun's entities, as it was declared:
// for who checks it against other things.
type Shown struct {
	// Object and Field are where the schema has it.
	Object, Field string
	How           How
	// Key is the column of the object that the field is found by; "" below Query.
	Key string
	// Parent is the column of the noun's rows that holds that key; "" where the
	// object points at the noun, and for lists of the clinic as a whole.
	Parent string
	// Through is the table that joins rows to parents, where that is how they are.
	Through *Link
	// Order and Desc are what the rows are sorted by unless told otherwise.
	Order string
	Desc  bool
	// Finder is the function that finds rows of a parent, where that is how they are.
	Finder string
	// Where is the condition that rows meet unless the arguments ask for others, too.
	Where string
}

// Shown gives the fields that show entities of an object type, in the order of
// their names. node and nodes, which show all of them, are not among them.
func (r *Registry) Shown(object string) []Shown {
	var found []Shown
	for place, relation := range r.relations {
		target := relation.target()
		if target == nil || target.object != object {
			continue
		}
		of, field, _ := strings.Cut(place, ".")
		shown := Shown{Object: of, Field: field, Key: relation.key()}
		switch made := relation.(type) {
		case *list:
			shown.How, shown.Parent, shown.Through, shown.Order, shown.Desc = Paged, made.Parent, made.Through, made.Order, made.Desc
			shown.Where = made.Where
		case *all:
			shown.How, shown.Parent, shown.Order, shown.Finder = Whole, made.parent, made.order.column, made.finder
		case *first:
			shown.How, shown.Parent, shown.Order, shown.Desc = Alone, made.parent, made.order.column, made.order.backwards
		}
		found = append(found, shown)
	}
	slices.SortFunc(found, func(a, b Shown) int {
		return cmp.Or(strings.Compare(a.Object, b.Object), strings.Compare(a.Field, b.Field))
	})
	return found
}

// MadeOf are the columns that a field of an object type is made of.
func (r *Registry) MadeOf(object, field string) []string {
	if n := r.byObject[object]; n != nil {
		return n.columnsOf(field)
	}
	return nil
}

// PointsAt is the kind that a field's column points at, and the column; "" for a
// field that is no such relation.
func (r *Registry) PointsAt(object, field string) (models.Kind, string) {
	if n := r.byObject[object]; n != nil {
		if one, ok := n.one[field]; ok {
			return one.Kind, one.Column
		}
	}
	return "", ""
}

// Word is what an object type's rows are called in tags.
func (r *Registry) Word(object string) string {
	if n := r.byObject[object]; n != nil {
		return n.word()
	}
	return ""
}
