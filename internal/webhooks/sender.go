package webhooks

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

const (
	// mostAtOnce are under way to one endpoint, and mostCalls to all.
	mostAtOnce = 8
	mostCalls  = 512
	// mostTurns are run at a time: requests need the database, too. mostDoubted of them
	// are of endpoints that do not take (taking.go), and half of all calls.
	mostTurns   = 4
	mostDoubted = 1
	// mostLanes are driven at a time; others' turn comes when it comes.
	mostLanes = 5000
	// mostWoken clinics are remembered; beyond, all are looked at.
	mostWoken = 1000
	// manyFailures in a row are the endpoint's and not a delivery's: from then on it is
	// tried with one at a time, less and less often.
	manyFailures = 10
	// figuresEvery is how often what waits is counted.
	figuresEvery = 15 * time.Second
	// grace is left to calls that are under way when the server stops to lead.
	grace = 5 * time.Second
	// longestTurn bounds a turn that nobody else ends.
	longestTurn = 30 * time.Second
)

// SenderConfig is what a Sender is made of.
type SenderConfig struct {
	// Log may be nil.
	Log *slog.Logger
	// Fit tells whether the database may be served; nil if it always may.
	Fit func() error
	// Counted is told what is sent; may be nil.
	Counted Counted
	// Every is how often it looks for work of which nobody tells it (2 s).
	Every time.Duration
	// Backoff is how long to wait after so many attempts; Standard Webhooks' schedule if
	// nil.
	Backoff func(attempts int) time.Duration
	// Probing is how long to wait between attempts at an endpoint that takes nothing; 5 s,
	// doubling to 5 min, if nil.
	Probing func(failures int) time.Duration
	// Patience is how long a delivery is tried, and an endpoint that takes nothing (72 h).
	Patience time.Duration

	Seams
}

// Sender posts what is to be sent, for all clinics. One server has it run at a time; where
// two do nothing is lost, and some is sent twice.
type Sender struct {
	hooks    *Webhooks
	log      *slog.Logger
	fit      func() error
	counted  Counted
	every    time.Duration
	backoff  func(int) time.Duration
	probing  func(int) time.Duration
	patience time.Duration
	seams    Seams

	turns, calls *places
	signal       chan struct{}

	mu    sync.Mutex
	runs  bool
	woken map[uuid.UUID]struct{}
	lanes map[uuid.UUID]*driver
	takes taking
	own   sync.WaitGroup
}

