// Package writer writes the JSON of a field's value in one go, where all that the
// client selected below it is there already. It writes what the GraphQL library
// would write, byte for byte, without a context, a goroutine or a closure per
// field. Whatever it cannot answer so, an error, a panic or a null where there
// must be none included, it leaves to the library.
package writer

import (
	"slices"

	"github.com/taskmed/taskmed/internal/objects"
	"github.com/taskmed/taskmed/internal/selection"
)

// Append appends the JSON of a field's value: an object, a list of them, or null.
// Relations are read from what their entities hold for their places
// (models.Prefetched). note hears of all protected objects that were written, once
// all is written, if there are any; it may be nil.
//
// ok is false where the library must answer: then nothing was appended or noted,
// and value is as it was.
func Append(
	b []byte, table *objects.Table, field *selection.Field, value any, note func([]Written),
) (out []byte, ok bool) {
	w := writer{table: table, b: b, notes: note != nil}
	if !w.attempt(field, value) {
		return b, false
	}
	if len(w.protected) > 0 {
		note(w.protected)
	}
	return w.b, true
}

// holder is an entity that holds what was fetched below it.
type holder interface {
	Kept(place any) (child any, found bool, err error)
}

type writer struct {
	table     *objects.Table
	b         []byte
	notes     bool
	protected []Written
}

// Written is an object that was written.
type Written struct {
	Object *objects.Object
	Value  any
}

// attempt writes a value. Where an entity's method panics, the library shall call
// it again: it knows which field to answer with the error, and whom to tell.
func (w *writer) attempt(field *selection.Field, value any) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return w.value(field, value)
}

// value writes what a field with an object type has.
func (w *writer) value(field *selection.Field, value any) bool {
	of := field.Of
	switch {
	case of == nil || !of.Composite:
		return false
	case value == nil:
		return w.null(of.NonNull)
	case of.List:
		return w.list(field, value)
	default:
		return w.object(field, value, of.NonNull)
	}
}

func (w *writer) null(refused bool) bool {
	if refused {
		return false
	}
	w.b = append(w.b, "null"...)
	return true
}

func (w *writer) list(field *selection.Field, list any) bool {
	of := field.Of
	n, ok := of.Length(list)
	if !ok {
		return false
	}
	if n < 0 && !of.NonNull {
		return w.null(false)
	}
	if w.notes && n > 0 && of.Target != nil && of.Target.Protected {
		w.protected = slices.Grow(w.protected, n)
	}
	w.b = append(w.b, '[')
	for i := range n {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		before := len(w.b)
		if element := of.At(list, i); element == nil {
			ok = w.null(of.ElemNonNull)
		} else {
			ok = w.object(field, element, of.ElemNonNull)
		}
		if !ok {
			return false
		}
		if i == 0 {
			// The others will be about as long as the first one.
			w.b = slices.Grow(w.b, (n-1)*(len(w.b)-before)*9/8)
		}
	}
	w.b = append(w.b, ']')
	return true
}

func (w *writer) object(field *selection.Field, value any, nonNull bool) bool {
	object := field.Of.Target
	if object == nil {
		// The field's type is an interface.
		if object = w.table.Of(value); object == nil {
			return false
		}
	}
	null, ok := object.Nil(value)
	if !ok {
		return false
	}
	if null {
		return w.null(nonNull)
	}
	set := field.On(object.Name)
	if set == nil {
		return false
	}
	if object.Protected && w.notes {
		w.protected = append(w.protected, Written{object, value})
	}
	var relations holder
	w.b = append(w.b, '{')
	for i, selected := range set {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = append(w.b, selected.Quoted...)
		of := selected.Of
		switch {
		case of == nil:
			if selected.Name != "__typename" {
				return false
			}
			w.b = append(w.b, '"')
			w.b = append(w.b, object.Name...)
			w.b = append(w.b, '"')
		case of.Leaf != nil:
			if w.b, ok = of.Leaf(w.b, value); !ok {
				return false
			}
		case of.Part != nil:
			if !w.value(selected, of.Part(value)) {
				return false
			}
		default:
			if relations == nil {
				if relations, ok = value.(holder); !ok {
					return false
				}
			}
			child, found, err := relations.Kept(selected)
			if !found || err != nil || !w.value(selected, child) {
				return false
			}
		}
	}
	w.b = append(w.b, '}')
	return true
}
