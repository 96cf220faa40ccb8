package doctor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/sqlmask"
)

// Family is all statements of one shape, as pg_stat_statements keeps them.
type Family struct {
	// Shape is the text on one line without its values, cut after 400 characters.
	Shape string `json:"statement"`
	Role  string `json:"role"`
	Calls int64  `json:"calls"`
	Rows  int64  `json:"rows"`
	// MeanMS and MaxMS are milliseconds of execution.
	MeanMS float64 `json:"meanMs"`
	MaxMS  float64 `json:"maxMs"`
	// Share is the part of all statements' time in this database, 0 to 1.
	Share float64 `json:"share"`
	// HitShare is the part of blocks that were in Postgres' own memory, 0 to 1.
	HitShare float64 `json:"hitShare"`
}

// SlowOptions are the limits of Slow. Zero means the default.
type SlowOptions struct {
	// Limit is how many families are listed, most time first (20).
	Limit int
	// MeanMS is what a family of the application's may take on average (100 ms),
	// once it was called Calls times (5).
	MeanMS float64
	Calls  int64
}

func (o SlowOptions) withDefaults() SlowOptions {
	if o.Limit <= 0 {
		o.Limit = 20
	}
	if o.MeanMS <= 0 {
		o.MeanMS = 100
	}
	if o.Calls <= 0 {
		o.Calls = 5
	}
	return o
}

// Slow lists the families of statements by the time they take. A problem is one
// of the application's that takes too long on average.
func Slow(ctx context.Context, db Querier, options SlowOptions) (Report, error) {
	options = options.withDefaults()
	report := Report{Check: "slow"}
	source, err := statistics(ctx, db)
	if err != nil {
		return report, err
	}
	if source == "" {
		report.Examined, report.Findings = "no statement", []Finding{withoutStatistics()}
		return report.finish(), nil
	}
	rows, err := db.Query(ctx, `
		WITH here AS (
			SELECT s.*, r.rolname, sum(s.total_exec_time) OVER () AS everything
			FROM `+source+` s JOIN pg_roles r ON r.oid = s.userid
			WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
		), ranked AS (
			SELECT *, row_number() OVER (ORDER BY total_exec_time DESC) AS place FROM here
		)
		SELECT query, rolname::text, calls, rows, mean_exec_time, max_exec_time,
			total_exec_time / greatest(everything, 0.000001),
			shared_blks_hit::float8 / greatest(shared_blks_hit + shared_blks_read, 1)
		FROM ranked
		WHERE place <= $1 OR (rolname = $2 AND calls >= $3 AND mean_exec_time > $4)
		ORDER BY place`, options.Limit, AppRole, options.Calls, options.MeanMS)
	if err != nil {
		return report, fmt.Errorf("read pg_stat_statements: %w", err)
	}
	report.Families, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Family])
	if err != nil {
		return report, fmt.Errorf("read pg_stat_statements: %w", err)
	}
	for i, family := range report.Families {
		// Postgres keeps the text as it was sent, values included, where a family is
		// evicted while its statement runs.
		report.Families[i].Shape = shape(sqlmask.Mask(family.Shape))
		if family.Role != AppRole || family.Calls < options.Calls || family.MeanMS <= options.MeanMS {
			continue
		}
		report.Findings = append(report.Findings, Finding{
			Level: Problem, Rule: fmt.Sprintf("a statement takes at most %g ms on average", options.MeanMS),
			Subject: report.Families[i].Shape,
			Detail:  fmt.Sprintf("%.1f ms on average over %d calls, %.1f ms at most", family.MeanMS, family.Calls, family.MaxMS),
			Remedy:  "taskmed doctor indexes shows whether it lacks an index",
		})
	}
	var families int
	if err := one(ctx, db, &families, "SELECT count(*) FROM "+source+" WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"); err != nil {
		return report, err
	}
	report.Examined = fmt.Sprintf("%d families of statements", families)
	return report.finish(), nil
}

// one runs a query for one row of one column.
func one[T any](ctx context.Context, db Querier, into *T, sql string, args ...any) error {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("examine the database: %w", err)
	}
	if *into, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[T]); err != nil {
		return fmt.Errorf("examine the database: %w", err)
	}
	return nil
}
