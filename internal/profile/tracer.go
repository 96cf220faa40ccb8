package profile

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Tracer notes the statements of developers' requests. For all others it looks
// into the context and does nothing.
type Tracer struct{}

var _ pgx.QueryTracer = Tracer{}

type runKey struct{}

// run is a statement under way.
type run struct {
	profile *Profile
	sql     string
	began   time.Time
}

// TraceQueryStart implements pgx.QueryTracer.
func (Tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	p := From(ctx)
	// Putting the clinic on a connection is the pool's doing.
	if p == nil || strings.HasPrefix(data.SQL, "SELECT set_config('app.clinic'") {
		return ctx
	}
	return context.WithValue(ctx, runKey{}, &run{profile: p, sql: data.SQL, began: time.Now()})
}

// TraceQueryEnd implements pgx.QueryTracer.
func (Tracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	r, ok := ctx.Value(runKey{}).(*run)
	if !ok {
		return
	}
	took := time.Since(r.began)
	failed := data.Err != nil && !errors.Is(data.Err, pgx.ErrNoRows)
	r.profile.addStatement(r.sql, data.CommandTag.RowsAffected(), took, failed)
}
