package paging

import (
	"cmp"
	"slices"

	"github.com/google/uuid"
)

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

// Slice is a short list that is in memory, sorted by Key and, among equals, ID.
type Slice[T any] struct {
	// Name tells the list from all others; cursors are bound to it.
	Name string
	All  []*T
	Key  func(item *T) string
	ID   func(item *T) uuid.UUID
}

// Page is one page of the list for a clinic.
func (s Slice[T]) Page(clinic uuid.UUID, request Request, cursors *Cursors) (*Page[T], error) {
	w, err := request.Window()
	if err != nil {
		return nil, err
	}
	rows := slices.Clone(s.All)
	for _, end := range []struct {
		name   string
		cursor *string
		side   int
	}{{"after", w.After, 1}, {"before", w.Before, -1}} {
		if end.cursor == nil {
			continue
		}
		key, err := cursors.Decode(clinic, s.Name, *end.cursor, 2)
		if err != nil {
			return nil, BadCursor(end.name)
		}
		id, err := uuid.Parse(key[1])
		if err != nil {
			return nil, BadCursor(end.name)
		}
		rows = slices.DeleteFunc(rows, func(item *T) bool {
			itemID := s.ID(item)
			return cmp.Or(cmp.Compare(s.Key(item), key[0]), slices.Compare(itemID[:], id[:])) != end.side
		})
	}
	if w.Backward {
		slices.Reverse(rows)
	}
	more := len(rows) > w.Limit
	rows = rows[:min(len(rows), w.Limit)]
	if w.Backward {
		slices.Reverse(rows)
	}
	page := &Page[T]{Items: rows, Total: len(s.All), Cursor: func(item *T) string {
		return cursors.Encode(clinic, s.Name, []string{s.Key(item), s.ID(item).String()})
	}}
	page.HasPrevious, page.HasNext = w.Sides(more)
	return page, nil
}
