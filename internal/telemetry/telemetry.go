package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/vektah/gqlparser/v2/ast"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/taskmed/taskmed/internal/telemetry/alerts"
	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
	"github.com/taskmed/taskmed/internal/telemetry/metrics"
	"github.com/taskmed/taskmed/internal/telemetry/traces"
)

// asking bounds the wait for Postgres' and Redis' signs of life.
const asking = time.Second

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
	Pool func() metrics.PoolFigures
	// Postgres and Redis tell whether the servers answer.
	Postgres, Redis func(context.Context) error
	// Plan gives Postgres' plan for a statement as it would be made for a clinic.
	Plan func(ctx context.Context, clinic uuid.UUID, sql string) (string, error)
}

// Telemetry watches one instance. Its methods may be called at any time from
// any goroutine.
type Telemetry struct {
	// Spans of a request's parts are begun by its methods.
	*traces.Traces

	log     *slog.Logger
	now     func() time.Time
	known   func(op *graphql.OperationContext) (string, bool)
	servers atomic.Pointer[Servers]
	catalog *metrics.Catalog

	requests   *metrics.Requests
	operations *metrics.Operations
	fields     *metrics.Fields
	statements *metrics.Statements
	clinics    *metrics.Clinics
	cache      *metrics.Cache
	batches    *prometheus.HistogramVec

	// sampling is held while a snapshot is taken; what follows is its own.
	sampling sync.Mutex
	process  *metrics.ProcessReader
	alerts   *alerts.Watch
	pool     metrics.PoolFigures
	sampled  time.Time

	latest  atomic.Pointer[dashboard.Snapshot]
	history *dashboard.History

	stop    context.CancelFunc
	running sync.WaitGroup
}

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
	catalog := metrics.NewCatalog(config.Registry)
	t := &Telemetry{
		Traces: traces.New(config.Spans, config.TraceRatio),
		log:    config.Log, now: config.Now, known: config.Known, catalog: catalog,
		requests: metrics.NewRequests(catalog), operations: metrics.NewOperations(catalog), fields: metrics.NewFields(catalog, config.Schema),
		statements: metrics.NewStatements(catalog), clinics: metrics.NewClinics(catalog), cache: metrics.NewCache(catalog),
		batches: metrics.NewBatches(catalog), process: metrics.NewProcessReader(config.Now()),
		alerts:  alerts.New(ctx, catalog, config.Log, config.WebhookURL),
		sampled: config.Now(), history: dashboard.NewHistory(), stop: func() {},
	}
	t.servers.Store(&Servers{})
	catalog.Read(metrics.Figures{
		Pool: t.poolNow, Process: t.processNow,
		Postgres: func() float64 { return t.up(func(s *dashboard.Snapshot) dashboard.Health { return s.Postgres }) },
		Redis:    func() float64 { return t.up(func(s *dashboard.Snapshot) dashboard.Health { return s.Redis }) },
	})
	return t
}

// Close ends what New began and sends the spans that wait.
func (t *Telemetry) Close() {
	t.stop()
	t.running.Wait()
	t.alerts.Close()
	ctx, done := context.WithTimeout(context.Background(), asking)
	defer done()
	if err := t.Traces.Close(ctx); err != nil {
		t.log.LogAttrs(ctx, slog.LevelWarn, "spans were lost", slog.String("error", err.Error()))
	}
}

func (t *Telemetry) run(ctx context.Context) {
	ticks := time.NewTicker(dashboard.Interval)
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

// Registerer takes other parts' metrics, which docs/observability.md then lists.
func (t *Telemetry) Registerer() prometheus.Registerer { return t.catalog }

// Metrics are all that are registered, in no order that matters.
func (t *Telemetry) Metrics() []metrics.Metric { return t.catalog.Metrics() }

// ErrNoPlan tells that a statement's plan is not to be had.
var ErrNoPlan = errors.New("telemetry: no plan is to be had for this statement")

// Plan gives Postgres' plan, line by line, for a statement that a Snapshot
// names: the general one, made without any value, for the clinic that has asked
// most in the last minute. It is ErrNoPlan where the statement is not known, or
// no clinic has asked for anything.
func (t *Telemetry) Plan(ctx context.Context, statement string) (string, error) {
	plan, sql, latest := t.servers.Load().Plan, t.statements.Example(statement), t.latest.Load()
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
func (t *Telemetry) History() []dashboard.Snapshot { return t.history.All() }

// Subscribe gives each snapshot as it is taken, until the context ends, which
// closes the channel. Whoever reads too slowly misses some.
func (t *Telemetry) Subscribe(ctx context.Context) <-chan dashboard.Snapshot {
	return t.history.Subscribe(ctx)
}
