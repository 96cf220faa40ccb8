package paging

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/cachetag"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// Order is what a list of T is sorted by: one column, and the id where that is
// equal. Both go the same way, so that one index serves both directions.
type Order[T any] struct {
	// Name tells the list and its order from all others; cursors are bound to it.
	Name   string
	Column string
	// Type is the column's SQL type: keys travel as text.
	Type string
	Desc bool
	// Key is an item's sort key as text that Postgres reads back unchanged.
	Key func(item *T) string
	// ID is an item's id.
	ID func(item *T) uuid.UUID
}

// List is a query for pages of T out of one tenant table.
type List[T any] struct {
	Table string
	// Kind is what the items are, and Depends what it depends on which items there
	// are and in which order; without either, an answer with the list is not kept
	// in caches. The items themselves are added.
	Kind    models.Kind
	Depends []cachetag.Tag
	// Columns are read; the order's column and the id are added.
	Columns []string
	Order   Order[T]
	Request Request
	// Count asks for Page.Total.
	Count bool

	conditions []string
	args       []any
}

// Where adds a condition in which each ? stands for the next argument.
func (l *List[T]) Where(condition string, args ...any) {
	for _, arg := range args {
		condition = strings.Replace(condition, "?", l.arg(arg), 1)
	}
	l.conditions = append(l.conditions, condition)
}

// Within adds the condition that a column's instant lies in a half-open range.
// A range that ends before it starts is BAD_USER_INPUT.
func (l *List[T]) Within(column string, span *models.DateTimeRange) error {
	if span.From != nil && span.To != nil && !span.From.Before(*span.To) {
		return models.BadInput("the range must end after it starts")
	}
	if span.From != nil {
		l.Where(column+" >= ?", *span.From)
	}
	if span.To != nil {
		l.Where(column+" < ?", *span.To)
	}
	return nil
}

// TimeKey is an instant as a sort key: to the microsecond, as Postgres keeps it.
func TimeKey(instant time.Time) string {
	return instant.UTC().Format("2006-01-02T15:04:05.000000Z07:00")
}

func (l *List[T]) arg(value any) string {
	l.args = append(l.args, value)
	return "$" + strconv.Itoa(len(l.args))
}

// Page reads one page in one statement, and counts in a second one if asked.
func (l *List[T]) Page(ctx context.Context, db *database.DB, cursors *Cursors) (*Page[T], error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	w, err := l.Request.window()
	if err != nil {
		return nil, err
	}
	l.Where("clinic_id = ?", scope.ClinicID)
	from := " FROM " + l.Table + " WHERE "
	counted, countArgs := "SELECT count(*)::int AS total"+from+strings.Join(l.conditions, " AND "), l.args

	if err := l.seek(scope.ClinicID, cursors, w); err != nil {
		return nil, err
	}
	reading := l.reading(ctx)
	rows, err := database.Rows[T](reading, db,
		"SELECT "+l.columns()+from+strings.Join(l.conditions, " AND ")+l.orderAndLimit(w), l.args...)
	if err != nil {
		return nil, err
	}
	page := assemble(rows, w, l.cursor(scope.ClinicID, cursors))
	l.dependOn(ctx, page.Items)
	if l.Count {
		page.Total, err = database.Value[int](reading, db, counted, countArgs...)
		if err != nil {
			return nil, err
		}
	}
	return page, nil
}

