package resolvers

import (
	"context"
	"errors"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/selection"
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

// writing is the context of a mutation: with @dryRun, nothing is committed.
func writing(ctx context.Context) context.Context {
	if graphql.GetFieldContext(ctx).Field.Directives.ForName("dryRun") != nil {
		return database.DryRun(ctx)
	}
	return ctx
}

// queryID reads the id of a query's argument.
func queryID(argument string, kind models.Kind, global string) (uuid.UUID, error) {
	id, err := kind.Parse(global)
	if err != nil {
		return uuid.Nil, models.BadInput("%s is no id of a %s", argument, kind.Words())
	}
	return id, nil
}

// one reads one entity by id and what is selected below it; that the clinic has
// none with the id is null, whatever the reason.
func one[T any](
	ctx context.Context, kind models.Kind, global string, sel selection.Set,
	read func(context.Context, []uuid.UUID, selection.Set) (map[uuid.UUID]*T, error),
	ahead func(context.Context, []*T, selection.Set) error,
) (*T, error) {
	id, err := queryID("id", kind, global)
	if err != nil {
		return nil, err
	}
	found, err := read(ctx, []uuid.UUID{id}, sel)
	if err != nil || found[id] == nil {
		return nil, err
	}
	return found[id], ahead(ctx, []*T{found[id]}, sel)
}

// written fetches what is selected below the entity that a mutation gives back.
func written[T any](
	ctx context.Context, name string, entity *T, err error, ahead func(context.Context, []*T, selection.Set) error,
) (*T, []*models.UserError, error) {
	userErrors, err := mistakes(err)
	if err != nil || entity == nil || len(userErrors) > 0 {
		return nil, userErrors, err
	}
	return entity, userErrors, ahead(ctx, []*T{entity}, below(ctx, name))
}

// appointmentQuery reads the filter of the list of appointments.
func appointmentQuery(filter *models.AppointmentFilter) (scheduling.AppointmentQuery, error) {
	var query scheduling.AppointmentQuery
	if filter == nil {
		return query, nil
	}
	query.Range, query.Status = filter.Range, filter.Status
	for _, end := range []struct {
		argument string
		kind     models.Kind
		global   *string
		id       **uuid.UUID
	}{
		{"filter.practitionerId", models.KindPractitioner, filter.PractitionerID, &query.PractitionerID},
		{"filter.contactId", models.KindContact, filter.ContactID, &query.ContactID},
	} {
		if end.global == nil {
			continue
		}
		id, err := queryID(end.argument, end.kind, *end.global)
		if err != nil {
			return query, err
		}
		*end.id = &id
	}
	return query, nil
}
