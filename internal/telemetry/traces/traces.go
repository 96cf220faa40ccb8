package traces

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskmed/taskmed/internal/telemetry/metrics"
)

// Traces makes spans of requests and, in parts.go, of their parts. A nil one makes none,
// and takes no time.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	wire     propagation.TraceContext
}

// OTLP is an exporter of spans over OTLP's HTTP, to a collector's address as
// OTEL_EXPORTER_OTLP_ENDPOINT has it. It connects when there is something to send.
func OTLP(ctx context.Context, endpoint string) (sdktrace.SpanExporter, error) {
	return otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimSuffix(endpoint, "/")+"/v1/traces"))
}

// New sends an exporter a share of the requests; nil without one.
func New(exporter sdktrace.SpanExporter, ratio float64) *Traces {
	if exporter == nil {
		return nil
	}
	sampler := sdktrace.TraceIDRatioBased(ratio)
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "taskmed"))),
		// A client that asks to be traced is sampled like any other: it must not
		// be able to have all its requests traced.
		sdktrace.WithSampler(sdktrace.ParentBased(sampler, sdktrace.WithRemoteParentSampled(sampler))),
	)
	return &Traces{provider: provider, tracer: provider.Tracer("github.com/taskmed/taskmed")}
}

// Flush sends the spans that wait.
func (t *Traces) Flush(ctx context.Context) error { return t.provider.ForceFlush(ctx) }

// Close sends the spans that wait and makes no more.
func (t *Traces) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return errors.Join(t.Flush(ctx), t.provider.Shutdown(ctx))
}

// Request is a request's span. The zero one is of a request that is not traced.
type Request struct {
	span trace.Span
	// ID is the trace's id where it is sampled, "" otherwise.
	ID string
}

// Begin starts a request's span, below the one that the client names in
// traceparent (https://www.w3.org/TR/trace-context/), and tells the client its
// own in the answer's traceresponse.
func (t *Traces) Begin(ctx context.Context, r *http.Request, answer http.Header) (context.Context, Request) {
	if t == nil {
		return ctx, Request{}
	}
	ctx = t.wire.Extract(ctx, propagation.HeaderCarrier(r.Header))
	method := r.Method
	if method != http.MethodGet && method != http.MethodPost {
		method = "_OTHER"
	}
	ctx, span := t.tracer.Start(ctx, "graphql", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", method)))
	request := Request{span: span}
	if own := span.SpanContext(); own.IsSampled() {
		request.ID = own.TraceID().String()
		carrier := propagation.MapCarrier{}
		t.wire.Inject(ctx, carrier)
		answer.Set("Traceresponse", carrier.Get("traceparent"))
	}
	return ctx, request
}

// Name names a request's span.
func (r Request) Name(kind, name string, clinic uuid.UUID) {
	if r.ID == "" {
		return
	}
	r.span.SetName(kind + " " + name)
	r.span.SetAttributes(attribute.String("graphql.operation.type", kind),
		attribute.String("graphql.operation.name", name), attribute.String("taskmed.clinic_id", clinic.String()))
}

// End ends a request's span. cache is its Cache-Status; failed tells that it failed by
// a fault of the server's, and code by which, "" where that is not known.
func (r Request) End(status int, statements int64, cache string, failed bool, code string) {
	if r.span == nil {
		return
	}
	if r.ID != "" {
		r.span.SetAttributes(attribute.Int("http.response.status_code", status), attribute.Int64("taskmed.statements", statements))
		if did, reason := metrics.ReadCacheStatus(cache); did != "" {
			r.span.SetAttributes(attribute.String("taskmed.cache", did), attribute.String("taskmed.cache_reason", reason))
		}
		if failed {
			r.span.SetStatus(codes.Error, code)
		}
	}
	r.span.End()
}

// Inject puts the context's trace into the headers of a request to others.
func (t *Traces) Inject(ctx context.Context, header http.Header) {
	if t != nil {
		t.wire.Inject(ctx, propagation.HeaderCarrier(header))
	}
}
