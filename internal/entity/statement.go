package entity

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
)

// statement says what is to be read. What shapes its SQL is apart from its
// values, so that the SQL is built once for all values.
type statement struct {
	noun    *noun
	columns []string
	where   []condition
	each    *each
	// gathered has all rows found before any is sorted.
	gathered bool
	order    *ordered
	limit    int
	// per is the column that points at a parent: the statement then reads the same
	// once per parent, each with the order and limit of its own.
	per     string
	parents []uuid.UUID
	// through is the table that joins rows to parents, where no column points at one:
	// the rows' parents are then read into via.
	through *Link
	via     *[]uuid.UUID
	// finder is a function of Postgres' that finds the rows of a parent and their places;
	// the parents are read into via.
	finder string
	// joins are what is read beside the rows.
	joins []*join
	// counting asks how many rows there are instead of for the rows.
	counting bool
}

// foundPlace is the order of what a finder finds.
const foundPlace = "found.place"

// ordered is an order and its direction.
type ordered struct {
	column    string
	backwards bool
}

// slot stands for the value of a placeholder while GORM builds a statement.
type slot int

// composed is a statement's SQL, with where each placeholder's value comes from.
type composed struct {
	sql string
	// slots are indexes of the values; theClinic stands for the scope's.
	slots []slot
}

const theClinic slot = -1

// statements keeps what was composed, by shape. Clients decide which columns and
// filters there are, so it is bounded, and begins anew when it is full.
type statements struct {
	kept  sync.Map
	count atomic.Int64
}

const mostShapes = 4096

// sql gives the statement's text and its values, in the order of placeholders.
func (s *statements) sql(ctx context.Context, db *database.DB, st *statement) (string, []any, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return "", nil, err
	}
	shape := st.shape()
	var made *composed
	if known, ok := s.kept.Load(shape); ok {
		made, _ = known.(*composed)
	}
	if made == nil {
		if made, err = st.compose(ctx, db, scope); err != nil {
			return "", nil, err
		}
		if s.count.Add(1) > mostShapes {
			s.kept.Clear()
			s.count.Store(1)
		}
		s.kept.Store(shape, made)
	}
	values := st.values()
	args := make([]any, len(made.slots))
	for i, from := range made.slots {
		if from == theClinic {
			args[i] = scope.ClinicID
		} else {
			args[i] = values[from]
		}
	}
	return made.sql, args, nil
}

// shape is all that the SQL depends on, and no value.
func (st *statement) shape() string {
	var b strings.Builder
	b.Grow(256)
	b.WriteString(st.noun.object)
	for _, name := range st.columns {
		b.WriteByte(',')
		b.WriteString(name)
	}
	for i := range st.where {
		b.WriteByte('\n')
		b.WriteString(st.spelt(st.where[i]))
	}
	if st.each != nil {
		b.WriteString("\neach ")
		b.WriteString(st.each.sql)
	}
	if st.order != nil {
		b.WriteString("\nby ")
		b.WriteString(st.order.column)
		if st.order.backwards {
			b.WriteByte('-')
		}
	}
	b.WriteString("\n")
	b.WriteString(st.per)
	if st.through != nil {
		b.WriteString(" through ")
		b.WriteString(st.through.Table)
	}
	if st.finder != "" {
		b.WriteString(" found by ")
		b.WriteString(st.finder)
	}
	b.WriteByte(' ')
	b.WriteString(strconv.Itoa(st.limit))
	if st.counting {
		b.WriteString(" count")
	}
	if st.gathered {
		b.WriteString(" gathered")
	}
	for _, j := range st.joins {
		j.shape(&b)
	}
	return b.String()
}

// values are those of all placeholders, in the order in which slots number them.
func (st *statement) values() []any {
	values := make([]any, 0, 8)
	for i := range st.where {
		values = append(values, st.where[i].values...)
	}
	if st.each != nil {
		values = append(values, st.each.values...)
	}
	if st.per != "" || st.through != nil || st.finder != "" {
		values = append(values, st.parents)
	}
	eachJoin(st.joins, func(j *join) {
		if j.first == nil {
			return
		}
		for _, c := range j.first.where {
			values = append(values, c.values...)
		}
	})
	return values
}

// compose has GORM build the statement with slots for values. A value that got
// into it in another way would be another request's, so it is an error.
func (st *statement) compose(ctx context.Context, db *database.DB, scope *tenant.Scope) (*composed, error) {
	next := slot(0)
	slots := func(n int) []any {
		all := make([]any, n)
		for i := range all {
			all[i] = next
			next++
		}
		return all
	}
	sql, vars, err := db.Compose(ctx, st.noun.target(), func(tx *gorm.DB) *gorm.DB {
		for _, c := range st.where {
			tx = tx.Where(st.spelt(c), slots(len(c.values))...)
		}
		if st.counting {
			return st.count(tx, slots)
		}
		tx = tx.Select(st.columns)
		if st.gathered {
			return st.oneOf(tx, slots)
		}
		if st.each != nil {
			tx = tx.Where(st.each.sql + " = one.value")
		}
		if st.per != "" {
			tx = tx.Where(st.per + " = parent.id")
		}
		if st.through != nil {
			tx = tx.Where(st.linked() + " AND link." + st.through.Parent + " = parent.id)")
		}
		if st.finder != "" {
			tx = tx.Joins("JOIN " + st.finder + "(parent.id) AS found (row_id, place) ON found.row_id = " + st.noun.table + ".id")
		}
		if st.order != nil {
			tx = tx.Clauses(st.order.clause(""))
		}
		if st.limit > 0 {
			tx = tx.Clauses(limit(st.limit))
		}
		return tx
	})
	if err != nil {
		return nil, fmt.Errorf("entity: compose a statement on %s: %w", st.noun.table, err)
	}
	made := &composed{}
	if err := made.take(st.noun, scope, vars); err != nil {
		return nil, err
	}
	made.sql, err = st.beside(st.around(sql, made, slots), made, &besides{ctx, db, scope, slots})
	return made, err
}

