package traces

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskmed/taskmed/internal/telemetry/metrics"
)

// Span is a part of a request that is traced. The zero Span is of one that is
// not, and does nothing.
type Span struct{ span trace.Span }

// part begins a span below the context's if that is sampled. The attributes are
// made by a function, so that a request which is not traced pays for none.
func (t *Traces) part(ctx context.Context, kind trace.SpanKind, name string, attributes func() []attribute.KeyValue) (context.Context, Span) {
	if !t.samples(ctx) {
		return ctx, Span{}
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(kind)}
	if attributes != nil {
		options = append(options, trace.WithAttributes(attributes()...))
	}
	ctx, span := t.tracer.Start(ctx, name, options...)
	return ctx, Span{span}
}

// samples tells whether the context is of a request that is traced.
func (t *Traces) samples(ctx context.Context) bool {
	return t != nil && trace.SpanContextFromContext(ctx).IsSampled()
}

// End ends a span; failed says no more than that, since an error's words may
// hold a value.
func (s Span) End(failed bool) {
	if s.span == nil {
		return
	}
	if failed {
		s.span.SetStatus(codes.Error, "failed")
	}
	s.span.End()
}

// Look begins the span of a look-up in the response cache, below which the answer is
// computed if it is not there. What it gives ends the span and is told what came of it:
// outcome is "hit", "miss", "shared" (somebody else computed it meanwhile) or "bypass",
// tier where it was kept, reason why it is no hit; of the reason only what is one of the
// known ones is told.
func (t *Traces) Look(ctx context.Context) (context.Context, func(outcome, tier, reason string, stored bool)) {
	ctx, span := t.part(ctx, trace.SpanKindInternal, "cache", nil)
	if span.span == nil {
		return ctx, Unseen
	}
	return ctx, span.looked
}

// Unseen ends a look-up that is not traced.
func Unseen(_, _, _ string, _ bool) {}

func (s Span) looked(outcome, tier, reason string, stored bool) {
	s.span.SetAttributes(attribute.String("taskmed.cache.outcome", outcome), attribute.Bool("taskmed.cache.stored", stored))
	if tier != "" {
		s.span.SetAttributes(attribute.String("taskmed.cache.tier", tier))
	}
	if outcome != "hit" {
		s.span.SetAttributes(attribute.String("taskmed.cache.reason", metrics.KnownReason(reason)))
	}
	s.span.End()
}

// Fetch begins the span of a data loader's fetch, below which its statement is.
// The loaders' names are the code's own.
func (t *Traces) Fetch(ctx context.Context, loader string, keys int) (context.Context, Span) {
	if !t.samples(ctx) { // The name need not be put together.
		return ctx, Span{}
	}
	return t.part(ctx, trace.SpanKindInternal, "load "+loader, func() []attribute.KeyValue {
		return []attribute.KeyValue{attribute.String("taskmed.loader", loader), attribute.Int("taskmed.loader.keys", keys)}
	})
}

// maxCommands bounds how many of a pipeline's commands a span names.
const maxCommands = 20

// Redis begins the span of commands that are sent to Redis together. Their
// names are told and nothing else: keys and arguments hold clinics and answers.
func (t *Traces) Redis(ctx context.Context, count int, name func(i int) string) (context.Context, Span) {
	if count == 0 || !t.samples(ctx) {
		return ctx, Span{}
	}
	names := make([]string, min(count, maxCommands))
	for i := range names {
		names[i] = strings.ToUpper(name(i))
	}
	summary := "redis " + names[0]
	if count > 1 {
		summary = "redis pipeline"
	}
	return t.part(ctx, trace.SpanKindClient, summary, func() []attribute.KeyValue {
		attributes := []attribute.KeyValue{
			attribute.String("db.system.name", "redis"), attribute.String("db.operation.name", strings.Join(names, " ")),
		}
		if count > 1 {
			attributes = append(attributes, attribute.Int("db.operation.batch.size", count))
		}
		return attributes
	})
}

// Execute begins the span of an operation's execution: what is left of a request
// once its answer is not in the cache.
func (t *Traces) Execute(ctx context.Context) (context.Context, Span) {
	return t.part(ctx, trace.SpanKindInternal, "execute", nil)
}

// Statement begins the span of a SQL statement: its family and its shape hold no value.
func (t *Traces) Statement(ctx context.Context, s *metrics.Statement) (context.Context, Span) {
	return t.part(ctx, trace.SpanKindClient, s.Family(), func() []attribute.KeyValue {
		return []attribute.KeyValue{
			attribute.String("db.system.name", "postgresql"), attribute.String("db.query.summary", s.Family()),
			attribute.String("db.query.text", s.Shape()),
		}
	})
}
