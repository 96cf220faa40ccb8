package scheduling

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// AppointmentStepTaken is a step that an appointment took, as it is read.
func AppointmentStepTaken() entity.Declaration {
	return entity.Noun[models.AppointmentStepTaken]{
		Columns: map[string][]string{"from": {"from_status"}, "to": {"to_status"}},
		All:     []entity.All{{Field: "Appointment.steps", Parent: "appointment_id", Order: "at"}},
	}
}

// Confirm makes SCHEDULED CONFIRMED. Like all steps it answers with
// models.Invalid, and writes nothing, where the step does not follow from what
// the appointment is now.
func (d *Diary) Confirm(ctx context.Context, input models.AppointmentStepInput) (*models.Appointment, error) {
	return d.step(ctx, input, models.AppointmentStepConfirm)
}

// CheckIn makes SCHEDULED, CONFIRMED or NO_SHOW CHECKED_IN.
func (d *Diary) CheckIn(ctx context.Context, input models.AppointmentStepInput) (*models.Appointment, error) {
	return d.step(ctx, input, models.AppointmentStepCheckIn)
}

// Start makes CHECKED_IN IN_PROGRESS.
func (d *Diary) Start(ctx context.Context, input models.AppointmentStepInput) (*models.Appointment, error) {
	return d.step(ctx, input, models.AppointmentStepStart)
}

// Complete makes IN_PROGRESS COMPLETED.
func (d *Diary) Complete(ctx context.Context, input models.AppointmentStepInput) (*models.Appointment, error) {
	return d.step(ctx, input, models.AppointmentStepComplete)
}

// MarkNoShow makes SCHEDULED or CONFIRMED NO_SHOW, once the start is past.
func (d *Diary) MarkNoShow(ctx context.Context, input models.AppointmentStepInput) (*models.Appointment, error) {
	return d.step(ctx, input, models.AppointmentStepNoShow)
}

// Cancel makes SCHEDULED, CONFIRMED or CHECKED_IN CANCELLED; its time is free again.
func (d *Diary) Cancel(ctx context.Context, input models.CancelAppointmentInput) (*models.Appointment, error) {
	c := newChange(models.AppointmentStepInput{ID: input.ID, ExpectedVersion: input.ExpectedVersion}, models.AppointmentStepCancel)
	c.reason = c.in.OptionalLines("reason", input.Reason, longestReason)
	return d.change(ctx, c)
}

// Undo takes the last step back that is not taken back yet. What gave its time free
// takes it again: where that is taken, it is a CONFLICT that names what is in the way.
func (d *Diary) Undo(ctx context.Context, input models.UndoAppointmentStepInput) (*models.Appointment, error) {
	c := newChange(models.AppointmentStepInput{ID: input.ID, ExpectedVersion: input.ExpectedVersion}, models.AppointmentStepUndo)
	c.reason = c.in.OptionalLines("reason", input.Reason, longestReason)
	return d.change(ctx, c)
}

// longestReason bounds why something was done, in characters.
const longestReason = 500

func (d *Diary) step(ctx context.Context, input models.AppointmentStepInput, step models.AppointmentStep) (*models.Appointment, error) {
	return d.change(ctx, newChange(input, step))
}

// change is a step that was read; in holds the mistakes in it.
type change struct {
	in     validate.Input
	input  models.AppointmentStepInput
	id     uuid.UUID
	step   models.AppointmentStep
	reason *string
}

func newChange(input models.AppointmentStepInput, step models.AppointmentStep) *change {
	c := &change{input: input, step: step}
	c.id = c.in.ID(fieldID, models.KindAppointment, input.ID)
	return c
}

func (d *Diary) change(ctx context.Context, c *change) (*models.Appointment, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.in.Err(); err != nil {
		return nil, err
	}
	var changed *models.Appointment
	asked := &proposal{}
	const attempts = 3
	for range attempts {
		err = d.db.InTenant(ctx, func(tx *gorm.DB) (err error) {
			changed, err = d.take(tx, scope, c, asked)
			return err
		})
		if !errors.Is(err, errMoved) {
			break
		}
	}
	if errors.Is(err, errMoved) {
		return nil, errBusy(c.input.ID)
	}
	if err != nil {
		return nil, d.explain(ctx, err, asked)
	}
	return changed, nil
}

// errBusy is told where others were each time faster.
func errBusy(id string) error {
	return models.Refuse(models.UserErrorCodeStale, fieldID, "others are moving this appointment right now: read it again and decide anew", id)
}

