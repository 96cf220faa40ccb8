package entity

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
)

// besides is what GORM needs to build what is read beside a statement's rows.
type besides struct {
	ctx   context.Context //nolint:containedctx // it lives as long as the call that it stands for
	db    *database.DB
	scope *tenant.Scope
	slots func(int) []any
}

// beside joins what is read beside each row. GORM builds each look-up, with the clinic
// in it. What rows point at is one look-up for all ids that they have, which under
// row-level security costs less than one beside each row, and which no plan can turn
// into a scan. The rows and their order stay what they are.
func (st *statement) beside(sql string, made *composed, by *besides) (string, error) {
	if len(st.joins) == 0 {
		return sql, nil
	}
	var with, columns, joins strings.Builder
	with.WriteString("WITH base AS MATERIALIZED (" + sql + ")")
	read := 0
	var add func(from string, all []*join) error
	add = func(from string, all []*join) error {
		for _, j := range all {
			name := "j" + strconv.Itoa(read)
			read++
			look, err := j.look(from, made, by)
			if err != nil {
				return err
			}
			columns.WriteString(", " + name + ".*")
			if j.first == nil {
				joins.WriteString(" LEFT JOIN (" + look + ") AS " + name + " ON " + name + ".id = " + from + "." + j.column)
				continue
			}
			with.WriteString(", " + name + " AS MATERIALIZED (SELECT child.* FROM " + from + " CROSS JOIN LATERAL (" + look + ") AS child)")
			joins.WriteString(" LEFT JOIN " + name + " ON " + name + "." + j.first.per + " = " + from + ".id")
			if err := add(name, j.joins()); err != nil {
				return err
			}
		}
		return nil
	}
	if err := add("base", st.joins); err != nil {
		return "", err
	}
	sql = with.String() + " SELECT base.*" + columns.String() + " FROM base" + joins.String()
	if st.order != nil {
		sql += st.order.sql("base.")
	}
	return sql, nil
}

// look is the statement that reads what a join reads, beside the rows that have a name.
func (j *join) look(from string, made *composed, by *besides) (string, error) {
	sql, vars, err := by.db.Compose(by.ctx, j.of.target(), func(tx *gorm.DB) *gorm.DB {
		tx = tx.Select(j.columns)
		if j.first == nil {
			return tx.Where("id = ANY(ARRAY(SELECT " + j.column + " FROM " + from + "))")
		}
		for _, c := range j.first.where {
			tx = tx.Where(c.sql, by.slots(len(c.values))...)
		}
		return tx.Where(j.first.per+" = "+from+".id").Clauses(j.first.order.clause(""), limit(j.first.limit))
	})
	if err != nil {
		return "", fmt.Errorf("entity: compose a statement on %s: %w", j.of.table, err)
	}
	before := len(made.slots)
	if err := made.take(j.of, by.scope, vars); err != nil {
		return "", err
	}
	return placeholders.ReplaceAllStringFunc(sql, func(placeholder string) string {
		n, _ := strconv.Atoi(placeholder[1:])
		return "$" + strconv.Itoa(before+n)
	}), nil
}

var placeholders = regexp.MustCompile(`\$[0-9]+`)

// shape is what of the statement's text the join decides.
func (j *join) shape(b *strings.Builder) {
	b.WriteString("\nbeside " + j.column + " " + j.of.object)
	for _, name := range j.columns {
		b.WriteByte(',')
		b.WriteString(name)
	}
	if j.first != nil {
		b.WriteString(" the first " + j.first.shape())
	}
	b.WriteString("(")
	for _, below := range j.joins() {
		below.shape(b)
	}
	b.WriteString(")")
}
