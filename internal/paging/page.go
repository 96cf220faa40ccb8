package paging

import (
	"slices"

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

// Page is one page of a list, in the list's order.
type Page[T any] struct {
	Items []*T
	// HasNext and HasPrevious tell whether the list goes on after and before.
	HasNext, HasPrevious bool
	// Total counts the whole list, where that was asked for.
	Total int
	// Cursor seals an item's place.
	Cursor func(item *T) string
}

// window is a checked Request: at most limit rows from one end.
type window struct {
	limit         int
	backward      bool
	after, before *string
}

// Check refuses sizes and combinations that the contract does not allow.
func (r Request) Check() error {
	_, err := r.window()
	return err
}

func (r Request) window() (window, error) {
	if r.First != nil && r.Last != nil {
		return window{}, models.BadInput("give either first or last, not both")
	}
	w := window{limit: DefaultSize, after: r.After, before: r.Before}
	size := r.First
	name := "first"
	if r.Last != nil {
		size, name, w.backward = r.Last, "last", true
	}
	if size != nil {
		if *size < 1 || *size > MaxSize {
			return window{}, models.BadInput("%s must be between 1 and %d", name, MaxSize)
		}
		w.limit = *size
	}
	return w, nil
}

// assemble makes a page of up to limit+1 rows that were read in the window's
// direction.
func assemble[T any](rows []*T, w window, cursor func(*T) string) *Page[T] {
	more := len(rows) > w.limit
	if more {
		rows = rows[:w.limit]
	}
	if rows == nil {
		rows = []*T{}
	}
	page := &Page[T]{Items: rows, Cursor: cursor}
	if w.backward {
		slices.Reverse(rows)
		// Something stands after the page if the client came from there.
		page.HasPrevious, page.HasNext = more, w.before != nil
	} else {
		page.HasNext, page.HasPrevious = more, w.after != nil
	}
	return page
}

func badCursor(argument string) error {
	return models.BadInput("%s is no cursor of this list; use one that this list, in this order, gave you", argument)
}