// take takes over the values of a statement that GORM has built.
func (c *composed) take(of *noun, scope *tenant.Scope, vars []any) error {
	for _, value := range vars {
		switch v := value.(type) {
		case slot:
			c.slots = append(c.slots, v)
		case uuid.UUID:
			if v != scope.ClinicID {
				return fmt.Errorf("entity: a statement on %s holds a value that nobody gave it", of.table)
			}
			c.slots = append(c.slots, theClinic)
		default:
			return fmt.Errorf("entity: a statement on %s holds a %T that nobody gave it", of.table, value)
		}
	}
	return nil
}

// linked begins the condition that a link joins the row to a parent.
func (st *statement) linked() string {
	return fmt.Sprintf("EXISTS (SELECT FROM %s link WHERE link.clinic_id = %s.clinic_id AND link.%s = %s.id",
		st.through.Table, st.noun.table, st.through.Row, st.noun.table)
}

// spelt is a condition as the statement has it.
func (st *statement) spelt(c condition) string {
	if c.page == "" || st.counting {
		return c.sql
	}
	return c.page
}

// oneOf adds that a column has one of several values, where that is one look-up.
func (st *statement) oneOf(tx *gorm.DB, slots func(int) []any) *gorm.DB {
	if st.each == nil {
		return tx
	}
	return tx.Where(st.each.sql+" = ANY(?)", slots(len(st.each.values))...)
}

// count makes the statement one that counts: per parent where there are parents.
func (st *statement) count(tx *gorm.DB, slots func(int) []any) *gorm.DB {
	tx = st.oneOf(tx, slots)
	if st.through != nil {
		parent := "link." + st.through.Parent
		return tx.Joins(fmt.Sprintf("JOIN %s link ON link.clinic_id = %s.clinic_id AND link.%s = %s.id",
			st.through.Table, st.noun.table, st.through.Row, st.noun.table)).
			Where(parent+" = ANY(?)", slots(1)...).Select(parent + " AS parent, count(*)::int AS total").Group(parent)
	}
	if st.per == "" {
		return tx.Select("count(*)::int AS total")
	}
	return tx.Where(st.per+" = ANY(?)", slots(1)...).Select(st.per + " AS parent, count(*)::int AS total").Group(st.per)
}

// around puts around GORM's statement what GORM cannot say: the same once per
// value and once per parent.
func (st *statement) around(sql string, made *composed, slots func(int) []any) string {
	if st.counting {
		return sql
	}
	if st.gathered { // OFFSET 0 keeps the order and the limit out of what is planned
		return "SELECT found.* FROM (" + sql + " OFFSET 0) AS found" + st.order.sql("found.") + " LIMIT " + strconv.Itoa(st.limit)
	}
	placeholder := func() string {
		of, _ := slots(1)[0].(slot)
		made.slots = append(made.slots, of)
		return "$" + strconv.Itoa(len(made.slots))
	}
	if st.each != nil {
		sql = "SELECT found.* FROM unnest(" + placeholder() + "::" + st.each.array + ") AS one(value) CROSS JOIN LATERAL (" + sql + ") AS found"
		if st.order != nil {
			sql += st.order.sql("found.")
		}
		if st.limit > 0 {
			sql += " LIMIT " + strconv.Itoa(st.limit)
		}
	}
	if st.through != nil || st.finder != "" {
		sql = "SELECT child.*, parent.id FROM unnest(" + placeholder() + "::uuid[]) AS parent(id) CROSS JOIN LATERAL (" + sql + ") AS child"
	}
	if st.per != "" {
		sql = "SELECT child.* FROM unnest(" + placeholder() + "::uuid[]) AS parent(id) CROSS JOIN LATERAL (" + sql + ") AS child"
	}
	return sql
}

// columns are those that decide the order before the id does.
func (o *ordered) columns() []string { return strings.Split(o.column, ",") }

func (o *ordered) sql(prefix string) string {
	direction := ""
	if o.backwards {
		direction = " DESC"
	}
	var sql strings.Builder
	sql.WriteString(" ORDER BY ")
	for _, name := range o.columns() {
		sql.WriteString(prefix + name + direction + ", ")
	}
	return sql.String() + prefix + "id" + direction
}

func (o *ordered) clause(prefix string) clause.Expression {
	return verbatim{"ORDER BY", strings.TrimPrefix(o.sql(prefix), " ")}
}

// limit writes the number itself: for a placeholder Postgres would plan as if a
// tenth of all rows were wanted.
func limit(rows int) clause.Expression {
	return verbatim{"LIMIT", "LIMIT " + strconv.Itoa(rows)}
}

// verbatim is a clause whose text is written in the code.
type verbatim struct{ name, text string }

// Name implements clause.Interface.
func (v verbatim) Name() string { return v.name }

// Build implements clause.Expression.
func (v verbatim) Build(builder clause.Builder) { _, _ = builder.WriteString(v.text) }

// MergeClause implements clause.Interface.
func (v verbatim) MergeClause(c *clause.Clause) { c.Name, c.Expression = "", v }
