package resolvers

import (
	"context"
	"errors"

	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/models"
)

func (r *queryResolver) APIKeys(ctx context.Context) ([]*models.APIKey, error) {
	return r.people.APIKeys(ctx)
}

func (r *mutationResolver) CreateAPIKey(ctx context.Context, input models.CreateAPIKeyInput) (*models.CreateAPIKeyPayload, error) {
	key, text, err := r.keys.CreateKey(ctx, auth.NewKey{Name: input.Name, Role: input.Role, ExpiresAt: input.ExpiresAt})
	userErrors, err := mistakes(err)
	payload := &models.CreateAPIKeyPayload{APIKey: key, UserErrors: userErrors}
	if key != nil {
		payload.Secret = &text
	}
	return payload, err
}

func (r *mutationResolver) RevokeAPIKey(ctx context.Context, input models.RevokeAPIKeyInput) (*models.RevokeAPIKeyPayload, error) {
	id, err := models.KindAPIKey.Parse(input.ID)
	if err != nil {
		err = models.Refuse(models.UserErrorCodeInvalid, "id", "this is no id of a key")
	}
	var key *models.APIKey
	if err == nil {
		key, err = r.keys.RevokeKey(ctx, id)
	}
	if errors.Is(err, models.ErrNotFound) {
		err = models.Refuse(models.UserErrorCodeNotFound, "id", "this clinic has no such key")
	}
	userErrors, err := mistakes(err)
	return &models.RevokeAPIKeyPayload{APIKey: key, UserErrors: userErrors}, err
}
