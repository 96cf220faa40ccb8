package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/database"
)

const (
	// poll is how long the leader rests after it found nothing, and idlePoll how long once
	// nothing was written for idleAfter: each look wakes both sides, which every 15 ms took 4 %
	// of a processor more than every 60. To be woken by NOTIFY would make commits wait for
	// each other.
	poll      = 15 * time.Millisecond
	idlePoll  = 60 * time.Millisecond
	idleAfter = 2 * time.Second
	// most is how many events of one clinic one transaction gives positions to.
	most = 500
	// candidacy is how often a server that does not lead asks whether it may.
	candidacy = 500 * time.Millisecond
	// longest bounds one statement of the leader's.
	longest = 30 * time.Second
	// figuresEvery is how often each server looks for how long events wait.
	figuresEvery = 5 * time.Second
)

// LeaderConfig is what a Leader needs.
type LeaderConfig struct {
	// URL reaches the database as the application's role, past any pooler.
	URL string
	// DB, if set, tells how long events wait, whoever leads, and also where nobody does.
	DB *database.DB
	// Log may be nil.
	Log *slog.Logger
	// Stamped, if set, is told which clinics have new changes, once they are committed. It
	// must not wait.
	Stamped func(clinics []uuid.UUID)
	// Beside, if set, runs while this server leads: its context ends with that, and nothing
	// stands or leads again before it has ended.
	Beside func(ctx context.Context)
	// Counted is told what was done; may be nil.
	Counted Counted
}

// Counted is told what leaders do.
type Counted interface {
	// Leads is called with true when this server begins to lead, with false when it ends.
	Leads(leads bool)
	// Stamped is called with how many events were given positions, and how long that took.
	Stamped(events int64, took time.Duration)
	// Waits is called with for how long the event that waits longest has.
	Waits(oldest time.Duration)
}

// Leader gives events their positions, on one server at a time: whoever holds a lock of
// Postgres' that ends with its connection. That spares work and no more: outbox_stamp
// itself lets in one caller after the other.
type Leader struct {
	config LeaderConfig
	stop   context.CancelFunc
	own    sync.WaitGroup
}

// NewLeader begins to stand as a candidate; Close ends it.
func NewLeader(config LeaderConfig) *Leader {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Counted == nil {
		config.Counted = uncounted{}
	}
	if config.Beside == nil {
		config.Beside = func(context.Context) {}
	}
	if config.Stamped == nil {
		config.Stamped = func([]uuid.UUID) {}
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &Leader{config: config, stop: stop}
	l.own.Go(func() { l.run(ctx) })
	if config.DB != nil {
		l.own.Go(func() { l.count(ctx) })
	}
	return l
}

// Close ends it. What was under way is committed, or comes again.
func (l *Leader) Close() {
	l.stop()
	l.own.Wait()
}

// count looks for how long events wait, until the context ends. Each server does, or
// nobody would tell where the one that leads hangs, or none leads.
func (l *Leader) count(ctx context.Context) {
	for ctx.Err() == nil {
		figures, err := database.Lookup[struct{ Oldest float64 }](ctx, l.config.DB, "SELECT oldest FROM outbox_figures()")
		if err == nil && len(figures) == 1 {
			l.config.Counted.Waits(time.Duration(figures[0].Oldest * float64(time.Second)))
		}
		rest(ctx, figuresEvery)
	}
}

func (l *Leader) run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		err := l.stand(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && !failing:
			l.config.Log.WarnContext(ctx, "events wait for their positions: Postgres does not answer the outbox's leader", slog.String("error", err.Error()))
		case err == nil && failing:
			l.config.Log.InfoContext(ctx, "events get their positions again")
		}
		failing = err != nil
		rest(ctx, candidacy/2+rand.N(candidacy))
	}
}

// rest waits, and not past the end.
func rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// stand waits until it leads, and leads until something fails or the context ends.
func (l *Leader) stand(ctx context.Context) error {
	conn, err := connect(ctx, l.config.URL)
	if err != nil {
		return err
	}
	defer func() {
		closing, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer done()
		_ = conn.Close(closing) // the lock goes with it
	}()
	for ctx.Err() == nil {
		var elected bool
		if err := bounded(ctx, func(ctx context.Context) error {
			return conn.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtextextended('taskmed outbox leader', 0))").Scan(&elected)
		}); err != nil {
			return fmt.Errorf("ask whether another server leads: %w", err)
		}
		if elected {
			l.config.Counted.Leads(true)
			defer l.config.Counted.Leads(false)
			return l.lead(ctx, conn)
		}
		rest(ctx, candidacy/2+rand.N(candidacy))
	}
	return ctx.Err()
}

// connect makes the leader's own connection. Where the machine is gone Postgres ends it
// after some ten seconds, and another server leads.
func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	settings, err := pgx.ParseConfig(url)
	if err != nil {
		// pgx's words would hold the password.
		return nil, errors.New("the database's URL cannot be read")
	}
	settings.ConnectTimeout = 5 * time.Second
	settings.RuntimeParams["application_name"] = "taskmed outbox"
	settings.RuntimeParams["timezone"] = "UTC"
	settings.RuntimeParams["tcp_keepalives_idle"] = "5"
	settings.RuntimeParams["tcp_keepalives_interval"] = "2"
	settings.RuntimeParams["tcp_keepalives_count"] = "3"
	settings.RuntimeParams["statement_timeout"] = fmt.Sprint(longest.Milliseconds())
	conn, err := pgx.ConnectConfig(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return conn, nil
}

// bounded runs a statement that must not take for ever, nor be cut by a stop.
func bounded(ctx context.Context, run func(context.Context) error) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), longest+5*time.Second)
	defer done()
	return run(ctx)
}

func (l *Leader) lead(ctx context.Context, conn *pgx.Conn) error {
	leading, done := context.WithCancel(ctx)
	beside := make(chan struct{})
	go func() {
		defer close(beside)
		l.config.Beside(leading)
	}()
	defer func() {
		done()
		_ = conn.Close(context.WithoutCancel(ctx)) // another may lead while what runs beside comes to its end
		<-beside
	}()
	wrote := time.Now()
	for ctx.Err() == nil {
		events, more, err := l.stamp(ctx, conn)
		switch {
		case err != nil:
			return err
		case events > 0:
			wrote = time.Now()
		}
		switch {
		case more:
		case time.Since(wrote) < idleAfter:
			rest(ctx, poll)
		default:
			rest(ctx, idlePoll)
		}
	}
	return nil
}

// stamp gives positions once, to so many events; more tells that a clinic may have more.
func (l *Leader) stamp(ctx context.Context, conn *pgx.Conn) (events int64, more bool, err error) {
	began := time.Now()
	var clinics []uuid.UUID
	err = bounded(ctx, func(ctx context.Context) error {
		rows, err := conn.Query(ctx, "SELECT clinic, stamped FROM outbox_stamp($1)", most)
		if err != nil {
			return err
		}
		var clinic uuid.UUID
		var stamped int64
		_, err = pgx.ForEachRow(rows, []any{&clinic, &stamped}, func() error {
			clinics = append(clinics, clinic)
			events += stamped
			more = more || stamped >= most
			return nil
		})
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("give events their positions: %w", err)
	}
	if events > 0 {
		l.config.Counted.Stamped(events, time.Since(began))
		l.config.Stamped(clinics)
	}
	return events, more, nil
}

type uncounted struct{}

func (uncounted) Leads(bool)                   {}
func (uncounted) Stamped(int64, time.Duration) {}
func (uncounted) Waits(time.Duration)          {}
