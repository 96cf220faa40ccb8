package messaging

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

const (
	// lease is how long what a worker has taken is left to it.
	lease = 2 * time.Minute
	// mostClinics are worked for in one round, clinicsAtOnce of them at a time.
	mostClinics   = 100
	clinicsAtOnce = 4
	// eventsBeside are understood at a time, of all clinics: requests need the database, too.
	eventsBeside = 6
	longestWait  = 10 * time.Minute
	// figuresEvery is how often what waits is counted.
	figuresEvery = 15 * time.Second
)

// WorkerConfig is what a Worker is made of.
type WorkerConfig struct {
	Log *slog.Logger
	// Every is how often it looks for work of which nobody tells it (1 s).
	Every time.Duration
	// Backoff is how long to wait after so many attempts; it doubles from 2 s to 10 min
	// if nil.
	Backoff func(attempts int) time.Duration
	// Counted is told what is sent and understood; may be nil.
	Counted Counted

	Seams
}

// Worker understands what providers have posted and sends what is to be sent, for all
// clinics. Several work side by side, on as many servers.
type Worker struct {
	talk    *Correspondence
	log     *slog.Logger
	every   time.Duration
	backoff func(int) time.Duration
	counted Counted
	seams   Seams
	// mostAtOnce are sent of one clinic before others' turn comes.
	mostAtOnce int
	// places are for events that are being understood.
	places chan struct{}
}

// NewWorker makes a Worker.
func NewWorker(talk *Correspondence, config WorkerConfig) *Worker {
	w := &Worker{talk: talk, log: config.Log, every: config.Every, backoff: config.Backoff, counted: config.Counted, seams: config.Seams, mostAtOnce: 50, places: make(chan struct{}, eventsBeside)}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	if w.counted == nil {
		w.counted = uncounted{}
	}
	if w.every == 0 {
		w.every = time.Second
	}
	if w.backoff == nil {
		w.backoff = doubling
	}
	return w
}

// doubling is 2, 4, 8 … seconds, and not equally long for all, or they would meet again.
func doubling(attempts int) time.Duration {
	wait := min(time.Second<<min(attempts, 20), longestWait)
	return wait - rand.N(wait/4)
}

// Run works until the context ends, and finishes what it is at.
func (w *Worker) Run(ctx context.Context) {
	for ctx.Err() == nil {
		worked, err := w.Round(ctx)
		if err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "messages cannot be worked on now", slog.Any("error", err))
		}
		if worked > 0 && err == nil {
			continue
		}
		wait := time.NewTimer(w.every)
		select {
		case <-ctx.Done():
		case <-wait.C:
		case <-w.talk.woken:
		}
		wait.Stop()
	}
}

// Beside works while something serves, and gives its error.
func (w *Worker) Beside(ctx context.Context, serve func() error) error {
	working, done := context.WithCancel(ctx)
	var own sync.WaitGroup
	own.Go(func() { w.Run(working) })
	own.Go(func() { w.count(working) })
	defer own.Wait()
	defer done()
	return serve()
}

// Round works once for each clinic that has something to do, and tells how much it did.
func (w *Worker) Round(ctx context.Context) (int, error) {
	clinics, err := database.Lookup[struct{ Clinic uuid.UUID }](ctx, w.talk.db, "SELECT clinic FROM channel_work($1)", mostClinics)
	if err != nil {
		return 0, err
	}
	var mu sync.Mutex
	worked := 0
	var first error
	turns := make(chan struct{}, clinicsAtOnce)
	var wg sync.WaitGroup
	for _, of := range clinics {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			understood, err := w.understandSome(forClinic(ctx, of.Clinic))
			sent, failed := w.deliverSome(forClinic(ctx, of.Clinic))
			mu.Lock()
			defer mu.Unlock()
			worked += understood + sent
			for _, fault := range []error{err, failed} {
				if fault != nil && first == nil {
					first = fault
				}
			}
		})
	}
	wg.Wait()
	return worked, first
}

// count counts what waits, until the context ends. Each server does: the figures are the
// same on all.
func (w *Worker) count(ctx context.Context) {
	for ctx.Err() == nil {
		figures, err := database.Lookup[Waiting](ctx, w.talk.db, "SELECT channel, direction, waiting, oldest, overdue FROM channel_figures()")
		if err == nil {
			w.counted.Waits(figures)
		}
		wait := time.NewTimer(figuresEvery)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

// forClinic is a context of what happens in a clinic without a person.
func forClinic(ctx context.Context, clinic uuid.UUID) context.Context {
	return tenant.With(ctx, &tenant.Scope{Subject: "channel", ClinicID: clinic, Role: models.RolePartner})
}

// wake has a worker of this process look for work at once.
func (c *Correspondence) wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// clock is Postgres' clock, so much later.
func (c *Correspondence) clock(later time.Duration) clause.Expr {
	return gorm.Expr("clock_timestamp() + make_interval(secs => ?)", later.Seconds())
}
