package app

import (
	"context"
	"fmt"
	"net/http"
	"regexp"

	"github.com/99designs/gqlgen/graphql"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/telemetry"
	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
	"github.com/taskmed/taskmed/internal/telemetry/logs"
	"github.com/taskmed/taskmed/internal/telemetry/metrics"
	"github.com/taskmed/taskmed/internal/telemetry/traces"
	"github.com/taskmed/taskmed/web"
)

// observer is what the parts are watched by: a *telemetry.Telemetry, or telemetry.Nothing.
type observer interface {
	gqlserver.Observer
	Tracer() pgx.QueryTracer
	RedisHook() redis.Hook
	Fetching(ctx context.Context, place *selection.Field, parents int) func(error)
	Registerer() prometheus.Registerer
	Watch(telemetry.Servers)
	Close()
}

// observing is the observer, with what the server shows of it and is hooked by.
type observing struct {
	observer

	extensions []graphql.HandlerExtension
	metrics    prometheus.Gatherer
	routes     map[string]http.Handler
}

// observe makes the observer and hands it the log, which then tells more of each request.
func observe(ctx context.Context, settings config.Config, options *Options, schema *ast.Schema, known knownOperations) (observing, error) {
	if !settings.Metrics {
		return observing{observer: telemetry.Nothing{}}, nil
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
			return observing{}, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
		}
		wanted.Spans = spans
	}
	made := telemetry.New(wanted) //nolint:contextcheck // it ends with Close, not with the start
	page := web.Dashboard[dashboard.Snapshot](made)
	return observing{
		observer: made, extensions: []graphql.HandlerExtension{made.Extension()}, metrics: registry,
		routes: map[string]http.Handler{"/dashboard": page, "/dashboard/": page},
	}, nil
}

// poolFigures are the figures of a database's pool.
func poolFigures(db *database.DB) func() metrics.PoolFigures {
	return func() metrics.PoolFigures {
		now := db.Stat()
		return metrics.PoolFigures{
			Max: now.MaxConns(), InUse: now.AcquiredConns(), Idle: now.IdleConns(),
			Acquires: now.AcquireCount(), Waits: now.EmptyAcquireCount(), Canceled: now.CanceledAcquireCount(),
			Waited: now.EmptyAcquireWaitTime(),
		}
	}
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
		// The documents are there before the first request is.
		if name, registered := a.documents.Name(op.RawQuery); registered && name != "" {
			return name, true
		}
		_, known := names[op.Operation.Name]
		return op.Operation.Name, known
	}
}
