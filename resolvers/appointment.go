package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/models"
)

func (r *mutationResolver) ScheduleAppointment(ctx context.Context, input models.ScheduleAppointmentInput) (*models.ScheduleAppointmentPayload, error) {
	appointment, free, err := r.diary.Schedule(ctx, input)
	userErrors, err := mistakes(err)
	return &models.ScheduleAppointmentPayload{Appointment: appointment, Alternatives: orEmpty(free), UserErrors: userErrors}, err
}

func (r *mutationResolver) RescheduleAppointment(ctx context.Context, input models.RescheduleAppointmentInput) (*models.RescheduleAppointmentPayload, error) {
	appointment, free, err := r.diary.Reschedule(ctx, input)
	userErrors, err := mistakes(err)
	return &models.RescheduleAppointmentPayload{Appointment: appointment, Alternatives: orEmpty(free), UserErrors: userErrors}, err
}

func (r *mutationResolver) UpdateAppointment(ctx context.Context, input models.UpdateAppointmentInput) (*models.AppointmentStepPayload, error) {
	appointment, err := r.diary.Update(ctx, input)
	return stepped(appointment, err)
}

func (r *mutationResolver) UndoAppointmentStep(ctx context.Context, input models.UndoAppointmentStepInput) (*models.AppointmentStepPayload, error) {
	appointment, err := r.diary.Undo(ctx, input)
	return stepped(appointment, err)
}

func (r *mutationResolver) ConfirmAppointment(ctx context.Context, input models.AppointmentStepInput) (*models.AppointmentStepPayload, error) {
	appointment, err := r.diary.Confirm(ctx, input)
	return stepped(appointment, err)
}

func (r *mutationResolver) CheckInAppointment(ctx context.Context, input models.AppointmentStepInput) (*models.AppointmentStepPayload, error) {
	appointment, err := r.diary.CheckIn(ctx, input)
	return stepped(appointment, err)
}

func (r *mutationResolver) StartAppointment(ctx context.Context, input models.AppointmentStepInput) (*models.AppointmentStepPayload, error) {
	appointment, err := r.diary.Start(ctx, input)
	return stepped(appointment, err)
}

func (r *mutationResolver) CompleteAppointment(ctx context.Context, input models.AppointmentStepInput) (*models.AppointmentStepPayload, error) {
	appointment, err := r.diary.Complete(ctx, input)
	return stepped(appointment, err)
}

func (r *mutationResolver) MarkNoShow(ctx context.Context, input models.AppointmentStepInput) (*models.AppointmentStepPayload, error) {
	appointment, err := r.diary.MarkNoShow(ctx, input)
	return stepped(appointment, err)
}

func (r *mutationResolver) CancelAppointment(ctx context.Context, input models.CancelAppointmentInput) (*models.AppointmentStepPayload, error) {
	appointment, err := r.diary.Cancel(ctx, input)
	return stepped(appointment, err)
}

// stepped is the payload of a mutation that takes an appointment a step further.
func stepped(appointment *models.Appointment, err error) (*models.AppointmentStepPayload, error) {
	userErrors, err := mistakes(err)
	return &models.AppointmentStepPayload{Appointment: appointment, UserErrors: userErrors}, err
}

func (r *queryResolver) AppointmentCounts(
	ctx context.Context, filter models.AppointmentFilter, groupBy []models.AppointmentGroup,
) ([]*models.AppointmentCount, error) {
	return r.diary.Counts(ctx, filter, groupBy)
}

func orEmpty[T any](list []*T) []*T {
	if list == nil {
		return []*T{}
	}
	return list
}
