// Package telemetry lets operators and developers see what the server does and
// what it costs: metrics, the log's request line, traces, alerts and the
// figures behind the dashboard. docs/observability.md, which is generated from
// this package, lists all of them.
//
// What it keeps is bounded whatever clients send: names come from the schema,
// the registered operations and the code's own SQL, and clinics are told apart
// up to a thousand.
package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/vektah/gqlparser/v2/ast"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	// Interval is how often a Snapshot is taken.
	Interval = 5 * time.Second
	// Kept is how far History goes back.
	Kept = time.Hour
	// asking bounds the wait for Postgres' and Redis' signs of life.
	asking = time.Second
)

var errRefused = errors.New("telemetry: the webhook did not take the alert")

// Config is what a Telemetry watches. All of it may be left out.
type Config struct {
	Log *slog.Logger
	// Registry is where the metrics are registered.
	Registry *prometheus.Registry
	// Schema is the one whose fields are told apart.
	Schema *ast.Schema
	// Known gives the name of an operation that may be told apart; the names
	// must be a set that clients cannot extend. The others are "other".
	Known func(op *graphql.OperationContext) (string, bool)
	// WebhookURL is posted every alert that begins or ends, as JSON.
	WebhookURL string
	// Spans, if set, is sent TraceRatio of the requests.
	Spans      sdktrace.SpanExporter
	TraceRatio float64
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Servers are what an instance needs beside itself. What it has not is nil.
type Servers struct {
	// Pool gives the pool's figures.
	Pool func() PoolFigures
	// Postgres and Redis tell whether the servers answer.
	Postgres, Redis func(context.Context) error
	// Plan gives Postgres' plan for a statement as it would be made for a clinic.
	Plan func(ctx context.Context, clinic uuid.UUID, sql string) (string, error)
}

// Telemetry watches one instance. Its methods may be called at any time from
// any goroutine.
type Telemetry struct {
	log     *slog.Logger
	now     func() time.Time
	known   func(op *graphql.OperationContext) (string, bool)
	servers atomic.Pointer[Servers]
	metrics *metrics
	catalog *catalog
	traces  *traces
	webhook *webhook

	requests   meter
	longest    longest
	refused    atomic.Int64
	refusals   tallies
	cache      *cacheCounts
	fields     *fields
	operations *operations
	statements *statements
	clinics    *clinics

	// Every request writes it, so it has a cache line of its own: who reads what is
	// beside it would have to fetch that anew each time.
	_      [cacheLine]byte
	flying atomic.Int64
	_      [cacheLine]byte

	// sampling is held while a snapshot is taken; what follows is its own.
	sampling sync.Mutex
	process  *process
	watch    *watch
	pool     PoolFigures
	sampled  time.Time
	latest   atomic.Pointer[Snapshot]

	stop    context.CancelFunc
	running sync.WaitGroup

	mu          sync.Mutex
	history     ring
	subscribers map[chan Snapshot]struct{}
}

// cacheLine is as much as processors hand each other at once, in bytes.
const cacheLine = 64

// New makes a Telemetry, which takes a Snapshot every Interval until Close.
func New(config Config) *Telemetry {
	ctx, stop := context.WithCancel(context.Background())
	t := newTelemetry(ctx, config)
	t.stop = stop
	t.running.Go(func() { t.run(ctx) })
	return t
}

// newTelemetry is New without the clock's ticking.
func newTelemetry(ctx context.Context, config Config) *Telemetry {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Registry == nil {
		config.Registry = prometheus.NewRegistry()
	}
	t := &Telemetry{
		log: config.Log, now: config.Now, known: config.Known, catalog: &catalog{registry: config.Registry},
		traces:  newTraces(config.Spans, config.TraceRatio),
		history: newRing(int(Kept / Interval)), subscribers: map[chan Snapshot]struct{}{},
		process: newProcess(config.Now()), watch: newWatch(), sampled: config.Now(), stop: func() {},
	}
	t.servers.Store(&Servers{})
	t.metrics = newMetrics(t.catalog, t)
	t.metrics.begin()
	t.cache = newCacheCounts(t.catalog)
	t.catalog.MustRegister(newHistogram("taskmed_request_duration_seconds", "Time from a request's first header to its last byte.",
		func(yield func([]string, *meter) bool) { yield(nil, &t.requests) }))
	t.fields = newFields(t.metrics, config.Schema)
	t.operations = newOperations(t.metrics)
	t.clinics = newClinics(t.metrics)
	t.statements = newStatements(func(name string) *family {
		return &family{name: name, failures: t.metrics.sqlFaults.WithLabelValues(name)}
	})
	t.catalog.MustRegister(newHistogram("taskmed_statement_duration_seconds",
		"Time from sending a SQL statement to its last row, by what it does to which tables.", t.statements.meters, "family"))
	if config.WebhookURL != "" {
		t.webhook = newWebhook(ctx, config.WebhookURL, config.Log)
	}
	return t
}

// Close ends what New began and sends the spans that wait.
func (t *Telemetry) Close() {
	t.stop()
	t.running.Wait()
	if t.webhook != nil {
		t.webhook.close()
	}
	ctx, done := context.WithTimeout(context.Background(), asking)
	defer done()
	if err := t.traces.close(ctx); err != nil {
		t.log.WarnContext(ctx, "spans were lost", slog.String("error", err.Error()))
	}
}

func (t *Telemetry) run(ctx context.Context) {
	ticks := time.NewTicker(Interval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			t.sample(ctx)
		}
	}
}

