package paging

import (
	"github.com/taskmed/taskmed/models"
)

// The bounds of a page's size.
const (
	DefaultSize = 20
	MaxSize     = 100
)

// Request is a connection's arguments.
type Request struct {
	First, Last   *int
	After, Before *string
}

// Window is a checked Request: at most Limit rows, from the end of the list if
// it is Backward.
type Window struct {
	Limit         int
	Backward      bool
	After, Before *string
}

// Window refuses sizes and combinations that the contract does not allow.
func (r Request) Window() (Window, error) {
	if r.First != nil && r.Last != nil {
		return Window{}, models.BadInput("give either first or last, not both")
	}
	w := Window{Limit: DefaultSize, After: r.After, Before: r.Before}
	size, name := r.First, "first"
	if r.Last != nil {
		size, name, w.Backward = r.Last, "last", true
	}
	if size != nil {
		if *size < 1 || *size > MaxSize {
			return Window{}, models.BadInput("%s must be between 1 and %d", name, MaxSize)
		}
		w.Limit = *size
	}
	return w, nil
}

// Sides tells of a page of which more rows were read than it shows, or not,
// whether the list goes on before and after it. Something stands on the side that
// the client came from.
func (w Window) Sides(more bool) (hasPrevious, hasNext bool) {
	if w.Backward {
		return more, w.Before != nil
	}
	return w.After != nil, more
}

// BadCursor refuses a cursor that is none of the list's.
func BadCursor(argument string) error {
	return models.BadInput("%s is no cursor of this list; use one that this list, in this order, gave you", argument)
}
