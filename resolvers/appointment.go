package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/models"
)

func (r *mutationResolver) ScheduleAppointment(ctx context.Context, input models.ScheduleAppointmentInput) (*models.ScheduleAppointmentPayload, error) {
	if input.RecurrenceRule != nil {
		series, err := orNone(r.diary.ScheduleSeries(ctx, input))
		userErrors, err := mistakes(err)
		return &models.ScheduleAppointmentPayload{
			Appointment: series.Appointment, Series: orEmpty(series.Appointments), Conflicts: orEmpty(series.Conflicts),
			Alternatives: orEmpty(series.Alternatives), UserErrors: userErrors,
		}, err
	}
	appointment, free, err := r.diary.Schedule(ctx, input)
	userErrors, err := mistakes(err)
	return &models.ScheduleAppointmentPayload{
		Appointment: appointment, Series: []*models.Appointment{}, Conflicts: []*models.SeriesConflict{}, Alternatives: orEmpty(free), UserErrors: userErrors,
	}, err
}

func (r *mutationResolver) RescheduleAppointment(ctx context.Context, input models.RescheduleAppointmentInput) (*models.RescheduleAppointmentPayload, error) {
	if input.WholeSeries != nil && *input.WholeSeries {
		series, err := orNone(r.diary.RescheduleSeries(ctx, input))
		userErrors, err := mistakes(err)
		return &models.RescheduleAppointmentPayload{
			Appointment: series.Appointment, Series: orEmpty(series.Appointments), Conflicts: orEmpty(series.Conflicts),
			Alternatives: orEmpty(series.Alternatives), UserErrors: userErrors,
		}, err
	}
	appointment, free, err := r.diary.Reschedule(ctx, input)
	userErrors, err := mistakes(err)
	return &models.RescheduleAppointmentPayload{
		Appointment: appointment, Series: []*models.Appointment{}, Conflicts: []*models.SeriesConflict{}, Alternatives: orEmpty(free), UserErrors: userErrors,
	}, err
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
	if input.WholeSeries != nil && *input.WholeSeries {
		series, err := orNone(r.diary.CancelSeries(ctx, input))
		userErrors, err := mistakes(err)
		return &models.AppointmentStepPayload{Appointment: series.Appointment, Series: orEmpty(series.Appointments), UserErrors: userErrors}, err
	}
	appointment, err := r.diary.Cancel(ctx, input)
	return stepped(appointment, err)
}

// stepped is the payload of a mutation that takes an appointment a step further.
func stepped(appointment *models.Appointment, err error) (*models.AppointmentStepPayload, error) {
	userErrors, err := mistakes(err)
	return &models.AppointmentStepPayload{Appointment: appointment, Series: []*models.Appointment{}, UserErrors: userErrors}, err
}

// orNone is a series that can be looked at, also where there is none.
func orNone(series *scheduling.Series, err error) (*scheduling.Series, error) {
	if series == nil {
		return &scheduling.Series{}, err
	}
	return series, err
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
