package conform

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/entity"
)

// write is SQL that somebody with psql might run on one row, and the rows that it
// is tried on.
type write struct {
	column, sql string
	rows        []uuid.UUID
	// alone is a statement that names its rows itself, and must change some.
	alone bool
}

// write runs a write on the first row that takes it, and gives its SQL; "" if
// Postgres refuses it for all of them, or if it would change nothing.
func (s *Suite) write(t testing.TB, w write) string {
	t.Helper()
	if w.alone {
		done, err := s.psql.Exec(t.Context(), w.sql)
		require.NoError(t, err, w.sql)
		require.Positive(t, done.RowsAffected(), w.sql)
		return w.sql
	}
	for _, row := range w.rows {
		sql := fmt.Sprintf("%s AND id = '%s'", w.sql, row)
		done, err := s.psql.Exec(t.Context(), sql)
		if err != nil && w.column == "a new row that points" {
			t.Logf("%s: %v", w.column, err)
		}
		if err == nil && done.RowsAffected() > 0 {
			return sql
		}
	}
	return ""
}

// linking takes the links of a noun's rows to their parents away, and makes them again.
func (s *Suite) linking(t testing.TB, object string) []write {
	t.Helper()
	var all []write
	for _, p := range s.paths(object) {
		if p.Through == nil {
			continue
		}
		for _, parent := range s.parents(t, p, s.own, 1) {
			rows := s.ids(t, fmt.Sprintf("SELECT %s FROM %s WHERE clinic_id = $1 AND %s = $2", p.Through.Row, p.Through.Table, p.Through.Parent), s.own.ID, parent)
			all = append(all,
				write{column: "a link less", alone: true, sql: fmt.Sprintf("DELETE FROM %s WHERE clinic_id = '%s' AND %s = '%s' AND %s = '%s'",
					p.Through.Table, s.own.ID, p.Through.Parent, parent, p.Through.Row, rows[0])},
				write{column: "a link more", alone: true, sql: fmt.Sprintf("INSERT INTO %s (clinic_id, %s, %s) VALUES ('%s', '%s', '%s')",
					p.Through.Table, p.Through.Parent, p.Through.Row, s.own.ID, parent, rows[0])})
		}
	}
	return all
}

// mostTried bounds on how many rows a write is tried: what one row may not become
// another may.
const mostTried = 40

// mostPointed bounds at how many rows a new one tries to point.
const mostPointed = 4

// writes change one column of a row after the other, to several values each: of the
// first row that the clinic has, of one in the middle that short pages do not show,
// and of one below a parent that is asked for, where nothing else is shown. Some are
// refused by what the table demands.
func (s *Suite) writes(t testing.TB, of entity.Described) []write {
	t.Helper()
	tenant := tenantColumn(of.Table)
	spared := ""
	if of.Table == "memberships" {
		spared = " AND subject NOT LIKE '%@%.test'" // who asks goes on to
	}
	rows := s.ids(t, fmt.Sprintf("SELECT id FROM %s WHERE %s = $1%s ORDER BY id", of.Table, tenant, spared), s.own.ID)
	require.NotEmpty(t, rows, "no row of %s is furnished: have the seeder make some", of.Table)
	columns := s.columns(t, of.Table)
	var all []write
	half := len(rows) / 2
	for _, tried := range append([][]uuid.UUID{rows[:max(1, half)], rows[half:]}, s.asked(t, of)...) {
		tried = s.changeable(t, of.Table, tenant, tried)
		for _, c := range columns {
			if c.name == "id" || c.name == tenant || c.generated {
				continue
			}
			for _, to := range c.values(of.Table, tenant, s.own.ID) {
				all = append(all, write{c.name, fmt.Sprintf("UPDATE %[1]s SET %[2]s = %[3]s WHERE %[4]s = '%[5]s' AND %[2]s IS DISTINCT FROM %[3]s",
					of.Table, c.name, to, tenant, s.own.ID), tried, false})
			}
		}
	}
	if of.Table == "clinics" {
		return all
	}
	var names, copied []string
	for _, c := range columns {
		if c.generated {
			continue
		}
		names = append(names, c.name)
		switch {
		case c.name == "id":
			copied = append(copied, "gen_random_uuid()")
		case c.unique && c.nullable:
			copied = append(copied, "NULL")
		case c.unique && c.kind == "text" && !c.listed:
			copied = append(copied, c.name+" || 'x'")
		default:
			copied = append(copied, c.name)
		}
	}
	// A copy: the writes above look at the rows in their order later.
	rows = slices.Clone(rows)
	slices.Reverse(rows)
	all = append(all, write{"a new row", fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %[1]s WHERE clinic_id = '%[4]s'",
		of.Table, strings.Join(names, ", "), strings.Join(copied, ", "), s.own.ID), rows[:min(len(rows), mostTried)], false})
	for i, c := range columns {
		if c.kind != "uuid" || c.generated {
			continue
		}
		having := s.ids(t, fmt.Sprintf("SELECT id FROM %s WHERE clinic_id = $1 AND %s IS NOT NULL%s ORDER BY id DESC LIMIT $2", of.Table, c.name, spared), s.own.ID, mostTried)
		if c.unique && c.target != "" { // a copy must point at what nobody points at
			for nth := range mostPointed { // not all may be pointed at
				pointing := slices.Clone(copied)
				pointing[slices.Index(names, columns[i].name)] = fmt.Sprintf(
					"(SELECT f.id FROM %[1]s f WHERE f.clinic_id = '%[2]s' AND NOT EXISTS (SELECT FROM %[3]s u WHERE u.clinic_id = f.clinic_id AND u.%[4]s = f.id) ORDER BY f.id OFFSET %[5]d LIMIT 1)",
					c.target, s.own.ID, of.Table, c.name, nth)
				all = append(all, write{"a new row that points", fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %[1]s WHERE clinic_id = '%[4]s'",
					of.Table, strings.Join(names, ", "), strings.Join(pointing, ", "), s.own.ID), having, false})
			}
		}
		all = append(all, write{"a row less", fmt.Sprintf("DELETE FROM %s WHERE clinic_id = '%s'", of.Table, s.own.ID), having, false})
	}
	return all
}

