package maintenance

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	// spacing is how long ago the last run must be: a day, but for an hour by
	// which clocks are put forward, and for the jitter.
	spacing = 22 * time.Hour
	// missed is how long ago the last run is where one was left out.
	missed = 26 * time.Hour
	// jitter spreads the instances over so much time.
	jitter = 10 * time.Minute
	// settling is how long a server that has just begun is left alone.
	settling = 5 * time.Minute
	// longest bounds a run; what it did not get to is there tomorrow.
	longest = 10 * time.Minute
	// look is how often the clock is read. A timer for the next night would not
	// notice that the clock was set.
	look = time.Minute
)

// KeeperConfig is what a Keeper needs.
type KeeperConfig struct {
	// URL reaches the database as the application's role, past any pooler.
	URL string
	// OwnerURL, if set, reaches it as the owner's; then all of the work is done.
	OwnerURL string
	// Hour and Minute are when, by the zone of Now.
	Hour, Minute int
	Log          *slog.Logger
	// Ran is told of every attempt; may be nil.
	Ran func(Result, error)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Look is how often the clock is read; 0 is a minute.
	Look time.Duration
}

// Keeper does the daily work by itself, on one instance at a time: whichever
// takes the run first, in Postgres and by its clock. Others find that it was taken.
type Keeper struct {
	config KeeperConfig
	stop   context.CancelFunc
	done   chan struct{}
}

// NewKeeper begins to keep; Close ends it.
func NewKeeper(config KeeperConfig) *Keeper {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Look == 0 {
		config.Look = look
	}
	if config.Ran == nil {
		config.Ran = func(Result, error) {}
	}
	ctx, stop := context.WithCancel(context.Background())
	k := &Keeper{config: config, stop: stop, done: make(chan struct{})}
	began := config.Now()
	go func() {
		defer close(k.done)
		k.keep(ctx, began)
	}()
	return k
}

// Close ends a run under way, too.
func (k *Keeper) Close() {
	k.stop()
	<-k.done
}

func (k *Keeper) keep(ctx context.Context, began time.Time) {
	ticks := time.NewTicker(k.config.Look)
	defer ticks.Stop()
	// A server that is off at night must find another time.
	early := began.Add(settling + spread())
	next := k.next(began)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		now := k.config.Now()
		switch {
		case !now.Before(next):
			k.attempt(ctx, spacing)
			next = k.next(now)
		case next.Sub(now) > 25*time.Hour: // The clock was put back.
			next = k.next(now)
		case !early.IsZero() && !now.Before(early):
			k.attempt(ctx, missed)
			early = time.Time{}
		}
	}
}

// next is the next time of the day after now.
func (k *Keeper) next(now time.Time) time.Time {
	at := time.Date(now.Year(), now.Month(), now.Day(), k.config.Hour, k.config.Minute, 0, 0, now.Location())
	if !at.After(now) {
		at = time.Date(now.Year(), now.Month(), now.Day()+1, k.config.Hour, k.config.Minute, 0, 0, now.Location())
	}
	return at.Add(spread())
}

func spread() time.Duration { return rand.N(jitter) }

// attempt runs what is due, unless the last run began less than a period ago.
func (k *Keeper) attempt(ctx context.Context, period time.Duration) {
	bounded, done := context.WithTimeout(ctx, longest)
	defer done()
	url, steps := k.config.URL, asServer()
	if k.config.OwnerURL != "" {
		url, steps = k.config.OwnerURL, asOwner()
	}
	result, err := run(bounded, url, period, steps)
	if ctx.Err() == nil {
		k.tell(ctx, result, err)
	}
	k.config.Ran(result, err)
}

func (k *Keeper) tell(ctx context.Context, result Result, err error) {
	log := k.config.Log
	switch {
	case err != nil:
		log.ErrorContext(ctx, "maintenance failed: taskmed maintain does it by hand", slog.String("error", err.Error()))
		return
	case result.Busy, result.NotDue:
		log.DebugContext(ctx, "maintenance is another instance's, or was done")
		return
	}
	log.InfoContext(ctx, "maintenance", slog.Int("clinics", result.Clinics),
		slog.Int64("expired_keys", result.Keys), slog.Int64("expired_holds", result.Holds), slog.Int64("expired_changes", result.Changes), slog.Int64("expired_deliveries", result.Deliveries), slog.Int64("expired_posts", result.Posts),
		slog.String("partitions", strings.Join(result.Partitions, " ")), slog.String("analyzed", strings.Join(result.Analyzed, " ")),
		slog.Duration("took", result.Took))
	for _, left := range result.Left {
		log.WarnContext(ctx, "maintenance was left undone, for it takes the owner's role: run taskmed maintain, or set TASKMED_MAINTAIN_URL",
			slog.String("left", left))
	}
	for _, warning := range result.Warnings {
		log.WarnContext(ctx, "maintenance found something to look at", slog.String("warning", warning))
	}
}
