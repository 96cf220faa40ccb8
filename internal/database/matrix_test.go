package database_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/doctor"
	"github.com/taskmed/taskmed/internal/testkit"
)

// What Postgres answers where there is no right, no clinic, or not that clinic's.
const (
	noRight   = "42501" // insufficient_privilege: also a row that the policy refuses
	noSetting = "42704" // undefined_object: app.clinic was never set
	noUUID    = "22P02" // invalid_text_representation: app.clinic is ''
	noData    = "P0002" // no_data_found: a trigger missed a row
)

// operation is one way to touch a table's row of a clinic. It answers with how
// many rows it saw or changed.
type operation struct {
	name string
	// rights are what it takes.
	rights []string
	run    func(t *testing.T, tx pgx.Tx, table table) (rows int64, err error)
	// writes tells that the policy refuses a foreign row rather than hiding it.
	writes bool
}

func operations() []operation {
	exec := func(t *testing.T, tx pgx.Tx, sql string, args ...any) (int64, error) {
		t.Helper()
		tag, err := tx.Exec(t.Context(), sql, args...)
		return tag.RowsAffected(), err
	}
	key := func(table table) string {
		switch table.name {
		case "contact_search":
			return "clinic_id, contact_id"
		case "contact_search_words":
			return "clinic_id, word, archived, place, line, contact_id"
		case "contact_search_phones":
			return "clinic_id, phone_tail, contact_id"
		case "contact_tags":
			return "clinic_id, tag, contact_id"
		case "contact_search_vocabulary":
			return "clinic_id, word"
		case "contact_search_misspellings":
			return "clinic_id, remainder, word"
		case "idempotency_keys":
			return "clinic_id, subject, key"
		case "audit_events":
			return "clinic_id, at, id"
		case "outgoing_messages":
			return "clinic_id, message_id"
		case "counters":
			return "clinic_id, name"
		case "webhook_lanes":
			return "clinic_id, endpoint_id"
		case "outbox":
			return "clinic_id, sequence"
		case "financial_sums":
			return "clinic_id, part, span, starts, key"
		case "appointment_changes":
			return "clinic_id, appointment_id, practitioner_id"
		case "practitioner_services":
			return "clinic_id, practitioner_id, service_id"
		case "clinics":
			return "id"
		}
		return "clinic_id, id"
	}
	upsert := func(action string) func(*testing.T, pgx.Tx, table) (int64, error) {
		return func(t *testing.T, tx pgx.Tx, table table) (int64, error) {
			t.Helper()
			sql, args := table.insert(table.row(0)) // this row is there already
			return exec(t, tx, fmt.Sprintf("%s ON CONFLICT (%s) DO %s", sql, key(table), fmt.Sprintf(action, table.clinicColumn())), args...)
		}
	}
	return []operation{
		{"select", []string{"SELECT"}, func(t *testing.T, tx pgx.Tx, table table) (seen int64, err error) {
			t.Helper()
			err = tx.QueryRow(t.Context(), fmt.Sprintf("SELECT count(*) FROM %s WHERE %s = $1", table.name, table.clinicColumn()), table.clinic).Scan(&seen)
			return seen, err
		}, false},
		{"insert", []string{"INSERT"}, func(t *testing.T, tx pgx.Tx, table table) (int64, error) {
			t.Helper()
			sql, args := table.insert(table.row(2))
			return exec(t, tx, sql, args...)
		}, true},
		{"update", []string{"UPDATE"}, func(t *testing.T, tx pgx.Tx, table table) (int64, error) {
			t.Helper()
			return exec(t, tx, fmt.Sprintf("UPDATE %[1]s SET %[2]s = %[2]s WHERE %[2]s = $1", table.name, table.clinicColumn()), table.clinic)
		}, false},
		{"delete", []string{"DELETE"}, func(t *testing.T, tx pgx.Tx, table table) (int64, error) {
			t.Helper()
			return exec(t, tx, fmt.Sprintf("DELETE FROM %s WHERE %s = $1", table.name, table.clinicColumn()), table.clinic)
		}, false},
		{"upsert", []string{"INSERT", "UPDATE"}, upsert("UPDATE SET %[1]s = excluded.%[1]s"), true},
		// An insert that gives way must not tell whether the row is there.
		{"insert if absent", []string{"INSERT"}, upsert("NOTHING /* %s */"), true},
	}
}

// state is what a connection's clinic may be.
type state struct {
	name string
	put  func(t *testing.T, conn *pgx.Conn)
	// foreign tells that the clinic is set, to another one.
	own, foreign bool
	refusal      string
}

