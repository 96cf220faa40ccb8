package entity

import (
	"database/sql/driver"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/models"
)

// mostValues bounds the values of one condition. The server refuses longer lists
// before anything runs; this is for whoever asks in another way.
const mostValues = 1000

// Query gathers the conditions of a list. All of them must hold. Conditions are
// SQL written in the code, in which each ? stands for the next value; values are
// never written into it.
type Query struct {
	conditions []condition
	// each is a column that is to have one of several values: the list is then read
	// once per value, so that an index by value and order serves each.
	each *each
	// nothing is set where no row can be meant.
	nothing bool
	// gathered is set where rows are found first and sorted then.
	gathered bool
	// now is the answer's instant.
	now time.Time
	// mayRead tells of an object type whether the role that asks may read it.
	mayRead func(object string) bool
}

type condition struct {
	sql    string
	values []any
	// page is how the statement of a page has it; "" as a count's has.
	page string
}

// each is a column and the values that it may have, an array of a type of Postgres'.
type each struct {
	condition

	array string
}

// Now is the operation's clock.
func (q *Query) Now() time.Time { return q.now }

// MayRead tells whether the role that asks may read entities of an object type.
func (q *Query) MayRead(object string) bool { return q.mayRead(object) }

// Where adds a condition.
func (q *Query) Where(sql string, values ...any) {
	q.conditions = append(q.conditions, condition{sql: sql, values: values})
}

// WhereWide adds a condition that most rows meet, so that a page is met soon in the list's
// order. Postgres, which plans without looking at values, would take it for one that few
// meet, and gather them; it is not shown an index's condition, nor what could be a join.
// What is counted is, for there all are read.
func (q *Query) WhereWide(sql string, values ...any) {
	q.conditions = append(q.conditions, condition{sql: sql, values: values, page: "(" + sql + ") IS TRUE"})
}

// WhereWideBeside is WhereWide for a condition that looks for rows of another table: it
// looks for each of the page's, where Postgres would first hash all of that table's.
func (q *Query) WhereWideBeside(sql string, values ...any) {
	q.conditions = append(q.conditions, condition{sql: sql, values: values, page: "(SELECT " + sql + ")"})
}

// Gather says that the conditions leave few rows, by an index of their own: they are
// found first and sorted then. Without it Postgres, which plans without looking at
// values, hopes to meet a page of them soon in the list's order.
func (q *Query) Gather() { q.gathered = true }

// Nothing makes the list an empty one.
func (q *Query) Nothing() { q.nothing = true }

// Within adds the condition that a column's instant lies in a range, half open; a
// nil range and open ends say nothing. A range that ends where it begins holds
// nothing, and one that ends before it begins is BAD_USER_INPUT, everywhere.
func (q *Query) Within(column string, span *models.DateTimeRange) error {
	return q.within(column, span, q.Where)
}

// WithinBeside is Within for a list that may go by another column than the range's, where
// one index does not give both: what a narrow range leaves is gathered, and of a wide one
// a page is met in the list's order.
func (q *Query) WithinBeside(by, column string, span *models.DateTimeRange) error {
	if by == column {
		return q.Within(column, span)
	}
	if !Narrow(span, q.now) {
		return q.within(column, span, q.WhereWide)
	}
	q.Gather()
	return q.Within(column, span)
}

// Narrow tells whether few rows of a clinic that is years old lie in a range: of one that
// has a beginning, less than half a year ago or before its end.
func Narrow(span *models.DateTimeRange, now time.Time) bool {
	if span == nil || span.From == nil {
		return false
	}
	to := now
	if span.To != nil && span.To.Before(now) {
		to = *span.To
	}
	return to.Sub(*span.From) < 183*24*time.Hour
}

func (q *Query) within(column string, span *models.DateTimeRange, where func(sql string, values ...any)) error {
	if span == nil {
		return nil
	}
	if span.From != nil && span.To != nil {
		if err := Ordered(*span.From, *span.To); err != nil {
			return err
		}
		if span.From.Equal(*span.To) {
			q.Nothing()
			return nil
		}
	}
	if span.From != nil {
		where(column+" >= ?", *span.From)
	}
	if span.To != nil {
		where(column+" < ?", *span.To)
	}
	return nil
}

