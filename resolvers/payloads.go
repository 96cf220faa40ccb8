package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/models"
)

// stepped is the payload of a mutation that takes an appointment a step further.
func (r *Resolver) stepped(ctx context.Context, appointment *models.Appointment, err error) (*models.AppointmentStepPayload, error) {
	appointment, userErrors, err := written(ctx, "appointment", appointment, err, r.ahead.Appointments)
	return &models.AppointmentStepPayload{Appointment: appointment, UserErrors: userErrors}, err
}

// charted is the payload of a mutation that writes a medical record.
func (r *Resolver) charted(ctx context.Context, record *models.MedicalRecord, err error) (*models.MedicalRecordPayload, error) {
	record, userErrors, err := written(ctx, "medicalRecord", record, err, r.ahead.MedicalRecords)
	return &models.MedicalRecordPayload{MedicalRecord: record, UserErrors: userErrors}, err
}
