package resolvers

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/loaders"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// child is a relation's entity: what the look-ahead kept, or else what the
// response's loader finds.
func child[T any](
	ctx context.Context, kept *models.Prefetched, id uuid.UUID, loader func(*loaders.Set) *loaders.Loader[T],
) (*T, error) {
	if entity, fetched := models.Fetched[*T](kept, key(ctx)); fetched {
		return entity, nil
	}
	set, err := loaders.From(ctx)
	if err != nil {
		return nil, err
	}
	return loaders.One(ctx, loader(set), id)
}

// optionalChild is child for a relation that may point at nothing.
func optionalChild[T any](
	ctx context.Context, kept *models.Prefetched, id *uuid.UUID, loader func(*loaders.Set) *loaders.Loader[T],
) (*T, error) {
	if id == nil {
		return nil, nil //nolint:nilnil // null is the field's answer
	}
	return child(ctx, kept, *id, loader)
}

func request(first *int, after *string, last *int, before *string) paging.Request {
	return paging.Request{First: first, After: after, Last: last, Before: before}
}

// counts tells whether the connection's totalCount is selected.
func counts(ctx context.Context) bool { return selected(ctx).Has("totalCount") }

func orEmpty[T any](list []*T) []*T {
	if list == nil {
		return []*T{}
	}
	return list
}

// ownClinic refuses to look into a clinic that the request is not for.
func ownClinic(ctx context.Context, clinic *models.Clinic) error {
	scope, err := tenant.From(ctx)
	if err != nil {
		return err
	}
	if scope.ClinicID != clinic.ID {
		return &models.Error{
			Code:    models.Forbidden,
			Message: graphql.GetFieldContext(ctx).Field.Name + " can be read for the request's own clinic only: pick the clinic with the X-Clinic-Id header",
		}
	}
	return nil
}

// queryIDs reads a list of ids; nil stays nil.
func queryIDs(argument string, kind models.Kind, globals []string) ([]uuid.UUID, error) {
	if globals == nil {
		return nil, nil
	}
	ids := make([]uuid.UUID, len(globals))
	for i, global := range globals {
		var err error
		if ids[i], err = queryID(argument, kind, global); err != nil {
			return nil, err
		}
	}
	return ids, nil
}
