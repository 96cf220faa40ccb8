package maintenance

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// partitions makes the months of the audit trail that are missing.
func partitions(ctx context.Context, conn *pgx.Conn, result *Result) error {
	const there = `SELECT c.relname FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
		WHERE h.inhparent = 'audit_events'::regclass AND NOT c.relname = ANY($1) ORDER BY c.relname`
	before, err := names(ctx, conn, there, []string{})
	if err != nil {
		return err
	}
	for n := range months + 1 {
		_, err := conn.Exec(ctx, "SELECT ensure_audit_partition((date_trunc('month', now()) + make_interval(months => $1))::date)", n)
		if err != nil {
			return fmt.Errorf("make the audit trail's partition for %d months ahead: %w", n, err)
		}
	}
	if result.Partitions, err = names(ctx, conn, there, before); err != nil {
		return err
	}
	return misplaced(ctx, conn, result)
}

// misplaced warns of rows that no month took.
func misplaced(ctx context.Context, conn *pgx.Conn, result *Result) error {
	var some bool
	if err := conn.QueryRow(ctx, "SELECT pg_relation_size('audit_events_default') > 0").Scan(&some); err != nil {
		return fmt.Errorf("look at the audit trail's default partition: %w", err)
	}
	if some {
		result.Warnings = append(result.Warnings, "audit_events_default holds rows: a month's partition was missing when they were written, and cannot be made before they are moved")
	}
	return nil
}

// expired deletes what nobody may use any more, clinic by clinic: row-level
// security binds the owner, too.
func expired(ctx context.Context, conn *pgx.Conn, result *Result) error {
	rows, err := conn.Query(ctx, "SELECT clinic FROM clinic_slugs ORDER BY clinic")
	if err != nil {
		return fmt.Errorf("list the clinics: %w", err)
	}
	clinics, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return fmt.Errorf("list the clinics: %w", err)
	}
	for _, clinic := range clinics {
		for _, work := range []struct {
			table string
			gone  *int64
		}{{"idempotency_keys", &result.Keys}, {"slot_holds", &result.Holds}} {
			gone, err := deleteExpired(ctx, conn, clinic, work.table)
			*work.gone += gone
			if err != nil {
				return fmt.Errorf("delete what has expired from %s: %w", work.table, err)
			}
		}
	}
	result.Clinics = len(clinics)
	return nil
}

func deleteExpired(ctx context.Context, conn *pgx.Conn, clinic uuid.UUID, table string) (gone int64, err error) {
	for {
		var deleted int64
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SELECT set_config('app.clinic', $1, true)", clinic.String()); err != nil {
				return err
			}
			// What a request holds locked is left for the next run.
			tag, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE clinic_id = $1 AND ctid = ANY(ARRAY(
				SELECT ctid FROM `+table+` WHERE clinic_id = $1 AND expires_at < now() LIMIT $2 FOR UPDATE SKIP LOCKED))`, clinic, batch)
			deleted = tag.RowsAffected()
			return err
		})
		gone += deleted
		if err != nil || deleted < batch {
			return gone, err
		}
	}
}

// dueForStatistics lists the tables of the database's owner of which a tenth has
// changed since their statistics were taken, which autovacuum takes, too, where
// it is on and keeps up.
const dueForStatistics = `SELECT relid::regclass::text FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
	WHERE c.relowner = (SELECT relowner FROM pg_class WHERE oid = 'clinics'::regclass) AND NOT relid::regclass::text = ANY($1)
		AND (n_mod_since_analyze > 1000 + n_live_tup / 10 OR (n_live_tup > 0 AND last_analyze IS NULL AND last_autoanalyze IS NULL))
	ORDER BY 1`

func statistics(ctx context.Context, conn *pgx.Conn, result *Result) error {
	due, err := names(ctx, conn, dueForStatistics, []string{})
	if err != nil {
		return err
	}
	for _, table := range due {
		// The name comes from the catalogue, quoted as it needs to be.
		if _, err := conn.Exec(ctx, "ANALYZE "+table); err != nil {
			return fmt.Errorf("take the statistics of %s: %w", table, err)
		}
		result.Analyzed = append(result.Analyzed, table)
	}
	return nil
}

func names(ctx context.Context, conn *pgx.Conn, sql string, but []string) ([]string, error) {
	rows, err := conn.Query(ctx, sql, but)
	if err != nil {
		return nil, fmt.Errorf("look into the catalogue: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look into the catalogue: %w", err)
	}
	return found, nil
}
