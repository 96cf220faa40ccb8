package loaders

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
)

// perResponse gives every response a Set of its own.
type perResponse struct{ from Sources }

// PerResponse is the extension that puts a new Set into each response's
// context. Attached per request instead, a subscription's second event would
// read the first one's data.
func PerResponse(from Sources) graphql.HandlerExtension { return perResponse{from} }

var _ graphql.ResponseInterceptor = perResponse{}

// ExtensionName implements graphql.HandlerExtension.
func (perResponse) ExtensionName() string { return "Loaders" }

// Validate implements graphql.HandlerExtension.
func (perResponse) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse implements graphql.ResponseInterceptor.
func (p perResponse) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	return next(With(ctx, p.from))
}
