package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/models"
)

func (r *mutationResolver) CreateService(ctx context.Context, input models.CreateServiceInput) (*models.ServicePayload, error) {
	service, err := r.people.CreateService(ctx, input)
	userErrors, err := mistakes(err)
	return &models.ServicePayload{Service: service, UserErrors: userErrors}, err
}

func (r *mutationResolver) UpdateService(ctx context.Context, input models.UpdateServiceInput) (*models.ServicePayload, error) {
	service, err := r.people.UpdateService(ctx, input)
	userErrors, err := mistakes(err)
	return &models.ServicePayload{Service: service, UserErrors: userErrors}, err
}
