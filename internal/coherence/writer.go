package coherence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskmed/taskmed/internal/touched"
)

// errUnreached is returned to a writer while Redis is not reached.
var errUnreached = errors.New("redis is not reached: other instances cannot be told of a write")

type writerKey struct{}

// WithWriter names the operation that writes, for the reasons of misses.
func WithWriter(ctx context.Context, operation string) context.Context {
	return context.WithValue(ctx, writerKey{}, operation)
}

func writer(ctx context.Context) string {
	name, _ := ctx.Value(writerKey{}).(string)
	return name
}

// Others is how a writer reaches those who serve from the cache, here and on other
// instances (trust).
type Others interface {
	// Journal is the one that writers tell, nil while none is reached.
	Journal() Journal
	// AwaitJournal is Journal, but waits a little where it is not known yet which it is.
	AwaitJournal(ctx context.Context) Journal
	// Told notes that the journal was told of a write.
	Told()
	// StandAside makes everybody stand aside for a writer who could not raise, until
	// end is called with how long the write may still go on; or raises after all, if
	// that becomes possible meanwhile. Without a way to tell others end is nil.
	StandAside(ctx context.Context, raise func(ctx context.Context) error) (raised bool, end func(still time.Duration))
}

// Writer tells everybody what a transaction is about to change.
type Writer struct {
	others                        Others
	longestCommit, longestRequest time.Duration
	log                           *slog.Logger
	seams                         Seams
	took                          *prometheus.HistogramVec
}

// WriterConfig says whom a writer tells, and for how long it counts.
type WriterConfig struct {
	Others Others
	// LongestCommit is how long a transaction may take from raising its tags to
	// the end of its commit. LongestRequest is how long after it began a reader may
	// still store what it read.
	LongestCommit, LongestRequest time.Duration

	Log *slog.Logger
	// Metrics takes what writers pay; may be nil.
	Metrics prometheus.Registerer
	Seams   Seams
}

// NewWriter makes a writer.
func NewWriter(config WriterConfig) (*Writer, error) {
	w := &Writer{
		others: config.Others, longestCommit: config.LongestCommit, longestRequest: config.LongestRequest, log: config.Log, seams: config.Seams,
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "taskmed_respcache_raise_seconds", Help: "How long a writer took to tell what it is about to change.",
			Buckets: []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .05, .1},
		}, []string{"outcome"}),
	}
	if config.Metrics != nil {
		if err := config.Metrics.Register(w.took); err != nil {
			return nil, fmt.Errorf("coherence: %w", err)
		}
	}
	return w, nil
}

// Raise implements database.Coherence: from its return on nothing that has one of
// the tags is served or stored, until settle. With an error nobody else was told
// and the transaction must notify.
func (w *Writer) Raise(ctx context.Context, clinic uuid.UUID, tags []touched.Tag) (settle func(ctx context.Context, outcome touched.Outcome), err error) {
	began := time.Now()
	defer func() { w.raised(time.Since(began), err) }()
	step := Write{By: writer(ctx), fence: uuid.NewString(), standing: w.standing()}
	shares := Shares(clinic, tags, w.seams)
	raising := step
	if w.seams.WithoutFence {
		raising.fence = ""
	}
	raise := func(ctx context.Context) error {
		journal := w.others.AwaitJournal(ctx)
		if journal == nil {
			return errUnreached
		}
		for _, s := range shares {
			raising.Tags = s.Tags
			if err := journal.Raise(ctx, s.Clinic, raising); err != nil {
				return err
			}
		}
		w.others.Told()
		return nil
	}
	w.seams.Point("raise")
	// The request's end must not leave it open whether others were told.
	ctx = context.WithoutCancel(ctx)
	var end func(still time.Duration)
	if err = raise(ctx); err != nil {
		// It may have arrived all the same; the fence then runs out by itself.
		var raised bool
		if raised, end = w.others.StandAside(ctx, raise); raised {
			err = nil
		}
	}
	w.seams.Point("raised")
	return func(ctx context.Context, outcome touched.Outcome) {
		if end != nil {
			still := time.Duration(0)
			if outcome == touched.Unknown {
				still = w.longestCommit
			}
			end(still)
		}
		for _, s := range shares {
			step.Tags = s.Tags
			w.settle(ctx, s.Clinic, step, outcome)
		}
	}, err
}

// settle ends what Raise began. What cannot be told here need not be: a fence
// that stays runs out once nobody can store what was read before the commit, and
// a journal that lost it lets nothing be stored before the barrier.
func (w *Writer) settle(ctx context.Context, clinic uuid.UUID, step Write, outcome touched.Outcome) {
	journal := w.others.Journal()
	if journal == nil || outcome == touched.Unknown {
		return
	}
	w.seams.Point("settle")
	var err error
	if outcome == touched.RolledBack {
		err = journal.lower(ctx, clinic, step.fence)
	} else {
		err = journal.Raise(ctx, clinic, Write{Tags: step.Tags, By: step.By, lowers: step.fence})
	}
	if err != nil {
		w.log.DebugContext(ctx, "a fence stays until it runs out", slog.Any("error", err))
	}
}

// standing is how long the fence of a writer stands who is never heard of again.
func (w *Writer) standing() time.Duration { return (w.longestCommit + w.longestRequest) * 5 / 4 }

func (w *Writer) raised(took time.Duration, err error) {
	outcome := "told"
	if err != nil {
		outcome = "failed"
	}
	w.took.WithLabelValues(outcome).Observe(took.Seconds())
}
