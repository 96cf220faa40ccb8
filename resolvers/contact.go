package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/internal/loaders"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/models"
)

func (r *mutationResolver) CreateContact(ctx context.Context, input models.CreateContactInput) (*models.CreateContactPayload, error) {
	contact, err := r.people.CreateContact(ctx, input)
	userErrors, err := mistakes(err)
	return &models.CreateContactPayload{Contact: contact, UserErrors: userErrors}, err
}

func (r *mutationResolver) UpdateContact(ctx context.Context, input models.UpdateContactInput) (*models.UpdateContactPayload, error) {
	contact, err := r.people.UpdateContact(ctx, input)
	userErrors, err := mistakes(err)
	return &models.UpdateContactPayload{Contact: contact, UserErrors: userErrors}, err
}

func (r *mutationResolver) ArchiveContact(ctx context.Context, input models.ArchiveContactInput) (*models.ArchiveContactPayload, error) {
	contact, err := r.people.ArchiveContact(ctx, input)
	userErrors, err := mistakes(err)
	return &models.ArchiveContactPayload{Contact: contact, UserErrors: userErrors}, err
}

func (r *queryResolver) SearchContacts(ctx context.Context, query string, first *int, after *string) (*models.ContactConnection, error) {
	wanted, err := loaders.Wanted(ctx)
	if err != nil {
		return nil, err
	}
	page, err := r.people.SearchContacts(ctx, people.SearchQuery{
		Text: query, Request: request(first, after, nil, nil), Wanted: wanted,
	})
	return connect[models.ContactConnection](ctx, r.objects, page, err)
}