// take locks the appointment, takes the step and writes down that it was taken.
func (d *Diary) take(tx *gorm.DB, scope *tenant.Scope, c *change, asked *proposal) (*models.Appointment, error) {
	before, err := c.look(tx)
	if err != nil {
		return nil, err
	}
	if before != nil && !before.Status.TakesTime() {
		// It may take its time again: locked first, as in every booking.
		if err := d.lockPractitioner(tx, &validate.Input{}, before.PractitionerID); err != nil {
			return nil, err
		}
		if err := lockOf(tx, before.ContactID); err != nil {
			return nil, err
		}
	}
	appointment, err := lockAppointment(tx, c.id, c.input.ExpectedVersion)
	if err != nil {
		return nil, err
	}
	if before == nil || before.PractitionerID != appointment.PractitionerID || before.ContactID != appointment.ContactID || before.Status.TakesTime() != appointment.Status.TakesTime() {
		return nil, errMoved
	}
	next, columns, err := d.follow(tx, scope, c, appointment)
	if err != nil {
		return nil, err
	}
	from := appointment.Status
	if next.TakesTime() && !from.TakesTime() {
		*asked = proposal{
			appointment: appointment.ID, practitioner: appointment.PractitionerID,
			span: availability.Span{From: appointment.StartsAt, To: appointment.EndsAt}, contact: appointment.ContactID, anyHours: true, overbook: appointment.Overbooked, again: true,
		}
		if _, err := d.checkFree(tx, &c.in, scope, asked); err != nil {
			return nil, err
		}
		if err := c.in.Err(); err != nil {
			return nil, atField(err, fieldID)
		}
	}
	columns["status"] = next
	// Only what changes is written: the trigger that guards holds looks at
	// times, and would take the practitioner's lock after the appointment's.
	if err := tx.Model(appointment).Clauses(everyColumn()).Updates(columns).Error; err != nil {
		return nil, err
	}
	return appointment, note(tx, scope, appointment, c.step, from, next, c.reason)
}

// look finds, without a lock, whose appointment it is and what it is.
func (c *change) look(tx *gorm.DB) (*models.Appointment, error) {
	var appointment models.Appointment
	err := tx.Select("practitioner_id", "contact_id", "status").Where("id = ?", c.id).Take(&appointment).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, models.Refuse(models.UserErrorCodeNotFound, fieldID, "this clinic has no such appointment")
	}
	return &appointment, err
}

// note writes down that a step was taken.
func note(tx *gorm.DB, scope *tenant.Scope, of *models.Appointment, step models.AppointmentStep, from, to models.AppointmentStatus, reason *string) error {
	return tx.Create(&models.AppointmentStepTaken{
		ClinicID: scope.ClinicID, ID: models.NewID(), AppointmentID: of.ID, Step: step, From: from, To: to, Actor: scope.Subject, Reason: reason,
	}).Error
}

// follow is what a step makes of an appointment, and what it writes beside the status.
func (d *Diary) follow(tx *gorm.DB, scope *tenant.Scope, c *change, appointment *models.Appointment) (models.AppointmentStatus, map[string]any, error) {
	if c.step == models.AppointmentStepUndo {
		return undo(tx, scope, appointment)
	}
	next := leadsTo(c.step)
	if !appointment.Status.MayBecome(next) {
		return "", nil, refuseStep(appointment, "the appointment is "+appointment.Status.String()+" and cannot become "+next.String())
	}
	zone, err := d.zoneOf(tx, scope)
	if err != nil {
		return "", nil, err
	}
	now := d.now()
	if fault := dateRule(c.step, scope.Role, appointment, now.In(zone)); fault != "" {
		return "", nil, refuseStep(appointment, fault)
	}
	columns := map[string]any{}
	if column := momentOf(c.step); column != "" {
		columns[column] = now
	}
	if c.step == models.AppointmentStepCancel && c.reason != nil {
		columns["cancellation_reason"] = *c.reason
	}
	return next, columns, nil
}

func refuseStep(appointment *models.Appointment, why string) error {
	return models.Refuse(models.UserErrorCodeConflict, fieldID, why, appointment.GetID())
}