// I2 of the promises, as the application's role and without any code of ours
// between it and the tables.
func TestMatrix_NobodyReachesAnotherClinicsRows(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	a, b := newSample(t, d), newSample(t, d)
	super := d.Connect(t, d.SuperuserURL)
	requireEveryTable(t, super, a)
	before := contents(t, super, b)

	set := func(to string) func(t *testing.T, conn *pgx.Conn) {
		return func(t *testing.T, conn *pgx.Conn) {
			t.Helper()
			_, err := conn.Exec(t.Context(), "SELECT set_config('app.clinic', $1, false)", to)
			require.NoError(t, err)
		}
	}
	states := []state{
		{"own", set(b.clinic.String()), true, false, ""},
		{"foreign", set(a.clinic.String()), false, true, noRight},
		{"unset", func(*testing.T, *pgx.Conn) {}, false, false, noSetting},
		{"''", set(""), false, false, noUUID},
	}
	tried := 0
	for _, state := range states {
		conn := d.Connect(t, d.AppURL)
		state.put(t, conn)
		for _, table := range b.tables() {
			for _, op := range operations() {
				name := fmt.Sprintf("%s %s with %s clinic", op.name, table.name, state.name)
				granted := !slices.ContainsFunc(op.rights, func(right string) bool { return !has(t, super, table.name, right) })
				rows, err := attempt(t, conn, op, table, state.own)
				check(t, name, state, op, table, granted, rows, err)
				tried++
			}
		}
	}
	require.Equal(t, before, contents(t, super, b), "nothing but its own clinic changed it, and that was rolled back")
	require.GreaterOrEqual(t, tried, 30*6*4)
}

func check(t *testing.T, name string, state state, op operation, table table, granted bool, rows int64, err error) {
	t.Helper()
	switch {
	case !granted:
		require.Equal(t, noRight, codeOf(err), name)
	case state.own && op.name == "insert if absent":
		require.NoError(t, err, name)
		require.Zero(t, rows, name)
	case state.own && op.name == "delete" && table.name == "medical_records":
		require.Equal(t, "23503", codeOf(err), "%s: a draft with attachments stays", name)
	case state.own:
		require.NoError(t, err, name)
		require.Positive(t, rows, name)
	case state.foreign && !op.writes:
		require.NoError(t, err, name)
		require.Zero(t, rows, name)
	case state.foreign && table.name == "appointments":
		// The trigger that looks for the clinic's zone comes first: to it the
		// other clinic does not exist.
		require.Equal(t, noData, codeOf(err), "%s: %v", name, err)
	default:
		require.Equal(t, state.refusal, codeOf(err), "%s: %v", name, err)
		require.Zero(t, rows, name)
	}
}

// attempt runs an operation; what a clinic does to its own rows is taken back.
func attempt(t *testing.T, conn *pgx.Conn, op operation, table table, takeBack bool) (rows int64, err error) {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	// What is no clinic's setting: the search tables are written by hand here.
	_, err = tx.Exec(t.Context(), "SET LOCAL app.contact_search = 'deferred'")
	require.NoError(t, err)
	rows, failed := op.run(t, tx, table)
	if takeBack || failed != nil {
		require.NoError(t, tx.Rollback(t.Context()))
	} else {
		require.NoError(t, tx.Commit(t.Context()))
	}
	return rows, failed
}

// A forgotten clinic is an error even where there is nothing to see.
func TestMatrix_AnUnsetClinicIsAnErrorOnEmptyTables(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	for setting, refusal := range map[string]string{"unset": noSetting, "": noUUID} {
		conn := d.Connect(t, d.AppURL)
		if setting == "" {
			_, err := conn.Exec(t.Context(), "SELECT set_config('app.clinic', '', false)")
			require.NoError(t, err)
		}
		for _, table := range (sample{}).tables() {
			for _, sql := range []string{
				"SELECT count(*) FROM " + table.name,
				"SELECT * FROM " + table.name + " LIMIT 1",
				"SELECT EXISTS (SELECT FROM " + table.name + ")",
				fmt.Sprintf("SELECT * FROM %s WHERE %s = '00000000-0000-0000-0000-000000000001'", table.name, table.clinicColumn()),
			} {
				_, err := conn.Exec(t.Context(), sql)
				require.Equal(t, refusal, codeOf(err), "%s with clinic %q: %v", sql, setting, err)
			}
		}
	}
}

