package telemetry

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/telemetry/metrics"
	"github.com/taskmed/taskmed/internal/telemetry/traces"
)

// tracer watches SQL statements.
type tracer struct{ *Telemetry }

// Tracer is for the connections to Postgres.
func (t *Telemetry) Tracer() pgx.QueryTracer { return tracer{t} }

type statementKey struct{}

// running is a statement under way.
type running struct {
	statement *metrics.Statement
	request   *request
	// field is the one whose resolver makes it; nil for what is made for several.
	field *metrics.Field
	began time.Time
	span  traces.Span
}

// TraceQueryStart implements pgx.QueryTracer.
func (t tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s := &running{statement: t.statements.Of(data.SQL), request: requestOf(ctx)}
	if s.request != nil {
		s.field = t.fields.Around(ctx)
	}
	s.began = time.Now()
	ctx, s.span = t.Statement(ctx, s.statement)
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
		sampled = s.request.span.ID
		s.request.addStatement(s.statement, s.field, took)
	}
	s.statement.Count(took, failed, sampled)
	s.span.End(failed)
}
