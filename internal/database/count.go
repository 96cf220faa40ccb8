package database

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

type (
	countKey     struct{}
	uncountedKey struct{}
)

// Counts are what a request asked of Postgres.
type Counts struct {
	// Statements are the request's own: putting the clinic on a connection is none.
	Statements atomic.Int64
	// RoundTrips are how often somebody waited for Postgres: a batch is one.
	RoundTrips atomic.Int64
}

// WithCounts returns a context whose statements and round trips are counted.
func WithCounts(ctx context.Context) (context.Context, *Counts) {
	counts := &Counts{}
	return context.WithValue(ctx, countKey{}, counts), counts
}

func uncounted(ctx context.Context) context.Context {
	return context.WithValue(ctx, uncountedKey{}, true)
}

// statementCounter is pgx's tracer: it sees what GORM sends, too.
type statementCounter struct{}

var (
	_ pgx.QueryTracer    = statementCounter{}
	_ pgx.BatchTracer    = statementCounter{}
	_ pgx.CopyFromTracer = statementCounter{}
)

func countsOf(ctx context.Context) *Counts {
	counts, _ := ctx.Value(countKey{}).(*Counts)
	return counts
}

func (statementCounter) count(ctx context.Context) context.Context {
	counts := countsOf(ctx)
	if counts == nil {
		return ctx
	}
	counts.RoundTrips.Add(1)
	if ctx.Value(uncountedKey{}) == nil {
		counts.Statements.Add(1)
	}
	return ctx
}

// TraceQueryStart implements pgx.QueryTracer.
func (s statementCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return s.count(ctx)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (statementCounter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart implements pgx.BatchTracer.
func (statementCounter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	if counts := countsOf(ctx); counts != nil {
		counts.RoundTrips.Add(1)
	}
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (statementCounter) TraceBatchQuery(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	if counts := countsOf(ctx); counts != nil && data.SQL != setClinic {
		counts.Statements.Add(1)
	}
}

// TraceBatchEnd implements pgx.BatchTracer.
func (statementCounter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TraceCopyFromStart implements pgx.CopyFromTracer.
func (s statementCounter) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return s.count(ctx)
}

// TraceCopyFromEnd implements pgx.CopyFromTracer.
func (statementCounter) TraceCopyFromEnd(context.Context, *pgx.Conn, pgx.TraceCopyFromEndData) {}