// PagePerParent reads the same page for each of many parents in one statement,
// and counts in a second one if asked. parentColumn points at the parent and
// parentOf reads it from an item. Every parent gets a page, if an empty one.
func (l *List[T]) PagePerParent(
	ctx context.Context, db *database.DB, cursors *Cursors,
	parentColumn string, parentOf func(*T) uuid.UUID, parents []uuid.UUID,
) (map[uuid.UUID]*Page[T], error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	w, err := l.Request.window()
	if err != nil {
		return nil, err
	}
	l.Where("clinic_id = ?", scope.ClinicID)
	// Twice the same parent would give its rows twice.
	parents = slices.Clone(parents)
	slices.SortFunc(parents, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	parents = slices.Compact(parents)
	ids := l.arg(parents)
	counted := "SELECT " + parentColumn + " AS parent, count(*)::int AS total FROM " + l.Table +
		" WHERE " + strings.Join(l.conditions, " AND ") + " AND " + parentColumn + " = ANY(" + ids + "::uuid[]) GROUP BY 1"
	countArgs := l.args

	if err := l.seek(scope.ClinicID, cursors, w); err != nil {
		return nil, err
	}
	l.Columns = append(l.Columns, parentColumn)
	reading := l.reading(ctx)
	rows, err := database.Rows[T](reading, db,
		"SELECT child.* FROM unnest("+ids+"::uuid[]) AS parent(id) CROSS JOIN LATERAL (SELECT "+l.columns()+
			" FROM "+l.Table+" WHERE "+strings.Join(l.conditions, " AND ")+" AND "+parentColumn+" = parent.id"+
			l.orderAndLimit(w)+") AS child", l.args...)
	if err != nil {
		return nil, err
	}
	perParent := make(map[uuid.UUID][]*T, len(parents))
	for _, row := range rows {
		parent := parentOf(row)
		perParent[parent] = append(perParent[parent], row)
	}
	pages := make(map[uuid.UUID]*Page[T], len(parents))
	for _, parent := range parents {
		pages[parent] = assemble(perParent[parent], w, l.cursor(scope.ClinicID, cursors))
		l.dependOn(ctx, pages[parent].Items)
	}
	if l.Count {
		return pages, countPerParent(reading, db, pages, counted, countArgs)
	}
	return pages, nil
}

// reading is the context of the list's statements.
func (l *List[T]) reading(ctx context.Context) context.Context {
	if l.Kind == "" {
		return ctx
	}
	return database.Depends(ctx, l.Depends...)
}

// dependOn declares a page's items. The row after them, which was read to know
// whether the list goes on, is a question of the list's.
func (l *List[T]) dependOn(ctx context.Context, items []*T) {
	if l.Kind == "" || !cachetag.Collecting(ctx) {
		return
	}
	for _, item := range items {
		cachetag.Add(ctx, cachetag.Entity(l.Kind, l.Order.ID(item)))
	}
}

type parentTotal struct {
	Parent uuid.UUID
	Total  int
}

func countPerParent[T any](ctx context.Context, db *database.DB, pages map[uuid.UUID]*Page[T], sql string, args []any) error {
	totals, err := database.Rows[parentTotal](ctx, db, sql, args...)
	if err != nil {
		return err
	}
	for _, total := range totals {
		pages[total.Parent].Total = total.Total
	}
	return nil
}

// seek adds the conditions that the cursors stand for.
func (l *List[T]) seek(clinic uuid.UUID, cursors *Cursors, w window) error {
	beyond, short := ">", "<"
	if l.Order.Desc {
		beyond, short = short, beyond
	}
	for _, end := range []struct {
		name, operator string
		cursor         *string
	}{
		{"after", beyond, w.after}, {"before", short, w.before},
	} {
		if end.cursor == nil {
			continue
		}
		key, err := cursors.Decode(clinic, l.Order.Name, *end.cursor, 2)
		if err != nil {
			return badCursor(end.name)
		}
		// Text, timestamps and UUIDs compare by leakproof operators, so that the
		// index serves this under row-level security.
		l.Where("("+l.Order.Column+", id) "+end.operator+" (?::text::"+l.Order.Type+", ?::text::uuid)", key[0], key[1])
	}
	return nil
}

func (l *List[T]) orderAndLimit(w window) string {
	direction := " ASC"
	if l.Order.Desc != w.backward {
		direction = " DESC"
	}
	return " ORDER BY " + l.Order.Column + direction + ", id" + direction + " LIMIT " + strconv.Itoa(w.limit+1)
}

// columns are the wanted ones, each once, with those that order and identify.
func (l *List[T]) columns() string {
	seen := map[string]bool{}
	var unique []string
	for _, column := range append([]string{"id", l.Order.Column}, l.Columns...) {
		if !seen[column] {
			seen[column] = true
			unique = append(unique, column)
		}
	}
	return strings.Join(unique, ", ")
}

func (l *List[T]) cursor(clinic uuid.UUID, cursors *Cursors) func(*T) string {
	return func(item *T) string {
		return cursors.Encode(clinic, l.Order.Name, []string{l.Order.Key(item), l.Order.ID(item).String()})
	}
}
