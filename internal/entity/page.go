package entity

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/objects"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/models"
)

// requestOf reads the arguments that every connection has.
func requestOf(args Args) paging.Request {
	return paging.Request{
		First: Arg[*int](args, "first"), After: Arg[*string](args, "after"),
		Last: Arg[*int](args, "last"), Before: Arg[*string](args, "before"),
	}
}

// cursors seal the places of one list's rows.
type cursors struct {
	sealer *paging.Cursors
	clinic uuid.UUID
	// list names the list and its order; cursors are bound to it.
	list string
	noun *noun
	by   *column
}

func (c *cursors) of(row any) string {
	return c.sealer.Encode(c.clinic, c.list, []string{sortKey(c.by, row), c.noun.idOf(row).String()})
}

// seek adds the conditions that a window's cursors stand for.
func (c *cursors) seek(w paging.Window, order *ordered, q *Query) error {
	beyond, short := ">", "<"
	if order.backwards {
		beyond, short = short, beyond
	}
	for _, end := range []struct {
		name, operator string
		cursor         *string
	}{{"after", beyond, w.After}, {"before", short, w.Before}} {
		if end.cursor == nil {
			continue
		}
		key, err := c.sealer.Decode(c.clinic, c.list, *end.cursor, 2)
		if err != nil {
			return paging.BadCursor(end.name)
		}
		// Text, timestamps and UUIDs compare by leakproof operators, so that the
		// index serves this under row-level security.
		q.Where("("+c.by.name+", id) "+end.operator+" (?::text::"+sqlType(c.by)+", ?::text::uuid)", key[0], key[1])
	}
	return nil
}

// instantKey spells an instant to Postgres' microsecond.
const instantKey = "2006-01-02T15:04:05.000000Z07:00"

// sortKey is a row's key as text that Postgres reads back unchanged.
func sortKey(by *column, row any) string {
	switch value := reflect.ValueOf(row).Elem().FieldByIndex(by.index).Interface().(type) {
	case string:
		return value
	case time.Time:
		return value.UTC().Format(instantKey)
	case *time.Time:
		if value != nil {
			return value.UTC().Format(instantKey)
		}
	case models.Date:
		return value.String()
	case int:
		return strconv.Itoa(value)
	case int64:
		return strconv.FormatInt(value, 10)
	}
	return ""
}

// sqlType is the type that a sort key is read back as; "" for what no list can be
// sorted by.
func sqlType(by *column) string {
	switch by.kind {
	case reflect.TypeFor[string]():
		return "text"
	case reflect.TypeFor[time.Time](), reflect.TypeFor[*time.Time](): // of the latter, rows that have one
		return "timestamptz"
	case reflect.TypeFor[models.Date]():
		return "date"
	case reflect.TypeFor[int](), reflect.TypeFor[int64]():
		return "bigint"
	}
	return ""
}

// pageOf makes a connection's page of rows that were read in the window's
// direction, one more than it shows if there are more. Cursors are made where
// they are selected alone: sealing costs.
func pageOf(n *noun, rows []any, w paging.Window, wanted selection.Wanted, total int, cursor func(any) string) (objects.Page, []any) {
	more := len(rows) > w.Limit
	rows = rows[:min(len(rows), w.Limit)]
	if w.Backward {
		slices.Reverse(rows)
	}
	page := objects.Page{Nodes: n.slice(rows), Total: total}
	if wanted.Info {
		page.Info = &models.PageInfo{}
		page.Info.HasPreviousPage, page.Info.HasNextPage = w.Sides(more)
		if len(rows) > 0 {
			page.Info.StartCursor, page.Info.EndCursor = new(cursor(rows[0])), new(cursor(rows[len(rows)-1]))
		}
	}
	if wanted.Cursors {
		page.Cursors = make([]string, len(rows))
		for i, row := range rows {
			page.Cursors[i] = cursor(row)
		}
	}
	return page, rows
}

func orderNamed(field string, order *ordered) string {
	name := field + " by " + order.column
	if order.backwards {
		return name + " desc"
	}
	return name
}

func badOrder(field, column string) error {
	return fmt.Errorf("entity: %s cannot be sorted by %q", field, column)
}

// Connect makes a connection of type C of a page that somebody else read.
func Connect[C, T any](table *objects.Table, page *paging.Page[T], wanted selection.Wanted) (*C, error) {
	made := objects.Page{Nodes: append([]*T{}, page.Items...), Total: page.Total}
	if wanted.Info {
		made.Info = &models.PageInfo{HasNextPage: page.HasNext, HasPreviousPage: page.HasPrevious}
		if len(page.Items) > 0 {
			made.Info.StartCursor = new(page.Cursor(page.Items[0]))
			made.Info.EndCursor = new(page.Cursor(page.Items[len(page.Items)-1]))
		}
	}
	if wanted.Cursors {
		made.Cursors = make([]string, len(page.Items))
		for i, item := range page.Items {
			made.Cursors[i] = page.Cursor(item)
		}
	}
	name := reflect.TypeFor[C]().Name()
	connection, ok := table.Connection(name, made)
	typed, fits := connection.(*C)
	if !ok || !fits {
		return nil, fmt.Errorf("entity: %s is no connection type of the schema", name)
	}
	return typed, nil
}
