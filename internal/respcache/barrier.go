package respcache

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A ledger that comes to know a clinic, because it is new or lost what it knew,
// does not know the fences of writers who raised their tags before. So it keeps
// nothing for readers who began before all transactions that were running then
// have ended: the barrier.

// opening is a clinic that waits for the barrier.
type opening struct {
	ledger ledger
	clinic uuid.UUID
	born   uint64
}

// pending is an opening that was asked for.
type pending struct {
	asked time.Time
	// done is closed when the clinic is open, or could not be opened.
	done chan struct{}
}

// toOpen asks for a clinic to be opened, unless that has been asked for.
func (c *Cache) toOpen(o opening) *pending {
	c.openMu.Lock()
	defer c.openMu.Unlock()
	if p, known := c.opening[o]; known {
		return p
	}
	p := &pending{asked: time.Now(), done: make(chan struct{})}
	select {
	case c.openings <- o:
		c.opening[o] = p
	default:
		close(p.done) // too many at once: the next reader asks again
	}
	return p
}

// opener opens clinics, as many with one barrier as there are waiting.
func (c *Cache) opener(ctx context.Context) {
	for {
		var batch []opening
		select {
		case <-ctx.Done():
			return
		case o := <-c.openings:
			batch = append(batch, o)
		}
		for more := true; more; {
			select {
			case o := <-c.openings:
				batch = append(batch, o)
			default:
				more = false
			}
		}
		if err := c.passBarrier(ctx); err != nil {
			c.log.WarnContext(ctx, "the cache does not know whether older writers have ended", "error", err)
			c.forget(batch)
			continue
		}
		for _, o := range batch {
			if err := o.ledger.open(ctx, o.clinic, o.born); err != nil {
				c.log.DebugContext(ctx, "open a clinic's cache", "error", err)
			}
		}
		c.forget(batch)
	}
}

// forget lets clinics be asked for again, and go on those who wait.
func (c *Cache) forget(batch []opening) {
	c.openMu.Lock()
	defer c.openMu.Unlock()
	for _, o := range batch {
		close(c.opening[o].done)
		delete(c.opening, o)
	}
}

// passBarrier returns once every transaction has ended that may have raised its
// tags before it was called. One that runs on for longer than the longest commit
// cannot have raised them yet: that happens right before its commit.
func (c *Cache) passBarrier(ctx context.Context) error {
	if c.without.barrier {
		return nil
	}
	bounded, done := context.WithTimeout(ctx, c.config.LongestCommit)
	defer done()
	err := c.config.Barrier(bounded)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return nil
	}
	return err
}

// PostgresBarrier returns a barrier for Config: it waits until every transaction
// that had written something when it was called has ended.
func PostgresBarrier(url string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		config, err := pgx.ParseConfig(url)
		if err != nil {
			return fmt.Errorf("the URL of Postgres cannot be read")
		}
		config.ConnectTimeout = 2 * time.Second
		config.RuntimeParams["application_name"] = "taskmed cache"
		connecting, done := context.WithTimeout(context.WithoutCancel(ctx), config.ConnectTimeout)
		defer done()
		conn, err := pgx.ConnectConfig(connecting, config)
		if err != nil {
			return fmt.Errorf("connect for the barrier: %w", err)
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		// An id of our own, which is above those of all who have one. A snapshot's
		// upper bound would not do: it counts those that have ended alone.
		var own, oldest int64
		if err := conn.QueryRow(connecting, "SELECT pg_current_xact_id()::text::bigint").Scan(&own); err != nil {
			return fmt.Errorf("get a transaction's id: %w", err)
		}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			err := conn.QueryRow(context.WithoutCancel(ctx), "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint").Scan(&oldest)
			if err != nil {
				return fmt.Errorf("look at the running transactions: %w", err)
			}
			if oldest > own {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
	}
}
