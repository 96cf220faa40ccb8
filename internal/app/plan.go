package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// planning bounds how long a plan may take, the connection included.
const planning = 5 * time.Second

// planner gives Postgres' plans for statements of the application's own, as an
// operator wants to see them. Each has a connection of its own, so that plans
// are to be had while the pool is exhausted, and one is made at a time.
type planner struct {
	url  string
	turn chan struct{}
}

func newPlanner(url string) *planner { return &planner{url: url, turn: make(chan struct{}, 1)} }

// plan is what Postgres does with a statement once it no longer looks at its
// values, for a clinic and under row-level security. Nothing is executed, and
// no value is in it but the code's own.
func (p *planner) plan(ctx context.Context, clinic uuid.UUID, sql string) (text string, err error) {
	ctx, done := context.WithTimeout(ctx, planning)
	defer done()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	config, err := pgx.ParseConfig(p.url)
	if err != nil {
		return "", errors.New("the database's URL cannot be read") // pgx's words would hold the password.
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	// What was prepared and set goes with the connection.
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, `SELECT set_config('app.clinic', $1, false), set_config('plan_cache_mode', 'force_generic_plan', false),
		set_config('default_transaction_read_only', 'on', false), set_config('statement_timeout', '5s', false)`, clinic.String()); err != nil {
		return "", fmt.Errorf("set the clinic: %w", err)
	}
	prepared, err := conn.Prepare(ctx, "planned", sql)
	if err != nil {
		return "", fmt.Errorf("prepare: %w", err)
	}
	call := "EXPLAIN EXECUTE planned"
	if n := len(prepared.ParamOIDs); n > 0 {
		call += "(" + strings.TrimSuffix(strings.Repeat("NULL,", n), ",") + ")"
	}
	rows, err := conn.Query(ctx, call, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return "", fmt.Errorf("explain: %w", err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", fmt.Errorf("explain: %w", err)
	}
	return strings.Join(lines, "\n"), nil
}
