package seed

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
)

// What was not checked row by row is checked in the end, in every clinic: each
// of these rows is wrong in the first of two, and the second is the one that
// the connection works for last.
func TestTables_RefuseWrongRowsOfEveryClinic(t *testing.T) {
	t.Parallel()
	o := Options{Clinics: 2, Contacts: 1500, Practitioners: 8, Appointments: 2000, Records: 2000, Today: time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC)}
	const nothing = ""
	for name, wrong := range map[string]struct {
		table string
		// spoil changes the row at 1; row 0 is the one before it.
		spoil func(row, before []any)
		code  string
	}{
		"nothing":                      {nothing, nil, ""},
		"an appointment with nobody":   {"appointments", func(row, _ []any) { row[2] = newSource(0, "", "nobody").id(o.Today) }, "23503"},
		"a record of no appointment":   {"medical_records", func(row, _ []any) { row[4] = newSource(0, "", "none").id(o.Today) }, "23503"},
		"a message in no conversation": {"messages", func(row, _ []any) { row[2] = newSource(0, "", "none").id(o.Today) }, "23503"},
		"a tax id twice":               {"contacts", func(row, before []any) { row[6], before[6] = "52998224725", "52998224725" }, "23505"},
		"a message's id twice":         {"messages", func(row, before []any) { row[1] = before[1] }, "23505"},
		"a record's id twice":          {"medical_records", func(row, before []any) { row[1] = before[1] }, "23505"},
		"a practitioner in two places": {"appointments", func(row, before []any) {
			copy(row[5:9], before[5:9])
			row[8], row[3] = "agendado", before[3]
			before[8] = "agendado"
		}, "23P01"},
		"a phone number that is none":   {"contacts", func(row, _ []any) { row[5] = "11 98765-4321" }, "23514"},
		"a status that does not exist":  {"appointments", func(row, _ []any) { row[8] = "perdido" }, "23514"},
		"an invoice that is overpaid":   {"invoices", func(row, _ []any) { row[8] = int64(1_000_000_000) }, "23514"},
		"an appointment without an end": {"appointments", func(row, _ []any) { row[6] = nil }, "23502"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testkit.NewDatabase(t)
			err := pgx.BeginFunc(t.Context(), d.Connect(t, d.OwnerURL), func(tx pgx.Tx) error {
				return load(t, tx, o, func(clinic int, b *batch) {
					if clinic == 0 && b.table == wrong.table {
						spoilt := make([][]any, 2)
						for i := range spoilt {
							spoilt[i] = make([]any, len(b.columns))
							b.fill(i, spoilt[i])
						}
						wrong.spoil(spoilt[1], spoilt[0])
						fill := b.fill
						b.fill = func(i int, row []any) {
							if fill(i, row); i < 2 {
								copy(row, spoilt[i])
							}
						}
					}
				})
			})
			if wrong.code == "" {
				require.NoError(t, err)
				return
			}
			var refused *pgconn.PgError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, wrong.code, refused.Code, refused.Message)
		})
	}
}

// load writes the clinics as Run does, each batch changed before it is sent.
func load(t *testing.T, tx pgx.Tx, o Options, change func(clinic int, b *batch)) error {
	t.Helper()
	l, err := readLists()
	require.NoError(t, err)
	require.NoError(t, lockTables(t.Context(), tx))
	tables, err := openTables(t.Context(), tx, expected(o, o.Clinics))
	require.NoError(t, err)
	for i := range o.Clinics {
		var made *clinic
		err := makeClinic(l, o, i, func(c *clinic, rows []batch) error {
			made = c
			for _, b := range rows {
				change(i, &b)
				if err := tables.copy(t.Context(), b, silent{}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		require.NoError(t, tables.makeSearchable(t.Context(), made, silent{}))
	}
	return tables.close(t.Context(), silent{})
}
