package seed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// seededTables are the tables that rows are copied into, those referred to
// before those that refer.
func seededTables() []string {
	return []string{
		"clinic_slugs", "clinics", "memberships", "api_keys", "services", "practitioners", "practitioner_services", "working_hours", "time_off", "calendar_feeds",
		"contacts", "consents", "contact_identities", "channel_accounts", "conversations", "messages", "counters", "changes", "webhook_endpoints", "webhook_lanes", "webhook_deliveries", "invoices", "invoice_items", "payments", "refunds", "medical_records", "attachments", "appointment_steps", "appointments", "waitlist_entries",
	}
}

// searchTables follow the contacts.
func searchTables() []string {
	return []string{"contact_search", "contact_search_words", "contact_search_vocabulary", "contact_search_misspellings", "contact_search_phones", "contact_tags"}
}

// expected is about how many rows the tables that can get many will get.
func expected(o Options, clinics int) map[string]int {
	return map[string]int{
		"contacts": clinics * o.Contacts, "appointments": clinics * o.Appointments, "medical_records": clinics * o.Records,
		"consents": clinics * o.Contacts * 2, "contact_identities": clinics * o.Contacts * 2 / 5, "conversations": clinics * o.Contacts * 2 / 5, "messages": clinics * o.Contacts * 3,
		"invoices": clinics * o.Appointments / 12, "invoice_items": clinics * o.Appointments / 12, "payments": clinics * o.Appointments / 15,
	}
}

// worthRebuilding is the number of rows below which taking indexes away and
// building them again costs more than it saves.
const worthRebuilding = 2_000

// tables are the seeded tables, taken out of service for a transaction.
//
// Postgres refuses COPY into a table under row-level security, and the triggers
// that protect a clinic at work cost more than the rows do. So the tables are
// locked against everybody else first, then FORCE ROW LEVEL SECURITY and the
// triggers are taken off, and both are back before the transaction ends: no
// other session ever reads or writes a table without them. Where the load is
// most of what the table will hold, its foreign keys, its indexes and the keys
// that nothing else points at are taken off too and made again in one go, which
// checks every row; checks and the exclusion constraint against double booking
// stay on.
type tables struct {
	tx pgx.Tx
	// restore is what puts everything back, in order.
	restore []step
}

// lockNotAvailable is SQLSTATE lock_not_available.
const lockNotAvailable = "55P03"

type step struct{ stage, sql string }

// lockTables keeps everybody else out until the transaction ends.
func lockTables(ctx context.Context, tx pgx.Tx) error {
	for _, sql := range []string{
		`SET LOCAL lock_timeout = '30s'`,
		`SET LOCAL statement_timeout = 0`,
		`SET LOCAL maintenance_work_mem = '256MB'`,
		`SET LOCAL work_mem = '64MB'`,
		// Starting a helper costs more than an index on a small table.
		`SET LOCAL min_parallel_table_scan_size = '32MB'`,
		`SET LOCAL jit = off`,
		`LOCK TABLE ` + strings.Join(seededTables(), ", ") + ` IN ACCESS EXCLUSIVE MODE`,
	} {
		var refused *pgconn.PgError
		if _, err := tx.Exec(ctx, sql); errors.As(err, &refused) && refused.Code == lockNotAvailable {
			return fmt.Errorf("the tables are in use; try again when what uses them has ended: %w", err)
		} else if err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// openTables takes off what stands in the way of a load of about so many rows.
func openTables(ctx context.Context, tx pgx.Tx, rows map[string]int) (*tables, error) {
	t := &tables{tx: tx}
	names := seededTables()
	var bulk []string
	for _, name := range names {
		if rows[name] < worthRebuilding {
			continue
		}
		few, err := t.holdsFewerThan(ctx, name, rows[name])
		if err != nil {
			return nil, err
		}
		if few {
			bulk = append(bulk, name)
		}
	}
	var back [5][]step
	for i, take := range []struct {
		sql string
		arg []string
	}{{foreignKeysSQL, bulk}, {keysSQL, bulk}, {indexesSQL, bulk}, {triggersSQL, names}, {forceSQL, names}} {
		var err error
		if back[i], err = t.takeOff(ctx, take.sql, take.arg); err != nil {
			return nil, err
		}
	}
	// Foreign keys need keys to point at, and would be checked for one clinic
	// only if row-level security were forced again before them.
	t.restore = slices.Concat(back[2], back[1], back[0], back[3], back[4])
	return t, nil
}

// Each of these gives, for the tables of $1: a stage's name, the statement that
// takes something off and the one that puts it back.
const (
	indexesSQL = `
		SELECT 'indexes', format('DROP INDEX %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
		FROM pg_index i
		WHERE i.indrelid = ANY ($1::text[]::regclass[]) AND i.indisvalid AND NOT i.indisclustered AND NOT i.indisreplident
		  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
		ORDER BY i.indrelid, i.indexrelid`
	foreignKeysSQL = `
		SELECT 'foreign keys',
		  format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname),
		  format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
		FROM pg_constraint c
		WHERE c.conrelid = ANY ($1::text[]::regclass[]) AND c.contype = 'f' AND c.convalidated AND c.conparentid = 0
		ORDER BY c.conrelid, c.oid`
	// Keys that a table outside of $1 points at cannot be taken off.
	keysSQL = `
		SELECT 'keys',
		  format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname),
		  format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
		FROM pg_constraint c
		WHERE c.conrelid = ANY ($1::text[]::regclass[]) AND c.contype IN ('p', 'u') AND c.conparentid = 0
		  AND NOT EXISTS (
		    SELECT FROM pg_constraint f
		    WHERE f.contype = 'f' AND f.confrelid = c.conrelid AND f.conrelid <> ALL ($1::text[]::regclass[]))
		ORDER BY c.conrelid, c.oid`
	triggersSQL = `
		SELECT 'protection',
		  format('ALTER TABLE %s DISABLE TRIGGER %I', t.tgrelid::regclass, t.tgname),
		  format('ALTER TABLE %s ENABLE TRIGGER %I', t.tgrelid::regclass, t.tgname)
		FROM pg_trigger t
		WHERE t.tgrelid = ANY ($1::text[]::regclass[]) AND NOT t.tgisinternal AND t.tgenabled = 'O'
		ORDER BY t.tgrelid, t.tgname`
	forceSQL = `
		SELECT 'protection',
		  format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', c.oid::regclass),
		  format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', c.oid::regclass)
		FROM pg_class c
		WHERE c.oid = ANY ($1::text[]::regclass[]) AND c.relforcerowsecurity
		ORDER BY c.oid`
)

// takeOff gives what puts back what it took off.
func (t *tables) takeOff(ctx context.Context, sql string, names []string) ([]step, error) {
	if len(names) == 0 {
		return nil, nil
	}
	rows, err := t.tx.Query(ctx, sql, names)
	if err != nil {
		return nil, err
	}
	type pair struct{ Stage, Off, On string }
	pairs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[pair])
	if err != nil {
		return nil, err
	}
	back := make([]step, len(pairs))
	for i, p := range pairs {
		if _, err := t.tx.Exec(ctx, p.Off); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Off, err)
		}
		back[i] = step{p.Stage, p.On}
	}
	return back, nil
}

