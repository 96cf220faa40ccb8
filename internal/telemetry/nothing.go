package telemetry

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/telemetry/traces"
)

// Nothing takes a Telemetry's place where nothing is to be watched.
type Nothing struct{}

// Begin watches no request.
func (Nothing) Begin(w http.ResponseWriter, r *http.Request) (out http.ResponseWriter, ctx context.Context, end func()) {
	return w, r.Context(), func() {}
}

// Statements tells that nobody counts.
func (Nothing) Statements(context.Context) (n int64, counted bool) { return 0, false }

// Look watches no look-up.
func (Nothing) Look(ctx context.Context) (context.Context, func(outcome, tier, reason string, stored bool)) {
	return ctx, traces.Unseen
}

// Fetching watches no relation.
func (Nothing) Fetching(context.Context, *selection.Field, int) func(error) { return func(error) {} }

// RedisHook traces nothing.
func (Nothing) RedisHook() redis.Hook { return (*traces.Traces)(nil).RedisHook() }

// Tracer watches no statement.
func (Nothing) Tracer() pgx.QueryTracer { return untraced{} }

// Registerer takes metrics that nobody reads.
func (Nothing) Registerer() prometheus.Registerer { return unread{} }

// Watch watches no server.
func (Nothing) Watch(Servers) {}

// Close has nothing to end.
func (Nothing) Close() {}

type untraced struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (untraced) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (untraced) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

type unread struct{}

// Register implements prometheus.Registerer.
func (unread) Register(prometheus.Collector) error { return nil }

// MustRegister implements prometheus.Registerer.
func (unread) MustRegister(...prometheus.Collector) {}

// Unregister implements prometheus.Registerer.
func (unread) Unregister(prometheus.Collector) bool { return false }
