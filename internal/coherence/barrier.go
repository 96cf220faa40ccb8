package coherence

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A journal that comes to know a clinic, because it is new or lost what it knew,
// does not know the fences of writers who raised their tags before. So it keeps
// nothing for readers who began before all transactions that were running then
// have ended: the barrier.

// Opener opens clinics in journals that have come to know them, behind the barrier.
type Opener struct {
	// barrier waits until every transaction has ended that had written something
	// when it was called; nil for none. longest is how long a commit may take.
	barrier func(ctx context.Context) error
	longest time.Duration
	log     *slog.Logger

	mu       sync.Mutex
	pending  map[opening]*Pending
	openings chan opening
}

// NewOpener makes an opener; Run has it work. The barrier waits until every
// transaction has ended that had written something when it was called
// (PostgresBarrier), and longest is how long a transaction may take from raising
// its tags to the end of its commit.
func NewOpener(barrier func(ctx context.Context) error, longest time.Duration, log *slog.Logger, seams Seams) *Opener {
	if seams.WithoutBarrier {
		barrier = nil
	}
	return &Opener{barrier: barrier, longest: longest, log: log, pending: map[opening]*Pending{}, openings: make(chan opening, 256)}
}

// opening is a clinic that waits for the barrier.
type opening struct {
	journal Journal
	clinic  uuid.UUID
	born    uint64
}

// Pending is an opening that was asked for.
type Pending struct {
	asked time.Time
	// done is closed when the clinic is open, or could not be opened.
	done chan struct{}
}

// longestOpening is how long after it was asked for readers wait for their
// clinic's opening.
const longestOpening = 100 * time.Millisecond

// Wait waits until the clinic is open, or could not be opened; false if that takes
// too long, or the context ends.
func (p *Pending) Wait(ctx context.Context) bool {
	timer := time.NewTimer(longestOpening - time.Since(p.asked))
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// For asks for a reader's clinic to be opened, unless that has been asked for; nil
// if it was open when the reader began.
func (o *Opener) For(journal Journal, clinic uuid.UUID, begun Begun) *Pending {
	if begun.open {
		return nil
	}
	one := opening{journal: journal, clinic: clinic, born: begun.born}
	o.mu.Lock()
	defer o.mu.Unlock()
	if p, known := o.pending[one]; known {
		return p
	}
	p := &Pending{asked: time.Now(), done: make(chan struct{})}
	select {
	case o.openings <- one:
		o.pending[one] = p
	default:
		close(p.done) // too many at once: the next reader asks again
	}
	return p
}

// Run opens clinics until the context ends, as many with one barrier as there are
// waiting.
func (o *Opener) Run(ctx context.Context) {
	for {
		var batch []opening
		select {
		case <-ctx.Done():
			return
		case one := <-o.openings:
			batch = append(batch, one)
		}
		for more := true; more; {
			select {
			case one := <-o.openings:
				batch = append(batch, one)
			default:
				more = false
			}
		}
		if err := o.pass(ctx); err != nil {
			o.log.WarnContext(ctx, "the cache does not know whether older writers have ended", slog.Any("error", err))
			o.forget(batch)
			continue
		}
		for _, one := range batch {
			if err := one.journal.open(ctx, one.clinic, one.born); err != nil {
				o.log.DebugContext(ctx, "open a clinic's cache", slog.Any("error", err))
			}
		}
		o.forget(batch)
	}
}

// forget lets clinics be asked for again, and go on those who wait.
func (o *Opener) forget(batch []opening) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, one := range batch {
		close(o.pending[one].done)
		delete(o.pending, one)
	}
}

// pass returns once every transaction has ended that may have raised its tags
// before it was called. One that runs on for longer than the longest commit cannot
// have raised them yet: that happens right before its commit.
func (o *Opener) pass(ctx context.Context) error {
	if o.barrier == nil {
		return nil
	}
	bounded, done := context.WithTimeout(ctx, o.longest)
	defer done()
	err := o.barrier(bounded)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return nil
	}
	return err
}

// PostgresBarrier returns a barrier for NewOpener: it waits until every transaction
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