// Days adds the condition that a column's day lies in a range, both ends in; a nil
// range and open ends say nothing. A range that ends before it begins is
// BAD_USER_INPUT.
func (q *Query) Days(column string, span *models.DateRange) error {
	if span == nil {
		return nil
	}
	if span.From != nil && span.To != nil && span.To.Before(*span.From) {
		return errBackwards()
	}
	if span.From != nil {
		q.Where(column+" >= ?", *span.From)
	}
	if span.To != nil {
		q.Where(column+" <= ?", *span.To)
	}
	return nil
}

// Ordered refuses a range that ends before it begins.
func Ordered(from, to time.Time) error {
	if to.Before(from) {
		return errBackwards()
	}
	return nil
}

func errBackwards() error { return models.BadInput("the range ends before it begins") }

// PointsAt adds the condition that a column holds the id of an entity, given as a
// global id; nil says nothing. argument is what a malformed one is called.
func (q *Query) PointsAt(column, argument string, kind models.Kind, global *string) error {
	if global == nil {
		return nil
	}
	id, err := kind.Parse(*global)
	if err != nil {
		return models.BadInput("%s is no id of a %s", argument, kind.Words())
	}
	q.Where(column+" = ?", id)
	return nil
}

// PointsAtOne is PointsAt for one of several entities; nil says nothing, an empty list
// is for none.
func (q *Query) PointsAtOne(column, argument string, kind models.Kind, globals []string) error {
	if globals == nil {
		return nil
	}
	ids := make([]uuid.UUID, len(globals))
	for i, global := range globals {
		id, err := kind.Parse(global)
		if err != nil {
			return models.BadInput("%s[%d] is no id of a %s", argument, i, kind.Words())
		}
		ids[i] = id
	}
	if len(ids) == 0 {
		q.Nothing()
		return nil
	}
	ids = distinct(ids)
	switch {
	case len(ids) == 1:
		q.Where(column+" = ?", ids[0])
	case q.each == nil && len(ids) <= mostValues:
		q.each = &each{condition{sql: column, values: []any{ids}}, "uuid[]"}
	default:
		q.Where(column+" = ANY(?)", ids)
	}
	return nil
}

// In adds the condition that a column holds one of an enum's values: nil says
// nothing, an empty list is for no value. How the values are ordered and how
// often each is named makes no difference.
func In[E driver.Valuer](q *Query, column string, values []E) error {
	if values == nil {
		return nil
	}
	words, err := models.StoredWords(values)
	if err != nil {
		return err
	}
	slices.Sort(words)
	words = slices.Compact(words)
	switch {
	case len(words) == 0:
		q.Nothing()
	case len(words) == 1:
		// An equality lets an index give the order.
		q.Where(column+" = ?", words[0])
	case q.each == nil && len(words) <= mostValues:
		q.each = &each{condition{sql: column, values: []any{words}}, "text[]"}
	default:
		q.Where(column+" = ANY(?)", words)
	}
	return nil
}

// plain are the conditions where one column's values are not looked up one after the
// other. Below a parent the parent's index gives the order, and each value would have
// the parent's rows read once more.
func (q *Query) plain() []condition {
	if q.each == nil {
		return q.conditions
	}
	return append(slices.Clip(q.conditions), condition{sql: q.each.sql + " = ANY(?)", values: q.each.values})
}

// Apply puts the conditions into a statement that GORM builds, for what is counted or
// summed over a list's rows. GORM spells lists out, each value a parameter.
func (q *Query) Apply(tx *gorm.DB) *gorm.DB {
	if q.nothing {
		return tx.Where("false")
	}
	for _, c := range q.conditions {
		tx = tx.Where(strings.ReplaceAll(c.sql, "= ANY(?)", "IN ?"), c.values...)
	}
	if q.each != nil {
		tx = tx.Where(q.each.sql+" IN ?", q.each.values...)
	}
	return tx
}

// Args are a field's arguments as Go values, by name.
type Args map[string]any

// Arg is an argument's value; T's zero value where it was not given.
func Arg[T any](args Args, name string) T {
	value, _ := args[name].(T)
	return value
}
