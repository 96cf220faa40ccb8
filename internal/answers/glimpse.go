package answers

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/trust"
)

// A glimpse is a clinic's sequence as it was seen while the request's session was
// looked up, which spares the request a second question to Redis. It holds at a
// moment of the request's own, so what is answered by it is as good as if the
// request had come then.
type glimpse = atomic.Pointer[glimpsed]

type glimpsed struct {
	generation *trust.Generation
	clinic     uuid.UUID
	at         uint64
	asked      time.Time
}

type glimpseKey struct{}

// glimpseHolds bounds how old a glimpse may be. A request's body may be long in
// coming.
const glimpseHolds = 50 * time.Millisecond

// WithGlimpse lets what is asked for under the context, which must be that of a
// single request, share questions to Redis.
func WithGlimpse(ctx context.Context) context.Context {
	return context.WithValue(ctx, glimpseKey{}, &glimpse{})
}

// head is a clinic's sequence at a moment of the request's.
func head(ctx context.Context, g *trust.Generation, clinic uuid.UUID) (uint64, error) {
	if seen, ok := ctx.Value(glimpseKey{}).(*glimpse); ok {
		// Once: who looks again wants to know what has changed since.
		if s := seen.Swap(nil); s != nil && s.generation == g && s.clinic == clinic && time.Since(s.asked) < glimpseHolds {
			return s.at, nil
		}
	}
	return g.Journal.Head(ctx, clinic)
}
