// Package doctor looks a database over and says what is wrong with it:
// whether clinics are kept apart (Isolation), whether every statement has its
// index (Indexes), which statements take the time (Slow), and whether what is
// kept in Redis is what Postgres says (Cache). It changes nothing.
package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// AppRole is the role that serves requests.
const AppRole = "taskmed_app"

// Level tells what must be mended from what is good to know.
type Level string

// The levels of a finding.
const (
	// Problem: mend it. A report with one is not healthy.
	Problem Level = "problem"
	// Note: worth a look, and no fault.
	Note Level = "note"
)

// Finding is one thing that was found.
type Finding struct {
	Level Level `json:"level"`
	// Rule says what should hold, the same words every time.
	Rule string `json:"rule"`
	// Subject is what breaks it: a table, an index, a statement's shape.
	Subject string `json:"subject"`
	Detail  string `json:"detail,omitempty"`
	// Remedy is what to do, as SQL or a command where there is one.
	Remedy string `json:"remedy,omitempty"`
}

// Report is what one examination found.
type Report struct {
	// Check is the examination's name, as on the command line.
	Check string `json:"check"`
	// Healthy is true where there is no Problem.
	Healthy bool `json:"healthy"`
	// Examined says in words how much was looked at.
	Examined string    `json:"examined"`
	Findings []Finding `json:"findings"`
	// Families are the statements by time taken; only Slow fills them.
	Families []Family `json:"families,omitempty"`
	// Stale are answers that should not be served; only Cache fills them.
	Stale []Stale `json:"stale,omitempty"`
}

// finish sets what follows from the findings.
func (r Report) finish() Report {
	r.Healthy = r.Problems() == 0
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	return r
}

// Problems is the number of findings that must be mended.
func (r Report) Problems() int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == Problem {
			n++
		}
	}
	return n
}

// Querier is a connection, a pool or a transaction of pgx.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// texts runs a query for one column of text.
func texts(ctx context.Context, db Querier, sql string, args ...any) ([]string, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// statistics is where pg_stat_statements is, quoted, or "" where this database
// has none.
func statistics(ctx context.Context, db Querier) (string, error) {
	found, err := texts(ctx, db, `SELECT format('%I.pg_stat_statements', n.nspname)
		FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
		WHERE e.extname = 'pg_stat_statements'
			AND ',' || replace(current_setting('shared_preload_libraries'), ' ', '') || ',' LIKE '%,pg\_stat\_statements,%'`)
	if err != nil {
		return "", fmt.Errorf("look for pg_stat_statements: %w", err)
	}
	if len(found) == 0 {
		return "", nil
	}
	return found[0], nil
}

// withoutStatistics is the finding where there is no pg_stat_statements.
func withoutStatistics() Finding {
	return Finding{
		Level: Problem, Rule: "statements are counted", Subject: "pg_stat_statements",
		Detail: "the extension is missing, so nobody knows which statements run",
		Remedy: "shared_preload_libraries = 'pg_stat_statements' in postgresql.conf, restart Postgres, then as a superuser: CREATE EXTENSION pg_stat_statements; GRANT pg_monitor TO taskmed_owner",
	}
}

// shape is a statement on one line, cut to a length that a terminal shows.
func shape(sql string) string {
	const most = 400
	line := strings.Join(strings.Fields(sql), " ")
	if runes := []rune(line); len(runes) > most {
		return string(runes[:most]) + " …"
	}
	return line
}

// Clinic is the clinic with the most appointments among the first hundred:
// plans are made for it, for it is where a bad one hurts. "" where there is none.
// The connection is the owner's; its transaction is rolled back.
func Clinic(ctx context.Context, owner *pgx.Conn) (string, error) {
	var fullest string
	err := pgx.BeginFunc(ctx, owner, func(tx pgx.Tx) error {
		clinics, err := texts(ctx, tx, "SELECT clinic::text FROM clinic_slugs ORDER BY slug LIMIT 100")
		if err != nil {
			return err
		}
		most := -1
		for _, clinic := range clinics {
			if _, err := tx.Exec(ctx, "SELECT set_config('app.clinic', $1, true)", clinic); err != nil {
				return err
			}
			var n int
			err := tx.QueryRow(ctx, "SELECT count(*) FROM (SELECT FROM appointments WHERE clinic_id = app_clinic() LIMIT 5000) AS counted").Scan(&n)
			if err != nil {
				return err
			}
			if n > most {
				fullest, most = clinic, n
			}
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("look for a clinic: %w", err)
	}
	return fullest, nil
}
