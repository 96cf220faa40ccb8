package resolvers

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/loaders"
	"github.com/taskmed/taskmed/internal/objects"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/models"
)

// mistakes splits a use case's error: what the user can mend is part of the
// payload, everything else is the field's error.
func mistakes(err error) ([]*models.UserError, error) {
	if invalid, refused := errors.AsType[models.Invalid](err); refused {
		return invalid, nil
	}
	return []*models.UserError{}, err
}

// queryID reads the id of a query's argument.
func queryID(argument string, kind models.Kind, global string) (uuid.UUID, error) {
	id, err := kind.Parse(global)
	if err != nil {
		return uuid.Nil, models.BadInput("%s is no id of a %s", argument, kind.Words())
	}
	return id, nil
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

func request(first *int, after *string, last *int, before *string) paging.Request {
	return paging.Request{First: first, After: after, Last: last, Before: before}
}

// connect makes the connection that the field being resolved gives of a page.
func connect[C, T any](ctx context.Context, table *objects.Table, page *paging.Page[T], err error) (*C, error) {
	if err != nil {
		return nil, err
	}
	wanted, err := loaders.Wanted(ctx)
	if err != nil {
		return nil, err
	}
	return entity.Connect[C](table, page, wanted)
}
