package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// typed finds a type before a value: pg_stat_statements puts a parameter where
// only a literal may stand, as in interval $1.
var typed = regexp.MustCompile(`(?i)\b(interval|date|time|timestamp|timestamptz)\s+(\$\d+)`)

// scans plans statements and finds those that read a large table from one end
// to the other. It gives how many could be planned.
func scans(ctx context.Context, conn *pgx.Conn, clinic string, statements []string, large map[string]int64) (int, []Finding, error) {
	var findings []Finding
	var failures []string
	planned, seen := 0, map[string]bool{}
	for _, sql := range statements {
		if seen[sql] {
			continue
		}
		seen[sql] = true
		plan, err := Explain(ctx, conn, clinic, sql)
		if _, refused := errors.AsType[*pgconn.PgError](err); refused {
			failures = append(failures, shape(sql))
			continue
		}
		if err != nil {
			return planned, findings, fmt.Errorf("plan a statement: %w", err)
		}
		planned++
		found := map[string]string{}
		plan.walk(func(n Node) {
			if rows, is := large[n.Relation]; is && n.Type == "Seq Scan" {
				found[n.Relation] = fmt.Sprintf("all %d rows of %s", rows, n.Relation)
				if n.Filter != "" {
					found[n.Relation] += ", to keep those with " + n.Filter
				}
			}
		})
		for _, table := range slices.Sorted(maps.Keys(found)) {
			findings = append(findings, Finding{
				Level: Problem, Rule: "no statement reads a large table from one end to the other",
				Subject: shape(sql), Detail: found[table], Remedy: "an index on " + table + " that leads with clinic_id and serves the filter",
			})
		}
	}
	if len(failures) > 0 {
		findings = append(findings, Finding{
			Level: Note, Rule: "every statement can be planned", Subject: fmt.Sprintf("%d statements", len(failures)),
			Detail: "a value stands where only a literal may, so the kept shape cannot be planned; the first: " + failures[0],
		})
	}
	return planned, findings, nil
}

// Node is what is read of a step of a plan. The names are Postgres' own.
type Node struct {
	Type        string   `json:"Node Type"`
	Relation    string   `json:"Relation Name"`
	Index       string   `json:"Index Name"`
	Function    string   `json:"Function Name"`
	Filter      string   `json:"Filter"`
	IndexCond   string   `json:"Index Cond"`
	RecheckCond string   `json:"Recheck Cond"`
	HashCond    string   `json:"Hash Cond"`
	MergeCond   string   `json:"Merge Cond"`
	JoinFilter  string   `json:"Join Filter"`
	OnceFilter  string   `json:"One-Time Filter"`
	SortKey     []string `json:"Sort Key"`
	// Rows and Cost are the planner's guesses.
	Rows  float64 `json:"Plan Rows"`
	Cost  float64 `json:"Total Cost"`
	Plans []Node  `json:"Plans"`
}

func (n Node) walk(visit func(Node)) {
	visit(n)
	for _, child := range n.Plans {
		child.walk(visit)
	}
}

// Explain plans a statement whose values are parameters as Postgres does once
// it no longer looks at them, for a clinic and under its row-level security.
// EXPLAIN (GENERIC_PLAN) does that from Postgres 16 on; a prepared statement
// does it on all. Nothing is executed.
func Explain(ctx context.Context, conn *pgx.Conn, clinic, sql string) (plan Node, err error) {
	lines, err := ExplainAs(ctx, conn, "JSON", clinic, sql)
	if err != nil {
		return plan, err
	}
	var plans []struct{ Plan Node }
	if err := json.Unmarshal([]byte(lines), &plans); err != nil || len(plans) != 1 {
		return plan, errors.Join(errors.New("a plan could not be read"), err)
	}
	return plans[0].Plan, nil
}

// ExplainAs is Explain in a format of Postgres' own: TEXT or JSON.
func ExplainAs(ctx context.Context, conn *pgx.Conn, format, clinic, sql string) (plan string, err error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return plan, err
	}
	prepared := false
	defer func() {
		err = errors.Join(err, tx.Rollback(context.WithoutCancel(ctx)))
		if prepared { // it outlives the transaction
			_, gone := conn.Exec(context.WithoutCancel(ctx), "DEALLOCATE examined")
			err = errors.Join(err, gone)
		}
	}()
	if _, err := tx.Exec(ctx, "SELECT set_config('app.clinic', $1, true), set_config('plan_cache_mode', 'force_generic_plan', true), set_config('statement_timeout', '5s', true)", clinic); err != nil {
		return plan, err
	}
	// The extended protocol takes one statement only, whatever the text holds.
	if result := conn.PgConn().ExecParams(ctx, "PREPARE examined AS "+typed.ReplaceAllString(sql, "$2::$1"), nil, nil, nil, nil).Read(); result.Err != nil {
		return plan, result.Err
	}
	prepared = true
	var parameters int
	if err := one(ctx, tx, &parameters, "SELECT coalesce(cardinality(parameter_types), 0) FROM pg_prepared_statements WHERE name = 'examined'"); err != nil {
		return plan, err
	}
	call := "EXPLAIN (FORMAT " + format + ") EXECUTE examined"
	if parameters > 0 {
		call += "(" + strings.TrimSuffix(strings.Repeat("NULL,", parameters), ",") + ")"
	}
	result := conn.PgConn().ExecParams(ctx, call, nil, nil, nil, nil).Read()
	if result.Err != nil {
		return plan, result.Err
	}
	lines := make([]string, len(result.Rows))
	for i, row := range result.Rows {
		lines[i] = string(row[0]) // EXPLAIN has one column
	}
	return strings.Join(lines, "\n"), nil
}