// undo finds the last step that was not taken back, in the order in which they were
// taken, and what it leads back to.
func undo(tx *gorm.DB, scope *tenant.Scope, appointment *models.Appointment) (models.AppointmentStatus, map[string]any, error) {
	var taken []*models.AppointmentStepTaken
	const most = 200
	err := tx.Where("appointment_id = ?", appointment.ID).Order("at DESC, id DESC").Limit(most).Find(&taken).Error
	if err != nil {
		return "", nil, err
	}
	last := standing(taken)
	switch {
	case last == nil:
		return "", nil, refuseStep(appointment, "this appointment has taken no step that could be undone")
	case last.Step == models.AppointmentStepReschedule:
		return "", nil, refuseStep(appointment, "the appointment was moved since its last step: move it back with rescheduleAppointment")
	case last.To != appointment.Status:
		return "", nil, refuseStep(appointment, "the appointment is "+appointment.Status.String()+" by none of its steps, so none can be undone")
	case treats(last.Step) && !availability.MayOverride(scope.Role):
		return "", nil, models.Refuse(models.UserErrorCodeForbidden, fieldID, "your role may not undo this step; an owner, an admin or a practitioner may")
	}
	columns := map[string]any{}
	if column := momentOf(last.Step); column != "" {
		columns[column] = nil
	}
	if last.Step == models.AppointmentStepCancel {
		columns["cancellation_reason"] = nil
	}
	return last.From, columns, nil
}

// standing is the last step, of steps from the last one back, that none after it has
// taken back; nil if there is none.
func standing(taken []*models.AppointmentStepTaken) *models.AppointmentStepTaken {
	undone := 0
	for _, step := range taken {
		switch {
		case step.Step == models.AppointmentStepUndo:
			undone++
		case undone > 0:
			undone--
		default:
			return step
		}
	}
	return nil
}

// leadsTo is the status that a step leads to.
func leadsTo(step models.AppointmentStep) models.AppointmentStatus {
	switch step {
	case models.AppointmentStepConfirm:
		return models.AppointmentStatusConfirmed
	case models.AppointmentStepCheckIn:
		return models.AppointmentStatusCheckedIn
	case models.AppointmentStepStart:
		return models.AppointmentStatusInProgress
	case models.AppointmentStepComplete:
		return models.AppointmentStatusCompleted
	case models.AppointmentStepNoShow:
		return models.AppointmentStatusNoShow
	case models.AppointmentStepCancel:
		return models.AppointmentStatusCancelled
	case models.AppointmentStepUndo, models.AppointmentStepReschedule:
	}
	return models.AppointmentStatusScheduled
}

// momentOf is the column that keeps when a step was taken; "" where none does.
func momentOf(step models.AppointmentStep) string {
	switch step {
	case models.AppointmentStepCheckIn:
		return "arrived_at"
	case models.AppointmentStepStart:
		return "started_at"
	case models.AppointmentStepComplete:
		return "completed_at"
	case models.AppointmentStepConfirm, models.AppointmentStepNoShow, models.AppointmentStepCancel,
		models.AppointmentStepUndo, models.AppointmentStepReschedule:
	}
	return ""
}

// treats tells steps that are the practitioner's own.
func treats(step models.AppointmentStep) bool {
	return step == models.AppointmentStepStart || step == models.AppointmentStepComplete
}

// dateRule says why a step cannot be taken today; "" where it can. Whoever comes, comes
// on the appointment's day, in the clinic's zone, or was forgotten the day before;
// later only who may override writes it down.
func dateRule(step models.AppointmentStep, role models.Role, appointment *models.Appointment, now time.Time) string {
	switch step {
	case models.AppointmentStepConfirm:
		if !appointment.EndsAt.After(now) {
			return "the appointment is over: there is nothing to confirm"
		}
	case models.AppointmentStepNoShow:
		if !begun(appointment, now) {
			return "the appointment has not begun yet: nobody missed it"
		}
	case models.AppointmentStepCheckIn, models.AppointmentStepStart, models.AppointmentStepComplete:
		day := models.DateOf(appointment.StartsAt.In(now.Location()))
		if models.DateOf(now).Before(day) {
			return "this is possible on the appointment's day, " + day.String() + ": if the contact is here today, move the appointment first"
		}
		if now.Sub(appointment.EndsAt) > farthestBack && !availability.MayOverride(role) {
			return "the appointment was more than a day ago; an owner, an admin or a practitioner may still write it down"
		}
	case models.AppointmentStepCancel, models.AppointmentStepUndo, models.AppointmentStepReschedule:
	}
	return ""
}