// changeable are the first of some rows that may be changed at all: signed records, for
// one, may not.
func (s *Suite) changeable(t testing.TB, table, tenant string, rows []uuid.UUID) (some []uuid.UUID) {
	t.Helper()
	for _, row := range rows {
		if len(some) == mostTried {
			break
		}
		tx, err := s.psql.Begin(t.Context())
		require.NoError(t, err)
		_, refused := tx.Exec(t.Context(), fmt.Sprintf("UPDATE %s SET %[2]s = %[2]s WHERE %[2]s = '%s' AND id = '%s'", table, tenant, s.own.ID, row))
		require.NoError(t, tx.Rollback(t.Context()))
		if refused == nil {
			some = append(some, row)
		}
	}
	return some
}

// asked are rows below the parents that questions are about, those first that short
// pages do not show: of what is no Node below every such parent, of a Node below one.
func (s *Suite) asked(t testing.TB, of entity.Described) (rows [][]uuid.UUID) {
	t.Helper()
	for _, p := range s.paths(of.Object) {
		if p.Parent == "" || p.parentKind == "" {
			continue
		}
		for _, parent := range s.parents(t, p, s.own, 1) {
			rows = append(rows, s.ids(t, fmt.Sprintf("SELECT id FROM %s WHERE clinic_id = $1 AND %s = $2 ORDER BY id DESC", of.Table, p.Parent), s.own.ID, parent))
		}
		if of.Kind != "" && len(rows) > 0 {
			break
		}
	}
	return rows
}

// Write runs a random one of all writes to all nouns past the API, in the furnished
// clinic, and gives its SQL.
func (s *Suite) Write(t testing.TB, dice *rand.Rand) string {
	t.Helper()
	if s.known == nil {
		for _, noun := range s.Nouns() {
			if noun != "Clinic" { // a clinic's change makes all its answers new
				s.known = append(s.known, s.writes(t, s.described(t, noun)))
			}
		}
	}
	for {
		of := s.known[dice.IntN(len(s.known))]
		w := of[dice.IntN(len(of))]
		if len(w.rows) == 0 {
			continue
		}
		w.rows = []uuid.UUID{w.rows[dice.IntN(len(w.rows))]}
		if ran := s.write(t, w); ran != "" {
			return ran
		}
	}
}

// column is one of a table, as the catalogue has it.
type column struct {
	name, kind                  string
	nullable, generated, unique bool
	// listed is whether a check lists the words that it may hold.
	listed bool
	// target is the table that it points at; "" if it points at none.
	target string
}

func (s *Suite) columns(t testing.TB, table string) (all []column) {
	t.Helper()
	for _, row := range s.query(t, `SELECT jsonb_build_object('name', a.attname, 'kind', format_type(a.atttypid, NULL),
			'nullable', NOT a.attnotnull, 'generated', a.attgenerated <> '',
			'unique', EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND NOT i.indisprimary AND a.attnum = ANY (i.indkey)
				AND a.attname <> 'clinic_id'),
			'listed', EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum] AND pg_get_constraintdef(k.oid) LIKE '%ANY (ARRAY[%'),
			'target', (SELECT c.confrelid::regclass::text FROM pg_constraint c
				WHERE c.conrelid = a.attrelid AND c.contype = 'f' AND a.attnum = ANY (c.conkey) AND a.attname <> 'clinic_id' LIMIT 1))
		FROM pg_attribute a WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, table) {
		text, err := json.Marshal(row)
		require.NoError(t, err)
		var c struct {
			Name, Kind                  string
			Nullable, Generated, Unique bool
			Listed                      bool
			Target                      string
		}
		require.NoError(t, json.Unmarshal(text, &c))
		all = append(all, column{c.Name, c.Kind, c.Nullable, c.Generated, c.Unique, c.Listed, c.Target})
	}
	return all
}

// values are what a column is set to: beyond either end of what there is, so that
// the row moves in every order, and to what other rows have.
func (c column) values(table, tenant string, clinic uuid.UUID) []string {
	among := func(what string) string {
		return fmt.Sprintf("(SELECT %s FROM %s WHERE %s = '%s')", what, table, tenant, clinic)
	}
	other := func(n int) string {
		return fmt.Sprintf("(SELECT %[1]s FROM (SELECT %[1]s, count(*) FROM %[2]s WHERE %[3]s = '%[4]s' AND %[1]s IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 OFFSET %[5]d LIMIT 1) o)",
			c.name, table, tenant, clinic, n)
	}
	switch c.kind {
	case "smallint", "integer", "bigint":
		return []string{c.name + " + 1", c.name + " - 1"}
	case "timestamp with time zone", "date":
		whole := ""
		if c.kind == "date" {
			whole = "::date"
		}
		return []string{
			"(" + among("min("+c.name+")") + " - interval '1 day')" + whole, "(" + among("max("+c.name+")") + " + interval '1 day')" + whole,
			"(" + c.name + " - interval '1 day')" + whole, "now()" + whole,
		}
	case "boolean":
		return []string{"NOT " + c.name}
	case "uuid", "character":
		return []string{other(0), other(1)}
	case "text[]":
		return []string{"'{x}'::text[]", "'{}'::text[]"}
	case "jsonb":
		return []string{`'{"x": 1}'::jsonb`}
	default:
		return []string{other(0), other(1), "'A'", "'x'"}
	}
}
