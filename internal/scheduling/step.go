package scheduling

import (
	"context"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// Confirm makes SCHEDULED CONFIRMED. Like all steps it answers with
// models.Invalid, and writes nothing, where the step does not follow from what
// the appointment is now.
func (d *Diary) Confirm(ctx context.Context, input models.AppointmentStepInput) (*models.Appointment, error) {
	return d.step(ctx, input, models.AppointmentStatusConfirmed)
}

// CheckIn makes SCHEDULED or CONFIRMED CHECKED_IN.
func (d *Diary) CheckIn(ctx context.Context, input models.AppointmentStepInput) (*models.Appointment, error) {
	return d.step(ctx, input, models.AppointmentStatusCheckedIn)
}

// Start makes CHECKED_IN IN_PROGRESS.
func (d *Diary) Start(ctx context.Context, input models.AppointmentStepInput) (*models.Appointment, error) {
	return d.step(ctx, input, models.AppointmentStatusInProgress)
}

// Complete makes IN_PROGRESS COMPLETED.
func (d *Diary) Complete(ctx context.Context, input models.AppointmentStepInput) (*models.Appointment, error) {
	return d.step(ctx, input, models.AppointmentStatusCompleted)
}

// MarkNoShow makes SCHEDULED or CONFIRMED NO_SHOW, once the start is past.
func (d *Diary) MarkNoShow(ctx context.Context, input models.AppointmentStepInput) (*models.Appointment, error) {
	return d.step(ctx, input, models.AppointmentStatusNoShow)
}

// Cancel makes SCHEDULED, CONFIRMED or CHECKED_IN CANCELLED; its time is free again.
func (d *Diary) Cancel(ctx context.Context, input models.CancelAppointmentInput) (*models.Appointment, error) {
	change := change{input: models.AppointmentStepInput{ID: input.ID, ExpectedVersion: input.ExpectedVersion}, next: models.AppointmentStatusCancelled}
	change.id = change.in.ID(fieldID, models.KindAppointment, input.ID)
	change.reason = change.in.OptionalLines("reason", input.Reason, 500)
	return d.change(ctx, &change)
}

func (d *Diary) step(ctx context.Context, input models.AppointmentStepInput, next models.AppointmentStatus) (*models.Appointment, error) {
	change := change{input: input, next: next}
	change.id = change.in.ID(fieldID, models.KindAppointment, input.ID)
	return d.change(ctx, &change)
}

// change is a step that was read; in holds the mistakes in it.
type change struct {
	in     validate.Input
	input  models.AppointmentStepInput
	id     uuid.UUID
	next   models.AppointmentStatus
	reason *string
}

func (d *Diary) change(ctx context.Context, c *change) (*models.Appointment, error) {
	if _, err := tenant.From(ctx); err != nil {
		return nil, err
	}
	if err := c.in.Err(); err != nil {
		return nil, err
	}
	var changed *models.Appointment
	err := d.db.InTenant(ctx, func(tx *gorm.DB) error {
		appointment, err := lockAppointment(tx, c.id, c.input.ExpectedVersion)
		if err != nil {
			return err
		}
		if !appointment.Status.MayBecome(c.next) {
			return models.Refuse(models.UserErrorCodeConflict, fieldID,
				"the appointment is "+appointment.Status.String()+" and cannot become "+c.next.String(), appointment.GetID())
		}
		if c.next == models.AppointmentStatusNoShow && !begun(appointment, d.now()) {
			return models.Refuse(models.UserErrorCodeConflict, fieldID, "the appointment has not begun yet: nobody missed it", appointment.GetID())
		}
		columns := map[string]any{"status": c.next}
		if c.reason != nil {
			columns["cancellation_reason"] = *c.reason
		}
		changed = appointment
		// Only what changes is written: the trigger that guards holds looks at
		// times, and would take the practitioner's lock after the appointment's.
		return tx.Model(appointment).Clauses(everyColumn()).Updates(columns).Error
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}
