package trust

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/coherence"
)

// ErrNobodyServes is returned where no instance vouches for what is kept in
// Redis: none of it would be served.
var ErrNobodyServes = errors.New("no server serves what is kept in redis")

// longestSettling bounds Settled: a server that gave no two signs of life in it
// does not trust what is kept either.
const longestSettling = 10 * time.Second

// Settled waits, for somebody who is no instance, until everything that was
// committed when it was called, by whomever, stands in the journal. An instance that
// serves knows: at the second sign of life from now it has heard, and passed on,
// whatever was committed before the first. Where none serves the epoch it is
// ErrNobodyServes. server names the run of Postgres and the database as Identify
// does; "" takes any.
func Settled(ctx context.Context, journal *coherence.Shared, epoch uint64, server string) error {
	serves := func(v voucher) bool { return v.epoch == epoch && (server == "" || v.server == server) }
	first, err := vouchers(ctx, journal, "")
	if err != nil {
		return fmt.Errorf("ask redis who serves: %w", err)
	}
	for id, v := range first {
		if !serves(v) {
			delete(first, id)
		}
	}
	patience := longestSettling
	if len(first) == 0 {
		patience = 2 * vouchesLive
	}
	bounded, done := context.WithTimeout(ctx, patience)
	defer done()
	tick := time.NewTicker(heartbeat / 4)
	defer tick.Stop()
	for {
		select {
		case <-bounded.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return ErrNobodyServes
		case <-tick.C:
		}
		now, err := vouchers(bounded, journal, "")
		if err != nil {
			continue // Redis is asked again until the time is up
		}
		for id, v := range now {
			before, known := first[id]
			if !known && serves(v) {
				first[id] = v
			}
			if known && v.server == before.server && v.epoch == epoch && v.beats >= before.beats+2 {
				return nil
			}
		}
	}
}

// Identify asks, over a connection of its own, which run of Postgres a listening
// connection would hear, and which database, as instances say of themselves whom
// they hear; database is that whatever the run.
func Identify(ctx context.Context, listenURL string) (server, database string, err error) {
	conn, err := pgx.Connect(ctx, listenURL)
	if err != nil {
		return "", "", fmt.Errorf("ask Postgres who it is: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	return whoIs(ctx, conn)
}
