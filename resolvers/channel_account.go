package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/models"
)

func (r *queryResolver) ChannelAccounts(ctx context.Context) ([]*models.ChannelAccount, error) {
	return r.talk.Accounts(ctx)
}

func (r *mutationResolver) CreateChannelAccount(ctx context.Context, input models.CreateChannelAccountInput) (*models.ChannelAccountPayload, error) {
	return connected(r.talk.CreateChannelAccount(ctx, input))
}

func (r *mutationResolver) UpdateChannelAccount(ctx context.Context, input models.UpdateChannelAccountInput) (*models.ChannelAccountPayload, error) {
	return connected(r.talk.UpdateChannelAccount(ctx, input))
}

// connected is the payload of a mutation that writes a channel account.
func connected(account *models.ChannelAccount, err error) (*models.ChannelAccountPayload, error) {
	userErrors, err := mistakes(err)
	return &models.ChannelAccountPayload{ChannelAccount: account, UserErrors: userErrors}, err
}
