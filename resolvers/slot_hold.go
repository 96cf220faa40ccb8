package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/models"
)

func (r *mutationResolver) HoldSlot(ctx context.Context, input models.HoldSlotInput) (*models.HoldSlotPayload, error) {
	held, free, err := r.diary.Hold(ctx, input)
	userErrors, err := mistakes(err)
	return &models.HoldSlotPayload{SlotHold: held, Alternatives: orEmpty(free), UserErrors: userErrors}, err
}

func (r *mutationResolver) ReleaseSlot(ctx context.Context, input models.ReleaseSlotInput) (*models.ReleaseSlotPayload, error) {
	held, err := r.diary.Release(ctx, input)
	userErrors, err := mistakes(err)
	return &models.ReleaseSlotPayload{SlotHold: held, UserErrors: userErrors}, err
}
