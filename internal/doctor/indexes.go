package doctor

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// IndexOptions are what Indexes takes for large. Zero means the default.
type IndexOptions struct {
	// LargeRows is from how many rows (as ANALYZE counts them) a table must not
	// be read from one end to the other (10,000).
	LargeRows int64
	// LargeBytes is from what size an unused or bloated index or table matters (8 MiB).
	LargeBytes int64
	// Clinic is the clinic for which plans are made; the fullest if empty.
	Clinic string
	// Statements are further ones to plan, beside those that have run: what the
	// registered operations send. Operations is how many those are.
	Statements []string
	Operations int
	// Notes are findings from where the statements come from; the report has them, too.
	Notes []Finding
}

func (o IndexOptions) withDefaults() IndexOptions {
	if o.LargeRows <= 0 {
		o.LargeRows = 10_000
	}
	if o.LargeBytes <= 0 {
		o.LargeBytes = 8 << 20
	}
	return o
}

// Indexes plans, with row-level security on and no value known, every statement
// that it is given and that the application has run since pg_stat_statements was
// reset, and looks
// for those that read a large table from one end to the other; and it looks for
// indexes that are invalid, duplicate or unused, and for bloat. owner is a
// connection of the owner's, app one of the application's role; where that is
// not to be had the owner's own does, for the same policies bind it.
func Indexes(ctx context.Context, owner, app *pgx.Conn, options IndexOptions) (Report, error) {
	options = options.withDefaults()
	report := Report{Check: "indexes"}
	if options.Clinic == "" {
		clinic, err := Clinic(ctx, owner)
		if err != nil {
			return report, err
		}
		options.Clinic = clinic
	}
	statements := slices.Clone(options.Statements)
	report.Findings = append(report.Findings, options.Notes...)
	source, err := statistics(ctx, owner)
	if err != nil {
		return report, err
	}
	if source == "" {
		report.Findings = append(report.Findings, withoutStatistics())
	} else {
		run, err := texts(ctx, owner, `SELECT query FROM `+source+` s JOIN pg_roles r ON r.oid = s.userid
			WHERE r.rolname = $1 AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
				AND s.query !~* '\mpg_(roles|trigger|class)\M' -- a server's look at its own catalogue
				AND s.query ~* '^\s*(/\*.*?\*/\s*)*(select|insert|update|delete|with|merge)\M'
			ORDER BY s.total_exec_time DESC LIMIT 2000`, AppRole)
		if err != nil {
			return report, fmt.Errorf("list the statements that ran: %w", err)
		}
		statements = append(statements, run...)
	}
	if options.Clinic == "" {
		report.Findings = append(report.Findings, Finding{
			Level: Note, Rule: "there is a clinic to plan for", Subject: "no clinic", Detail: "no statement was planned", Remedy: "taskmed seed, or make a clinic",
		})
		statements = nil
	}
	large, err := largeTables(ctx, owner, options.LargeRows)
	if err != nil {
		return report, err
	}
	planned, findings, err := scans(ctx, app, options.Clinic, statements, large)
	if err != nil {
		return report, err
	}
	report.Findings = append(report.Findings, findings...)
	for _, check := range []func(context.Context, Querier, IndexOptions) ([]Finding, error){invalid, duplicates, unused, bloat} {
		findings, err := check(ctx, owner, options)
		if err != nil {
			return report, err
		}
		report.Findings = append(report.Findings, findings...)
	}
	var indexes int
	if err := one(ctx, owner, &indexes, "SELECT count(*) FROM pg_stat_user_indexes"); err != nil {
		return report, err
	}
	report.Examined = fmt.Sprintf("plans of %d statements (%d of them what %d operations send) over %d large tables, and %d indexes",
		planned, len(options.Statements), options.Operations, len(large), indexes)
	return report.finish(), nil
}

// largeTables gives the rows of tables and partitions that have many.
func largeTables(ctx context.Context, db Querier, rows int64) (map[string]int64, error) {
	found, err := db.Query(ctx, `SELECT c.relname::text, c.reltuples::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND `+ours+` AND c.reltuples >= $1`, rows)
	if err != nil {
		return nil, fmt.Errorf("look for large tables: %w", err)
	}
	type table struct {
		Name string
		Rows int64
	}
	tables, err := pgx.CollectRows(found, pgx.RowToStructByPos[table])
	if err != nil {
		return nil, fmt.Errorf("look for large tables: %w", err)
	}
	large := map[string]int64{}
	for _, t := range tables {
		large[t.Name] = t.Rows
	}
	return large, nil
}

// subjects makes a finding of each row of subject, detail and remedy.
func subjects(ctx context.Context, db Querier, level Level, rule, sql string, args ...any) ([]Finding, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("whether %s: %w", rule, err)
	}
	type subject struct{ Name, Detail, Remedy string }
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[subject])
	if err != nil {
		return nil, fmt.Errorf("whether %s: %w", rule, err)
	}
	findings := make([]Finding, len(found))
	for i, s := range found {
		findings[i] = Finding{Level: level, Rule: rule, Subject: s.Name, Detail: s.Detail, Remedy: s.Remedy}
	}
	return findings, nil
}