// NewSender makes a Sender.
func NewSender(hooks *Webhooks, config SenderConfig) *Sender {
	s := &Sender{
		hooks: hooks, log: config.Log, fit: config.Fit, counted: config.Counted, every: config.Every, backoff: config.Backoff, probing: config.Probing,
		patience: config.Patience, seams: config.Seams, turns: newPlaces(mostTurns, mostDoubted), calls: newPlaces(mostCalls, mostCalls/2), signal: make(chan struct{}, 1),
		woken: map[uuid.UUID]struct{}{}, lanes: map[uuid.UUID]*driver{}, takes: taking{of: map[uuid.UUID]struct{}{}},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.fit == nil {
		s.fit = func() error { return nil }
	}
	if s.counted == nil {
		s.counted = uncounted{}
	}
	if s.every == 0 {
		s.every = 2 * time.Second
	}
	if s.backoff == nil {
		s.backoff = retryAfter
	}
	if s.probing == nil {
		s.probing = probeAfter
	}
	if s.patience == 0 {
		s.patience = patience
	}
	return s
}

// retryAfter is Standard Webhooks' ("Deliverability and reliability"), and not equally long
// for all, or they would meet again.
func retryAfter(attempts int) time.Duration {
	waits := [...]time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
	wait := waits[min(max(attempts, 1), len(waits))-1]
	return wait - wait/10 + rand.N(wait/5)
}

func probeAfter(failures int) time.Duration {
	wait := min(5*time.Second<<min(failures, 10), 5*time.Minute)
	return wait - wait/10 + rand.N(wait/5)
}

// Stamped tells that clinics have new changes. It does not wait.
func (s *Sender) Stamped(clinics []uuid.UUID) {
	s.mu.Lock()
	if !s.runs {
		s.mu.Unlock()
		return
	}
	for _, clinic := range clinics {
		if len(s.woken) < mostWoken {
			s.woken[clinic] = struct{}{}
		}
	}
	s.mu.Unlock()
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// Run sends until the context ends, leaves some time to calls that are under way, and
// writes down what came of them.
func (s *Sender) Run(ctx context.Context) {
	s.begin(true)
	calling, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	counting, done := context.WithCancel(ctx)
	s.own.Go(func() { s.count(counting) })
	failing := false
	everything := true
	for ctx.Err() == nil {
		err := s.rouse(ctx, calling, everything)
		if err != nil && !failing && ctx.Err() == nil {
			s.log.WarnContext(ctx, "webhooks wait: the database does not say what is to be sent", slog.Any("error", err))
		}
		failing = err != nil
		wait := time.NewTimer(s.every/2 + rand.N(s.every/2+1))
		select {
		case <-ctx.Done():
		case <-wait.C:
			everything = true
		case <-s.signal:
			everything = false
		}
		wait.Stop()
	}
	done()
	ending := time.AfterFunc(grace, cut)
	s.own.Wait()
	ending.Stop()
	s.begin(false)
}

func (s *Sender) begin(runs bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = runs
	clear(s.woken)
}

// rouse has lanes driven that have something to do: of the clinics that were told of, or
// of all.
func (s *Sender) rouse(ctx, calling context.Context, everything bool) error {
	if s.fit() != nil {
		return nil //nolint:nilerr // whoever watches the database says so
	}
	s.mu.Lock()
	clinics := make(models.Texts, 0, len(s.woken))
	for clinic := range s.woken {
		clinics = append(clinics, clinic.String())
	}
	everything = everything || len(clinics) >= mostWoken
	clear(s.woken)
	s.mu.Unlock()
	if everything {
		clinics = nil
	} else if len(clinics) == 0 {
		return nil
	}
	work, err := database.Lookup[struct{ Clinic, Endpoint uuid.UUID }](ctx, s.hooks.db, "SELECT clinic, endpoint FROM webhook_work($1::text[]::uuid[], $2)", []string(clinics), mostLanes)
	if err != nil {
		return err
	}
	for _, of := range work {
		s.lane(ctx, calling, of.Clinic, of.Endpoint)
	}
	return nil
}

// lane wakes an endpoint's lane, or begins to drive it.
func (s *Sender) lane(ctx, calling context.Context, clinic, endpoint uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.lanes[endpoint]
	if d == nil && len(s.lanes) >= mostLanes {
		return
	}
	if d == nil {
		d = &driver{
			sender: s, calling: forClinic(calling, clinic), clinic: clinic, endpoint: endpoint, wake: make(chan struct{}, 1),
			busy: map[uuid.UUID]struct{}{}, done: make(chan *result, mostAtOnce),
		}
		s.lanes[endpoint] = d
		s.own.Go(func() { d.run(forClinic(ctx, clinic)) })
		return
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// ended is whether a lane is driven no longer: not so where it was woken meanwhile.
func (s *Sender) ended(d *driver, force bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-d.wake:
		if !force {
			return false
		}
	default:
	}
	delete(s.lanes, d.endpoint)
	return true
}

// count counts what waits, until the context ends.
func (s *Sender) count(ctx context.Context) {
	for ctx.Err() == nil {
		if s.fit() == nil {
			figures, err := database.Lookup[struct {
				Waiting, Paused int64
				Overdue         float64
			}](ctx, s.hooks.db, "SELECT waiting, paused, overdue FROM webhook_figures()")
			if err == nil && len(figures) == 1 {
				s.counted.Waits(figures[0].Waiting, figures[0].Paused, time.Duration(figures[0].Overdue*float64(time.Second)))
			}
		}
		wait := time.NewTimer(figuresEvery)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
	s.counted.Waits(0, 0, 0) // who leads next says how many
}

// forClinic is a context of what happens in a clinic without a person.
func forClinic(ctx context.Context, clinic uuid.UUID) context.Context {
	return tenant.With(ctx, &tenant.Scope{Subject: "webhooks", ClinicID: clinic, Role: models.RolePartner})
}
