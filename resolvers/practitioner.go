package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/models"
)

func (r *mutationResolver) CreatePractitioner(ctx context.Context, input models.CreatePractitionerInput) (*models.PractitionerPayload, error) {
	practitioner, err := r.people.CreatePractitioner(ctx, input)
	return practising(practitioner, err)
}

func (r *mutationResolver) UpdatePractitioner(ctx context.Context, input models.UpdatePractitionerInput) (*models.PractitionerPayload, error) {
	practitioner, err := r.people.UpdatePractitioner(ctx, input)
	return practising(practitioner, err)
}

func (r *mutationResolver) SetPractitionerServices(ctx context.Context, input models.SetPractitionerServicesInput) (*models.PractitionerPayload, error) {
	practitioner, err := r.people.SetPractitionerServices(ctx, input)
	return practising(practitioner, err)
}

// practising is the payload of a mutation that writes a practitioner.
func practising(practitioner *models.Practitioner, err error) (*models.PractitionerPayload, error) {
	userErrors, err := mistakes(err)
	return &models.PractitionerPayload{Practitioner: practitioner, UserErrors: userErrors}, err
}

func (r *mutationResolver) SetWorkingHours(ctx context.Context, input models.SetWorkingHoursInput) (*models.SetWorkingHoursPayload, error) {
	practitioner, outside, err := r.diary.SetWorkingHours(ctx, input)
	userErrors, err := mistakes(err)
	return &models.SetWorkingHoursPayload{Practitioner: practitioner, Outside: orEmpty(outside), UserErrors: userErrors}, err
}

func (r *mutationResolver) AddTimeOff(ctx context.Context, input models.AddTimeOffInput) (*models.TimeOffPayload, error) {
	off, within, err := r.diary.AddTimeOff(ctx, input)
	userErrors, err := mistakes(err)
	return &models.TimeOffPayload{TimeOff: off, Within: orEmpty(within), UserErrors: userErrors}, err
}

func (r *mutationResolver) RemoveTimeOff(ctx context.Context, input models.RemoveTimeOffInput) (*models.TimeOffPayload, error) {
	off, err := r.diary.RemoveTimeOff(ctx, input)
	userErrors, err := mistakes(err)
	return &models.TimeOffPayload{TimeOff: off, Within: []*models.Appointment{}, UserErrors: userErrors}, err
}
