package telemetry

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// wholeRequest does all that a request may do, as the server's parts tell of it.
func wholeRequest(t *Telemetry, sql string) func(context.Context, http.ResponseWriter) {
	tracer := t.Tracer()
	return func(ctx context.Context, w http.ResponseWriter) {
		ctx, looked := t.Look(ctx)
		_, redis := t.Redis(ctx, 2, func(int) string { return "hget" })
		redis.End(false)
		extension{t}.InterceptResponse(ctx, func(ctx context.Context) *graphql.Response {
			ctx, fetch := t.Fetch(ctx, "contacts", 3)
			asks(tracer, sql, nil)(ctx, w)
			fetch.End(true)
			return &graphql.Response{}
		})
		looked("miss", "redis", "invalidated by contact:018f4a3e", true)
	}
}

func TestSpans_ShowARequestsPartsInTheirOrder(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	telemetry := newTelemetry(t.Context(), Config{Spans: spans, TraceRatio: 1})
	serve(telemetry, uuid.New(), "Day", wholeRequest(telemetry, "SELECT name FROM contacts WHERE name = 'Maria'"))
	require.NoError(t, telemetry.Flush(t.Context()))

	made := map[string]tracetest.SpanStub{}
	under := map[string]string{}
	for _, span := range spans.GetSpans() {
		made[span.Name] = span
	}
	for name, span := range made {
		for parent, other := range made {
			if other.SpanContext.SpanID() == span.Parent.SpanID() {
				under[name] = parent
			}
		}
	}
	require.Equal(t, map[string]string{
		"cache": "query other", "redis pipeline": "cache", "execute": "cache", "load contacts": "execute", "select contacts": "load contacts",
	}, under)
	require.Equal(t, map[string]string{
		"taskmed.cache.outcome": "miss", "taskmed.cache.stored": "true", "taskmed.cache.tier": "redis",
		"taskmed.cache.reason": "invalidated", // what was is not told
	}, attributes(made["cache"]))
	require.Equal(t, map[string]string{"db.system.name": "redis", "db.operation.name": "HGET HGET", "db.operation.batch.size": "2"}, attributes(made["redis pipeline"]))
	require.Equal(t, map[string]string{"taskmed.loader": "contacts", "taskmed.loader.keys": "3"}, attributes(made["load contacts"]))
	require.Equal(t, "Error", made["load contacts"].Status.Code.String())
	require.Equal(t, "select contacts", attributes(made["select contacts"])["db.query.summary"])
	require.NotContains(t, attributes(made["select contacts"])["db.query.text"], "Maria")
}

func attributes(span tracetest.SpanStub) map[string]string {
	found := map[string]string{}
	for _, attribute := range span.Attributes {
		found[string(attribute.Key)] = attribute.Value.String()
	}
	return found
}

func TestInject_PassesTheTraceOn(t *testing.T) {
	t.Parallel()
	telemetry := newTelemetry(t.Context(), Config{Spans: tracetest.NewInMemoryExporter(), TraceRatio: 1})
	out := http.Header{}
	answer := serve(telemetry, uuid.New(), "", func(ctx context.Context, _ http.ResponseWriter) { telemetry.Inject(ctx, out) })
	require.Equal(t, answer.Get("Traceresponse"), out.Get("Traceparent"))
	require.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`, out.Get("Traceparent"))

	off := newTelemetry(t.Context(), Config{})
	clear(out)
	serve(off, uuid.New(), "", func(ctx context.Context, _ http.ResponseWriter) { off.Inject(ctx, out) })
	require.Empty(t, out)
}

// Off, or where a request is not sampled, traces must cost nothing: not one
// allocation for all the parts of a request, and none more for the whole of it.
func TestSpans_TakeNothingWhereThereAreNone(t *testing.T) { // Alone: others' allocations would be counted.
	off := newTelemetry(t.Context(), Config{})
	unsampled := newTelemetry(t.Context(), Config{Spans: discard{}, TraceRatio: 0})
	on := newTelemetry(t.Context(), Config{Spans: discard{}, TraceRatio: 1})
	for name, telemetry := range map[string]*Telemetry{"off": off, "unsampled": unsampled} {
		part := telemetry.statements.Of("SELECT name FROM contacts")
		require.Zero(t, testing.AllocsPerRun(100, func() {
			ctx, looked := telemetry.Look(t.Context())
			ctx, run := telemetry.Execute(ctx)
			ctx, fetch := telemetry.Fetch(ctx, "contacts", 3)
			ctx, redis := telemetry.Redis(ctx, 2, func(int) string { return "hget" })
			_, sql := telemetry.Statement(ctx, part)
			sql.End(true)
			redis.End(true)
			fetch.End(false)
			run.End(false)
			looked("miss", "", "first seen", false)
		}), name)
	}
	clinic := uuid.New()
	whole := func(telemetry *Telemetry) float64 {
		return testing.AllocsPerRun(100, func() { serve(telemetry, clinic, "x", wholeRequest(telemetry, "SELECT name FROM contacts")) })
	}
	plain := testing.AllocsPerRun(100, func() {
		serve(off, clinic, "x", func(ctx context.Context, w http.ResponseWriter) {
			extension{off}.InterceptResponse(ctx, func(ctx context.Context) *graphql.Response {
				asks(off.Tracer(), "SELECT name FROM contacts", nil)(ctx, w)
				return &graphql.Response{}
			})
		})
	})
	require.InDelta(t, plain, whole(off), 2, "the closures of the test itself")
	require.Greater(t, whole(on), plain+20, "on, it would have been noticed")
}

// discard is an exporter that keeps nothing.
type discard struct{}

func (discard) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (discard) Shutdown(context.Context) error                             { return errors.New("never asked for") }

// BenchmarkSpans is a request of all parts with traces off, not sampled, and on.
func BenchmarkSpans(b *testing.B) {
	clinic := uuid.New()
	for name, config := range map[string]Config{
		"off": {}, "unsampled": {Spans: discard{}, TraceRatio: 0}, "on": {Spans: discard{}, TraceRatio: 1},
	} {
		b.Run(name, func(b *testing.B) {
			telemetry := newTelemetry(b.Context(), config)
			all := wholeRequest(telemetry, "SELECT name FROM contacts")
			b.ReportAllocs()
			for b.Loop() {
				serve(telemetry, clinic, "x", all)
			}
		})
	}
}
