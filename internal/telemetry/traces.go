package telemetry

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// traces makes spans of requests and, in trace_parts.go, of their parts. A nil one makes none,
// and takes no time.
type traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	wire     propagation.TraceContext
}

// OTLP is an exporter of spans over OTLP's HTTP, to a collector's address as
// OTEL_EXPORTER_OTLP_ENDPOINT has it. It connects when there is something to send.
func OTLP(ctx context.Context, endpoint string) (sdktrace.SpanExporter, error) {
	return otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimSuffix(endpoint, "/")+"/v1/traces"))
}

func newTraces(exporter sdktrace.SpanExporter, ratio float64) *traces {
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
	return &traces{provider: provider, tracer: provider.Tracer("github.com/taskmed/taskmed")}
}

func (t *traces) close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return errors.Join(t.provider.ForceFlush(ctx), t.provider.Shutdown(ctx))
}

// begin starts a request's span, below the one that the client names in
// traceparent (https://www.w3.org/TR/trace-context/), and tells the client its
// own in traceresponse.
func (t *traces) begin(ctx context.Context, r *http.Request, record *request) context.Context {
	if t == nil {
		return ctx
	}
	ctx = t.wire.Extract(ctx, propagation.HeaderCarrier(r.Header))
	method := r.Method
	if method != http.MethodGet && method != http.MethodPost {
		method = "_OTHER"
	}
	ctx, record.span = t.tracer.Start(ctx, "graphql", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", method)))
	if own := record.span.SpanContext(); own.IsSampled() {
		record.trace = own.TraceID().String()
		carrier := propagation.MapCarrier{}
		t.wire.Inject(ctx, carrier)
		record.header.Set("Traceresponse", carrier.Get("traceparent"))
	}
	return ctx
}

// name names a request's span, which has the record's lock.
func (t *traces) name(record *request) {
	if t == nil || record.trace == "" {
		return
	}
	record.span.SetName(record.kind + " " + record.name)
	record.span.SetAttributes(attribute.String("graphql.operation.type", record.kind),
		attribute.String("graphql.operation.name", record.name), attribute.String("taskmed.clinic_id", record.clinic.String()))
}

func (t *traces) end(record *request, status int) {
	if t == nil {
		return
	}
	if record.trace != "" {
		did, reason := readCacheStatus(record.header.Get(cacheStatus))
		record.span.SetAttributes(attribute.Int("http.response.status_code", status), attribute.Int64("taskmed.statements", record.count()))
		if did != "" {
			record.span.SetAttributes(attribute.String("taskmed.cache", did), attribute.String("taskmed.cache_reason", reason))
		}
		if record.outcome == failedOutcome {
			record.span.SetStatus(codes.Error, string(record.code))
		}
	}
	record.span.End()
}

func (t *traces) statement(ctx context.Context, s *statement) (context.Context, trace.Span) {
	ctx, part := t.part(ctx, trace.SpanKindClient, s.family.name, func() []attribute.KeyValue {
		return []attribute.KeyValue{
			attribute.String("db.system.name", "postgresql"), attribute.String("db.query.summary", s.family.name),
			attribute.String("db.query.text", s.shape),
		}
	})
	return ctx, part.span
}

func (*traces) endStatement(span trace.Span, failed bool) { Span{span}.End(failed) }

// Inject puts the context's trace into the headers of a request to others.
func (t *Telemetry) Inject(ctx context.Context, header http.Header) {
	if t.traces != nil {
		t.traces.wire.Inject(ctx, propagation.HeaderCarrier(header))
	}
}
