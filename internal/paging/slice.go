package paging

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/tenant"
)

// OfSlice is a page of a short list that is in memory, sorted as the order
// says. The order's columns are not used.
func OfSlice[T any](ctx context.Context, all []*T, order Order[T], request Request, cursors *Cursors) (*Page[T], error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	w, err := request.window()
	if err != nil {
		return nil, err
	}
	rows := slices.Clone(all)
	for _, end := range []struct {
		name   string
		cursor *string
		side   int
	}{{"after", w.after, 1}, {"before", w.before, -1}} {
		if end.cursor == nil {
			continue
		}
		key, err := cursors.Decode(scope.ClinicID, order.Name, *end.cursor, 2)
		if err != nil {
			return nil, badCursor(end.name)
		}
		id, err := uuid.Parse(key[1])
		if err != nil {
			return nil, badCursor(end.name)
		}
		rows = slices.DeleteFunc(rows, func(item *T) bool {
			itemID := order.ID(item)
			return cmp.Or(cmp.Compare(order.Key(item), key[0]), slices.Compare(itemID[:], id[:])) != end.side
		})
	}
	if w.backward {
		slices.Reverse(rows)
	}
	page := assemble(rows[:min(len(rows), w.limit+1)], w, func(item *T) string {
		return cursors.Encode(scope.ClinicID, order.Name, []string{order.Key(item), order.ID(item).String()})
	})
	page.Total = len(all)
	return page, nil
}
