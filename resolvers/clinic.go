package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/internal/loaders"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

func (r *queryResolver) Viewer(ctx context.Context) (*models.Viewer, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	viewer := &models.Viewer{Subject: scope.Subject, Role: scope.Role, ClinicID: scope.ClinicID}
	if scope.Name != "" {
		viewer.Name = &scope.Name
	}
	if loaders.Selects(ctx, "memberships") {
		if viewer.Memberships, err = r.people.Memberships(ctx); err != nil {
			return nil, err
		}
	}
	if loaders.Selects(ctx, "practitioner") {
		if viewer.PractitionerID, err = r.people.Self(ctx); err != nil {
			return nil, err
		}
	}
	viewer.Permissions = r.rights.Permissions(scope.Role)
	return viewer, nil
}

func (r *mutationResolver) UpdateClinic(ctx context.Context, input models.UpdateClinicInput) (*models.ClinicPayload, error) {
	clinic, outside, err := r.diary.UpdateClinic(ctx, input)
	userErrors, err := mistakes(err)
	return &models.ClinicPayload{Clinic: clinic, Outside: orEmpty(outside), UserErrors: userErrors}, err
}

func (r *queryResolver) Clinics(ctx context.Context, first *int, after *string, last *int, before *string) (*models.ClinicConnection, error) {
	page, err := r.people.Clinics(ctx, request(first, after, last, before))
	return connect[models.ClinicConnection](ctx, r.objects, page, err)
}
