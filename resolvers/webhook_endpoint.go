package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/internal/mutations"
	"github.com/taskmed/taskmed/models"
)

func (r *queryResolver) WebhookEndpoints(ctx context.Context) ([]*models.WebhookEndpoint, error) {
	return r.webhooks.Endpoints(ctx)
}

func (r *mutationResolver) CreateWebhookEndpoint(ctx context.Context, input models.CreateWebhookEndpointInput) (*models.CreateWebhookEndpointPayload, error) {
	return secretive(r.webhooks.Create(ctx, input))
}

func (r *mutationResolver) UpdateWebhookEndpoint(ctx context.Context, input models.UpdateWebhookEndpointInput) (*models.WebhookEndpointPayload, error) {
	return hooked(r.webhooks.Update(ctx, input))
}

func (r *mutationResolver) RotateWebhookSecret(ctx context.Context, input models.RotateWebhookSecretInput) (*models.CreateWebhookEndpointPayload, error) {
	return secretive(r.webhooks.Rotate(ctx, input))
}

func (r *mutationResolver) ReplayWebhook(ctx context.Context, input models.ReplayWebhookInput) (*models.WebhookEndpointPayload, error) {
	return hooked(r.webhooks.Replay(ctx, input))
}

func (r *mutationResolver) TestWebhookEndpoint(ctx context.Context, input models.TestWebhookEndpointInput) (*models.TestWebhookEndpointPayload, error) {
	payload, err := r.webhooks.Test(ctx, input, mutations.IsDryRun(ctx))
	if payload == nil {
		payload = &models.TestWebhookEndpointPayload{}
	}
	payload.UserErrors, err = mistakes(err)
	return payload, err
}

func (r *mutationResolver) DeleteWebhookEndpoint(ctx context.Context, input models.DeleteWebhookEndpointInput) (*models.DeleteWebhookEndpointPayload, error) {
	deleted, err := r.webhooks.Delete(ctx, input)
	userErrors, err := mistakes(err)
	return &models.DeleteWebhookEndpointPayload{DeletedID: deleted, UserErrors: userErrors}, err
}

// secretive is the payload of a mutation that shows a secret.
func secretive(endpoint *models.WebhookEndpoint, secret string, err error) (*models.CreateWebhookEndpointPayload, error) {
	userErrors, err := mistakes(err)
	payload := &models.CreateWebhookEndpointPayload{WebhookEndpoint: endpoint, UserErrors: userErrors}
	if endpoint != nil {
		payload.Secret = &secret
	}
	return payload, err
}

// hooked is the payload of a mutation that writes an endpoint.
func hooked(endpoint *models.WebhookEndpoint, err error) (*models.WebhookEndpointPayload, error) {
	userErrors, err := mistakes(err)
	return &models.WebhookEndpointPayload{WebhookEndpoint: endpoint, UserErrors: userErrors}, err
}
