package app

import (
	"context"
	"fmt"
	"net/http"
	"regexp"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/persisted"
	"github.com/taskmed/taskmed/internal/telemetry"
	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
	"github.com/taskmed/taskmed/internal/telemetry/logs"
	"github.com/taskmed/taskmed/internal/telemetry/metrics"
	"github.com/taskmed/taskmed/internal/telemetry/traces"
	"github.com/taskmed/taskmed/web"
)

// observer is what watches the parts; its fields are nil where nothing does.
type observer struct {
	*telemetry.Telemetry

	registry *prometheus.Registry
	tracer   pgx.QueryTracer
}

// observe makes the observer and hands it the log, which then tells more of each request.
func observe(ctx context.Context, settings config.Config, options *Options, schema *ast.Schema, known knownOperations) (observer, error) {
	if !settings.Metrics {
		return observer{}, nil
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	options.Log = logs.Logger(options.Log)
	wanted := telemetry.Config{
		Log: options.Log, Registry: registry, Schema: schema, Known: known,
		WebhookURL: settings.AlertWebhook, TraceRatio: settings.TraceRatio,
	}
	if settings.OTLPEndpoint != "" {
		spans, err := traces.OTLP(ctx, settings.OTLPEndpoint)
		if err != nil {
			return observer{}, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
		}
		wanted.Spans = spans
	}
	made := telemetry.New(wanted) //nolint:contextcheck // it ends with Close, not with the start
	return observer{Telemetry: made, registry: registry, tracer: made.Tracer()}, nil
}

// watch has the observer see what the server does.
func (o observer) watch(db *database.DB, plan func(ctx context.Context, clinic uuid.UUID, sql string) (string, error), redis *persisted.Redis, server *gqlserver.Config) {
	if o.Telemetry == nil {
		return
	}
	servers := telemetry.Servers{
		Postgres: db.Ping, Plan: plan,
		Pool: func() metrics.PoolFigures {
			now := db.Stat()
			return metrics.PoolFigures{
				Max: now.MaxConns(), InUse: now.AcquiredConns(), Idle: now.IdleConns(),
				Acquires: now.AcquireCount(), Waits: now.EmptyAcquireCount(), Canceled: now.CanceledAcquireCount(),
				Waited: now.EmptyAcquireWaitTime(),
			}
		},
	}
	if redis != nil {
		servers.Redis = redis.Ping
	}
	o.Watch(servers)
	// Outermost, so that it sees what the others do.
	server.Extensions = append([]graphql.HandlerExtension{o.Extension()}, server.Extensions...)
	server.Observer, server.Metrics = o, o.registry
	page := web.Dashboard[dashboard.Snapshot](o.Telemetry)
	server.AdminRoutes = map[string]http.Handler{"/dashboard": page, "/dashboard/": page}
}

// Statements implements gqlserver.Observer.
func (observer) Statements(ctx context.Context) (int64, bool) { return telemetry.Statements(ctx), true }

// registerer takes the parts' own metrics; nil where nobody reads them.
func (o observer) registerer() prometheus.Registerer {
	if o.Telemetry == nil {
		return nil
	}
	return o.Registerer()
}

// exampleName finds the name of an example's operation.
var exampleName = regexp.MustCompile(`(?m)^(?:query|mutation|subscription)\s+(\w+)`)

// knownOperations gives the name of an operation that may be told apart.
type knownOperations func(*graphql.OperationContext) (string, bool)

// known are the registered operations and, though nobody registered them, the
// playground's examples, by their names.
func (a *App) known() knownOperations {
	names := map[string]struct{}{}
	for _, example := range web.Examples() {
		if match := exampleName.FindStringSubmatch(example.Query); match != nil {
			names[match[1]] = struct{}{}
		}
	}
	return func(op *graphql.OperationContext) (string, bool) {
		// The registry is there before the first request is.
		if name, registered := a.documents.registry.Name(op.RawQuery); registered && name != "" {
			return name, true
		}
		_, known := names[op.Operation.Name]
		return op.Operation.Name, known
	}
}
