package gqlserver

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/taskmed/taskmed/internal/cachetag"
	"github.com/taskmed/taskmed/models"
)

// notingProtected notes the protected entities that come into an answer, for
// whoever collects. Every entity comes into an answer as a field's value, however
// it was read: so they are noted here, and exactly those, and no read can forget it.
func notingProtected(ctx context.Context, inner graphql.FieldMiddleware) graphql.FieldMiddleware {
	if !cachetag.Collecting(ctx) {
		return inner
	}
	return func(ctx context.Context, next graphql.Resolver) (any, error) {
		value, err := inner(ctx, next)
		if err == nil {
			if ids := models.ProtectedIDs(value); len(ids) > 0 {
				cachetag.AddProtected(ctx, ids...)
			}
		}
		return value, err
	}
}
