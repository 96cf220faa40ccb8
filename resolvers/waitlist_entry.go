package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/models"
)

func (r *mutationResolver) JoinWaitlist(ctx context.Context, input models.JoinWaitlistInput) (*models.JoinWaitlistPayload, error) {
	entry, err := r.waitlist.Join(ctx, input)
	userErrors, err := mistakes(err)
	return &models.JoinWaitlistPayload{WaitlistEntry: entry, UserErrors: userErrors}, err
}

func (r *mutationResolver) LeaveWaitlist(ctx context.Context, input models.LeaveWaitlistInput) (*models.LeaveWaitlistPayload, error) {
	return left(r.waitlist.Leave(ctx, input))
}

func (r *mutationResolver) DeclineWaitlistOffer(ctx context.Context, input models.WaitlistOfferInput) (*models.LeaveWaitlistPayload, error) {
	return left(r.waitlist.Decline(ctx, input))
}

func left(entry *models.WaitlistEntry, err error) (*models.LeaveWaitlistPayload, error) {
	userErrors, err := mistakes(err)
	return &models.LeaveWaitlistPayload{WaitlistEntry: entry, UserErrors: userErrors}, err
}

func (r *mutationResolver) AcceptWaitlistOffer(ctx context.Context, input models.WaitlistOfferInput) (*models.ScheduleAppointmentPayload, error) {
	appointment, free, err := r.waitlist.Accept(ctx, input)
	userErrors, err := mistakes(err)
	return &models.ScheduleAppointmentPayload{
		Appointment: appointment, Series: []*models.Appointment{}, Alternatives: orEmpty(free), Conflicts: []*models.SeriesConflict{}, UserErrors: userErrors,
	}, err
}
