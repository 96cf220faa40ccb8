package fitness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/database"
)

const (
	// every is how often a fit database is looked at, again how soon after a look
	// that failed or found something.
	every, again = 2 * time.Second, 200 * time.Millisecond
	// lapse is how long a verdict stands where Postgres cannot be asked: a server
	// whose requests reach Postgres must not be unready for one lost connection.
	lapse = 10 * time.Second
	// longest bounds a look, the connection included; first that of the start,
	// which waits for no Postgres that is not there.
	longest, first = 5 * time.Second, 2 * time.Second
)

// ErrUnknown is why a database may not be served that nobody could look at.
var ErrUnknown = errors.New("whether the database may be served is not known")

// Config is what a Watcher needs.
type Config struct {
	// URL reaches the database as the role that serves.
	URL string
	Log *slog.Logger
	// Rules are judged beside this package's own.
	Rules []Rule
}

// Watcher knows whether the database may be served now.
type Watcher struct {
	config Config
	// conn is the loop's alone, so that a look neither waits for the pool nor is
	// counted with requests' statements.
	conn    *pgx.Conn
	verdict atomic.Pointer[verdict]
	stop    context.CancelFunc
	// looked is closed after the first look, done after the last.
	looked, done chan struct{}
}

// verdict is what the last looks came to.
type verdict struct {
	// at is when the last look began that came to an end; zero before.
	at time.Time
	// unfit is what it found; nil is fit.
	unfit *UnfitError
	// cause is why a later look failed.
	cause error
}

// Watch begins to look and goes on until Close. It does not wait: Await does.
func Watch(ctx context.Context, config Config) *Watcher {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	w := &Watcher{config: config, stop: stop, looked: make(chan struct{}), done: make(chan struct{})}
	w.verdict.Store(&verdict{})
	go w.run(running)
	return w
}

// Await waits for the first look, which a Postgres that is not there makes short.
// It is *UnfitError where the database must not be served; where nobody could look it
// is nil, and Fit tells why until somebody could.
func (w *Watcher) Await(ctx context.Context) error {
	select {
	case <-w.looked:
	case <-ctx.Done():
		return ctx.Err()
	}
	if now := w.verdict.Load(); now.unfit != nil {
		return now.unfit
	}
	return nil
}

// Close ends the looks.
func (w *Watcher) Close() {
	w.stop()
	<-w.done
}

// Fit is nil where the database may be served: it was, by the last look, and
// that was lately. The error is for operators: *UnfitError, or ErrUnknown and why.
func (w *Watcher) Fit() error {
	now := w.verdict.Load()
	switch {
	case now.unfit != nil:
		return now.unfit
	case now.at.IsZero() || time.Since(now.at) > lapse:
		return errors.Join(ErrUnknown, now.cause)
	}
	return nil
}

func (w *Watcher) run(ctx context.Context) {
	defer close(w.done)
	defer w.disconnect(ctx)
	w.look(ctx, first)
	if cause := w.verdict.Load().cause; cause != nil && ctx.Err() == nil {
		w.config.Log.WarnContext(ctx, "Postgres does not answer: nothing is served before the database has been looked at", slog.Any("error", cause))
	}
	close(w.looked)
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		now := w.verdict.Load()
		wait.Reset(every)
		if now.unfit != nil || now.cause != nil || now.at.IsZero() {
			wait.Reset(again)
		}
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		w.look(ctx, longest)
		if ctx.Err() == nil {
			w.tell(ctx, now, w.verdict.Load())
		}
	}
}

// look comes to a verdict, over the old connection if there is one. A connection
// that broke is replaced at once: that alone is no reason to stop serving.
func (w *Watcher) look(ctx context.Context, bound time.Duration) {
	bounded, done := context.WithTimeout(ctx, bound)
	defer done()
	began := time.Now()
	old := w.conn != nil
	found, err := w.examine(bounded)
	if err != nil && old {
		found, err = w.examine(bounded)
	}
	before := w.verdict.Load()
	switch {
	case err != nil:
		w.verdict.Store(&verdict{at: before.at, unfit: before.unfit, cause: err})
	case len(found) > 0:
		w.verdict.Store(&verdict{at: began, unfit: &UnfitError{Findings: found}})
	default:
		if before.unfit != nil {
			// What was written while it was unfit may not have been announced.
			if err := w.forget(bounded); err != nil {
				w.verdict.Store(&verdict{at: before.at, unfit: before.unfit, cause: err})
				return
			}
		}
		w.verdict.Store(&verdict{at: began})
	}
}

func (w *Watcher) examine(ctx context.Context) ([]Finding, error) {
	if w.conn == nil {
		config, err := pgx.ParseConfig(w.config.URL)
		if err != nil {
			return nil, errors.New("the database's URL cannot be read") // pgx's words would hold the password.
		}
		config.RuntimeParams["application_name"] = "taskmed fitness"
		config.RuntimeParams["statement_timeout"] = fmt.Sprint(longest.Milliseconds())
		if w.conn, err = pgx.ConnectConfig(ctx, config); err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
	}
	found, err := Examine(ctx, w.conn, w.config.Rules...)
	if err != nil {
		w.disconnect(ctx)
	}
	return found, err
}

// forget makes every cache let go of all it keeps.
func (w *Watcher) forget(ctx context.Context) error {
	if _, err := w.conn.Exec(ctx, "SELECT pg_notify($1, $2)", database.NotifyChannel, `{"c": null}`); err != nil {
		w.disconnect(ctx)
		return fmt.Errorf("make the caches forget: %w", err)
	}
	return nil
}

func (w *Watcher) disconnect(ctx context.Context) {
	if w.conn == nil {
		return
	}
	closing, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer done()
	_ = w.conn.Close(closing) // it is given up either way
	w.conn = nil
}

// tell logs what changed.
func (w *Watcher) tell(ctx context.Context, before, now *verdict) {
	log := w.config.Log
	switch {
	case now.unfit != nil && (before.unfit == nil || before.unfit.Error() != now.unfit.Error()):
		log.ErrorContext(ctx, "nothing is served", slog.Any("error", now.unfit.Error()))
	case now.cause != nil && before.cause == nil:
		log.WarnContext(ctx, "the database cannot be looked at", slog.Any("error", now.cause))
	case now.unfit == nil && now.cause == nil && (before.unfit != nil || before.at.IsZero()):
		log.InfoContext(ctx, "the database may be served")
	}
}