// Without naming any clinic, a statement sees its own clinic's rows only.
func TestMatrix_AnUnconditionalStatementSeesItsOwnClinic(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	a, b := newSample(t, d), newSample(t, d)
	conn := d.Connect(t, d.AppURL)
	for _, own := range []sample{a, b} {
		_, err := conn.Exec(t.Context(), "SELECT set_config('app.clinic', $1, false)", own.clinic.String())
		require.NoError(t, err)
		for _, table := range own.tables() {
			var seen, foreign int
			require.NoError(t, conn.QueryRow(t.Context(), fmt.Sprintf("SELECT count(*), count(*) FILTER (WHERE %[2]s <> $1) FROM %[1]s",
				table.name, table.clinicColumn()), own.clinic).Scan(&seen, &foreign), table.name)
			require.Positive(t, seen, table.name)
			require.Zero(t, foreign, table.name)
		}
	}
}

// Own rows cannot be given away, nor made to point at another clinic's.
func TestMatrix_NoRowLeavesItsClinic(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	a, b := newSample(t, d), newSample(t, d)
	super, conn := d.Connect(t, d.SuperuserURL), d.Connect(t, d.AppURL)
	_, err := conn.Exec(t.Context(), "SELECT set_config('app.clinic', $1, false)", a.clinic.String())
	require.NoError(t, err)
	for _, table := range a.tables() {
		if !has(t, super, table.name, "UPDATE") {
			continue
		}
		_, err := conn.Exec(t.Context(), fmt.Sprintf("UPDATE %[1]s SET %[2]s = $1 WHERE %[2]s = $2", table.name, table.clinicColumn()), b.clinic, a.clinic)
		require.Error(t, err, table.name)
	}
	pointing := 0
	others := b.tables()
	for i, table := range a.tables() {
		theirs, ours := others[i].row(2), table.row(2)
		for column, value := range theirs {
			switch {
			case !strings.HasSuffix(column, "_id"), column == "clinic_id", !has(t, super, table.name, "INSERT"):
				continue
			case column == "entity_id", column == "request_id":
				continue // no reference
			case table.name == "contact_search_words", table.name == "appointment_changes":
				continue // without a foreign key, for the triggers alone write it
			case table.name == "webhook_deliveries":
				continue // without a foreign key: what they are of may go before them
			}
			wrong := table.row(2)
			wrong[column] = value
			sql, args := table.insert(wrong)
			_, err := conn.Exec(t.Context(), sql, args...)
			require.Error(t, err, "%s.%s points at another clinic", table.name, column)
			require.NotEqual(t, ours[column], value)
			pointing++
		}
	}
	require.GreaterOrEqual(t, pointing, 20)
}

// Partitions are reached through their table alone.
func TestMatrix_PartitionsAreOutOfReach(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	a := newSample(t, d)
	rows, err := d.Connect(t, d.SuperuserURL).Query(t.Context(), "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_events'::regclass")
	require.NoError(t, err)
	partitions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(partitions), 12)
	conn := d.Connect(t, d.AppURL)
	_, err = conn.Exec(t.Context(), "SELECT set_config('app.clinic', $1, false)", a.clinic.String())
	require.NoError(t, err)
	for _, partition := range partitions {
		_, err := conn.Exec(t.Context(), "SELECT * FROM "+partition)
		require.Equal(t, noRight, codeOf(err), partition)
	}
}

// requireEveryTable makes a table that is added later ask for its sample.
func requireEveryTable(t *testing.T, super *pgx.Conn, s sample) {
	t.Helper()
	tables, err := doctor.TenantTables(t.Context(), super)
	require.NoError(t, err)
	rows, err := super.Query(t.Context(), "SELECT inhrelid::regclass::text FROM pg_inherits")
	require.NoError(t, err)
	partitions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	tables = slices.DeleteFunc(tables, func(table string) bool { return slices.Contains(partitions, table) })
	var sampled []string
	for _, table := range s.tables() {
		sampled = append(sampled, table.name)
	}
	require.ElementsMatch(t, tables, sampled, "every tenant table has its rows in fixture_test.go")
}

func has(t *testing.T, super *pgx.Conn, table, right string) (granted bool) {
	t.Helper()
	require.NoError(t, super.QueryRow(t.Context(), "SELECT has_table_privilege('taskmed_app', $1::text, $2::text)", table, right).Scan(&granted))
	return granted
}

// contents is a hash of all rows of a clinic in each table.
func contents(t *testing.T, super *pgx.Conn, s sample) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, table := range s.tables() {
		var hash string
		require.NoError(t, super.QueryRow(t.Context(), fmt.Sprintf(
			"SELECT coalesce(md5(string_agg(r::text, E'\n' ORDER BY r::text)), '') FROM %s r WHERE %s = $1",
			table.name, table.clinicColumn()), s.clinic).Scan(&hash), table.name)
		require.NotEmpty(t, hash, table.name)
		all[table.name] = hash
	}
	return all
}

func codeOf(err error) string {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refused.Code
	}
	return fmt.Sprint(err)
}