func invalid(ctx context.Context, db Querier, _ IndexOptions) ([]Finding, error) {
	return subjects(ctx, db, Problem, "every index is whole", `
		SELECT i.indexrelid::regclass::text, 'a build that failed left it; it costs every write and serves no read',
			format('REINDEX INDEX CONCURRENTLY %s', i.indexrelid::regclass)
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE `+ours+` AND NOT (i.indisvalid AND i.indisready) AND c.relkind = 'i'`)
}

// duplicates are indexes that another one does the work of: the same columns in
// the same order for the same rows. Of two, the one that enforces something stays.
func duplicates(ctx context.Context, db Querier, _ IndexOptions) ([]Finding, error) {
	return subjects(ctx, db, Problem, "no two indexes are the same", `
		WITH shapes AS (
			SELECT i.*, c.relam, pg_relation_size(i.indexrelid) AS bytes,
				coalesce(pg_get_expr(i.indexprs, i.indrelid), '') AS expressions, coalesce(pg_get_expr(i.indpred, i.indrelid), '') AS predicate,
				i.indisprimary::int * 4 + i.indisexclusion::int * 2 + i.indisunique::int AS weight
			FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE `+ours+` AND i.indisvalid
		)
		SELECT b.indexrelid::regclass::text, format('does what %s does, in %s', a.indexrelid::regclass, pg_size_pretty(b.bytes)),
			format('DROP INDEX CONCURRENTLY %s', b.indexrelid::regclass)
		FROM shapes a JOIN shapes b ON a.indrelid = b.indrelid AND a.indexrelid <> b.indexrelid
			AND a.relam = b.relam AND a.indkey::text = b.indkey::text AND a.indclass::text = b.indclass::text
			AND a.indcollation::text = b.indcollation::text AND a.indoption::text = b.indoption::text
			AND a.expressions = b.expressions AND a.predicate = b.predicate
			AND (a.weight, b.indexrelid) > (b.weight, a.indexrelid)
		WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = b.indexrelid)
			AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = b.indexrelid)`)
}

// unused is a note, for the quarter's report may be what an index is there for.
func unused(ctx context.Context, db Querier, options IndexOptions) ([]Finding, error) {
	return subjects(ctx, db, Note, "every large index is used", `
		SELECT s.indexrelid::regclass::text,
			format('%s on %s, never used since %s', pg_size_pretty(pg_relation_size(s.indexrelid)), s.relid::regclass,
				coalesce(to_char(d.stats_reset, 'YYYY-MM-DD'), 'this database was made')),
			'if a quarter goes by like this on every replica, too: DROP INDEX CONCURRENTLY ' || s.indexrelid::regclass
		FROM pg_stat_user_indexes s JOIN pg_index i ON i.indexrelid = s.indexrelid
			CROSS JOIN (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()) d
		WHERE s.idx_scan = 0 AND NOT i.indisunique AND NOT i.indisexclusion AND pg_relation_size(s.indexrelid) >= $1
		ORDER BY pg_relation_size(s.indexrelid) DESC`, options.LargeBytes)
}

// bloat estimates from the planner's statistics how much of a table is dead,
// and how far its indexes are above what their entries need.
func bloat(ctx context.Context, db Querier, options IndexOptions) ([]Finding, error) {
	dead, err := subjects(ctx, db, Problem, "dead rows are cleaned away", `
		SELECT relid::regclass::text,
			format('%s of %s rows are dead; last vacuumed %s', n_dead_tup, n_dead_tup + n_live_tup,
				coalesce(to_char(greatest(last_vacuum, last_autovacuum), 'YYYY-MM-DD HH24:MI'), 'never')),
			format('VACUUM (ANALYZE) %s', relid::regclass)
		FROM pg_stat_user_tables
		WHERE pg_relation_size(relid) >= $1 AND n_dead_tup > 0.4 * (n_dead_tup + n_live_tup)`, options.LargeBytes)
	if err != nil {
		return nil, err
	}
	// A b-tree entry takes about 8 bytes of tuple header, 4 of line pointer and
	// its columns' average widths rounded up to 8; pages are filled to 90 %.
	// Widths are hidden from who is under row-level security, so the catalogue's
	// own estimate, 16 bytes a column as for a uuid, stands in for them.
	swollen, err := subjects(ctx, db, Note, "indexes are not much larger than their entries", `
		WITH sizes AS (
			SELECT i.indexrelid, pg_relation_size(i.indexrelid) AS bytes,
				c.reltuples * (12 + 24 * i.indnkeyatts) / 0.9 AS needed
			FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
				JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
			WHERE `+ours+` AND c.relkind = 'i' AND c.reltuples >= 0 AND i.indisvalid
		)
		SELECT indexrelid::regclass::text,
			format('%s, about %s would do (an estimate)', pg_size_pretty(bytes), pg_size_pretty(needed::bigint)),
			format('REINDEX INDEX CONCURRENTLY %s', indexrelid::regclass)
		FROM sizes WHERE bytes >= $1 AND bytes > 2.5 * needed`, options.LargeBytes)
	return append(dead, swollen...), err
}
