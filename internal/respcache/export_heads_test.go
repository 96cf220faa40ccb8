package respcache

import (
	"context"

	"github.com/google/uuid"
)

// Heads are the sequences of two clinics as Redis has them.
func (c *Cache) Heads(ctx context.Context, one, two uuid.UUID) (first, second uint64, err error) {
	return c.trust.Load().shared.heads(ctx, one, two)
}
