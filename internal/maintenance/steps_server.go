package maintenance

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// expiredForServers deletes what nobody may use any more. The application's role
// sees one clinic at a time and does not know which there are: a function of the
// database's goes through them, and tells how many rows are gone.
func expiredForServers(ctx context.Context, conn *pgx.Conn, result *Result) error {
	for {
		var clinics int
		var keys, holds int64
		var finished bool
		if err := conn.QueryRow(ctx, "SELECT clinics, keys, holds, finished FROM maintenance_expire($1)", batch).
			Scan(&clinics, &keys, &holds, &finished); err != nil {
			return fmt.Errorf("delete what has expired: %w", err)
		}
		result.Clinics += clinics
		result.Keys += keys
		result.Holds += holds
		if finished {
			return nil
		}
	}
}

// leftToOwner looks for what is due and takes the owner's rights.
func leftToOwner(ctx context.Context, conn *pgx.Conn, result *Result) error {
	missing, err := names(ctx, conn, `SELECT wanted FROM (
			SELECT 'audit_events_' || to_char(date_trunc('month', now()) + make_interval(months => n), 'YYYY_MM') AS wanted
			FROM generate_series(0, 12) AS n) AS month
		WHERE to_regclass(wanted) IS NULL AND NOT wanted = ANY($1) ORDER BY wanted`, []string{})
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		result.Left = append(result.Left, "to make the audit trail's partitions "+strings.Join(missing, ", "))
	}
	due, err := names(ctx, conn, dueForStatistics, []string{})
	if err != nil {
		return err
	}
	if len(due) > 0 {
		result.Left = append(result.Left, "to take the statistics of "+strings.Join(due, ", "))
	}
	return misplaced(ctx, conn, result)
}

// pruned deletes changes that were kept long enough, what webhooks were sent of them, and
// what channels' providers have posted, by functions of the database's.
func pruned(ctx context.Context, conn *pgx.Conn, result *Result) error {
	for finished := false; !finished; {
		var gone int64
		if err := conn.QueryRow(ctx, "SELECT gone, finished FROM outbox_prune($1, $2)", kept, batch).Scan(&gone, &finished); err != nil {
			return fmt.Errorf("delete changes that were kept long enough: %w", err)
		}
		result.Changes += gone
	}
	for finished := false; !finished; {
		var gone int64
		if err := conn.QueryRow(ctx, "SELECT gone, finished FROM webhook_prune($1)", batch).Scan(&gone, &finished); err != nil {
			return fmt.Errorf("delete what webhooks were sent of changes that are gone: %w", err)
		}
		result.Deliveries += gone
	}
	for finished := false; !finished; {
		var gone int64
		if err := conn.QueryRow(ctx, "SELECT gone, finished FROM channel_prune($1, $2)", postsKept, batch).Scan(&gone, &finished); err != nil {
			return fmt.Errorf("delete what channels' providers posted long ago: %w", err)
		}
		result.Posts += gone
	}
	return nil
}
