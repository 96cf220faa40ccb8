package telemetry

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/trace"
)

// tracer watches SQL statements.
type tracer struct{ *Telemetry }

// Tracer is for the connections to Postgres.
func (t *Telemetry) Tracer() pgx.QueryTracer { return tracer{t} }

type statementKey struct{}

// running is a statement under way.
type running struct {
	statement *statement
	request   *request
	// field is the one whose resolver makes it; nil for what is made for several.
	field *field
	began time.Time
	span  trace.Span
}

// TraceQueryStart implements pgx.QueryTracer.
func (t tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s := &running{statement: t.statements.of(data.SQL), request: requestOf(ctx)}
	if s.request != nil {
		s.field = t.fields.around(ctx)
	}
	s.began = time.Now()
	ctx, s.span = t.traces.statement(ctx, s.statement)
	return context.WithValue(ctx, statementKey{}, s)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (t tracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	s, ok := ctx.Value(statementKey{}).(*running)
	if !ok {
		return
	}
	took := time.Since(s.began)
	// That there is no row is an answer.
	failed := data.Err != nil && !errors.Is(data.Err, pgx.ErrNoRows)
	sampled := ""
	if s.request != nil {
		sampled = s.request.trace
		s.request.addStatement(s.statement, s.field, took)
	}
	s.statement.family.count(s.statement, took, failed, sampled)
	t.traces.endStatement(s.span, failed)
}

func (f *family) count(s *statement, took time.Duration, failed bool, trace string) {
	f.meter.observeTraced(took, failed, trace)
	if failed {
		f.failures.Inc()
	}
	if int64(took) <= f.slowest.Load() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if int64(took) > f.slowest.Load() {
		f.slowest.Store(int64(took))
		f.example = s
	}
}