// Watch says which servers to watch. They are not known to New, for they are
// made with what it gives.
func (t *Telemetry) Watch(servers Servers) { t.servers.Store(&servers) }

// Metrics are all that are registered, in no order that matters.
func (t *Telemetry) Metrics() []Metric {
	t.catalog.mu.Lock()
	defer t.catalog.mu.Unlock()
	return slices.Clone(t.catalog.metrics)
}

// Registerer takes other parts' metrics, which docs/observability.md then lists.
func (t *Telemetry) Registerer() prometheus.Registerer { return t.catalog }

// Batch counts a data loader's fetch. The loaders' names are the code's own.
func (t *Telemetry) Batch(loader string, keys int) {
	t.metrics.batch.WithLabelValues(loader).Observe(float64(keys))
}

// ErrNoPlan tells that a statement's plan is not to be had.
var ErrNoPlan = errors.New("telemetry: no plan is to be had for this statement")

// Plan gives Postgres' plan, line by line, for a statement that a Snapshot
// names: the general one, made without any value, for the clinic that has asked
// most in the last minute. It is ErrNoPlan where the statement is not known, or
// no clinic has asked for anything.
func (t *Telemetry) Plan(ctx context.Context, statement string) (string, error) {
	plan, sql, latest := t.servers.Load().Plan, t.statements.example(statement), t.latest.Load()
	if plan == nil || sql == "" || latest == nil {
		return "", ErrNoPlan
	}
	for _, clinic := range latest.Clinics {
		if id, err := uuid.Parse(clinic.ID); err == nil { // The rest of them have no id.
			return plan(ctx, id, sql)
		}
	}
	return "", ErrNoPlan
}

// History gives the snapshots of the last hour, the oldest first.
func (t *Telemetry) History() []Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.history.all()
}

// Subscribe gives each snapshot as it is taken, until the context ends, which
// closes the channel. Whoever reads too slowly misses some.
func (t *Telemetry) Subscribe(ctx context.Context) <-chan Snapshot {
	snapshots := make(chan Snapshot, 1)
	t.mu.Lock()
	t.subscribers[snapshots] = struct{}{}
	t.mu.Unlock()
	context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.subscribers, snapshots)
		close(snapshots)
	})
	return snapshots
}

// publish keeps a snapshot and hands it to the subscribers.
func (t *Telemetry) publish(snapshot Snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.history.add(snapshot)
	for subscriber := range t.subscribers {
		select {
		case subscriber <- snapshot:
		default: // Its reader is slow.
		}
	}
}