// holdsFewerThan goes by the planner's estimate: under row-level security the
// owner could not count other clinics' rows, and need not.
func (t *tables) holdsFewerThan(ctx context.Context, name string, rows int) (bool, error) {
	var held float64
	err := t.tx.QueryRow(ctx, `
		SELECT CASE WHEN reltuples < 0 THEN pg_relation_size(oid) / 100 ELSE reltuples END
		FROM pg_class WHERE oid = $1::text::regclass`, name).Scan(&held)
	return held < float64(rows), err
}

// copy sends one batch by COPY.
func (t *tables) copy(ctx context.Context, b batch, progress Progress) error {
	if b.count == 0 {
		return nil
	}
	progress.Stage(b.table)
	row := make([]any, len(b.columns))
	const portion = 500
	_, err := t.tx.CopyFrom(ctx, pgx.Identifier{b.table}, b.columns, pgx.CopyFromSlice(b.count, func(i int) ([]any, error) {
		if i > 0 && i%portion == 0 {
			progress.Done(portion)
		}
		b.fill(i, row)
		return row, nil
	}))
	if err != nil {
		return fmt.Errorf("copy into %s: %w", b.table, err)
	}
	progress.Done((b.count-1)%portion + 1)
	return nil
}

// makeSearchable does for the clinic's contacts what their triggers would have
// done.
func (t *tables) makeSearchable(ctx context.Context, c *clinic, progress Progress) error {
	if len(c.contacts) == 0 {
		return nil
	}
	progress.Stage("contact_search")
	if _, err := t.tx.Exec(ctx, `SELECT set_config('app.clinic', $1, true)`, c.id.String()); err != nil {
		return err
	}
	_, err := t.tx.Exec(ctx, `SELECT rebuild_contact_search($1)`, c.id)
	return err
}

// sumMoney does for the clinic's invoices and payments what their triggers would have
// done.
func (t *tables) sumMoney(ctx context.Context, c *clinic, progress Progress) error {
	if len(c.invoices) == 0 {
		return nil
	}
	progress.Stage("financial_sums")
	if _, err := t.tx.Exec(ctx, `SELECT set_config('app.clinic', $1, true)`, c.id.String()); err != nil {
		return err
	}
	_, err := t.tx.Exec(ctx, `SELECT rebuild_financial_sums($1)`, c.id)
	return err
}

// close puts everything back.
func (t *tables) close(ctx context.Context, progress Progress) error {
	for i, s := range t.restore {
		progress.Stage(fmt.Sprintf("%s %d/%d", s.stage, i+1, len(t.restore)))
		if _, err := t.tx.Exec(ctx, s.sql); err != nil {
			return fmt.Errorf("%s: %w", s.sql, err)
		}
	}
	return nil
}
