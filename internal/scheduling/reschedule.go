package scheduling

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// errMoved tells that an appointment went to another practitioner between the
// look at it and its lock, so that the wrong practitioner is locked.
var errMoved = errors.New("scheduling: the appointment moved meanwhile")

// Reschedule moves an appointment that has not begun to another time or
// practitioner; a confirmed one is scheduled again, to be confirmed anew, unless it
// stays where it is. It is overbooked where something is in the way, which takes the
// right to do so. Refusals are those of Schedule.
func (d *Diary) Reschedule(ctx context.Context, input models.RescheduleAppointmentInput) (*models.Appointment, []*models.Slot, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, nil, err
	}
	var moved *models.Appointment
	var asked *proposal
	const attempts = 3
	for range attempts {
		err = d.db.InTenant(ctx, func(tx *gorm.DB) error {
			request := newRescheduleRequest(scope, input)
			moved, err = d.reschedule(tx, scope, request)
			asked = &request.proposal
			return err
		})
		if !errors.Is(err, errMoved) {
			return d.outcome(ctx, moved, asked, d.explain(ctx, err, asked))
		}
	}
	return nil, nil, errBusy(input.ID)
}

// rescheduleRequest is a RescheduleAppointmentInput that was read; in holds the
// mistakes in it so far.
type rescheduleRequest struct {
	proposal

	in      validate.Input
	input   models.RescheduleAppointmentInput
	elsewho bool
}

func newRescheduleRequest(scope *tenant.Scope, input models.RescheduleAppointmentInput) *rescheduleRequest {
	r := &rescheduleRequest{input: input}
	r.appointment = r.in.ID(fieldID, models.KindAppointment, input.ID)
	if input.PractitionerID != nil {
		r.elsewho = true
		r.practitioner = r.in.ID(fieldPractitionerID, models.KindPractitioner, *input.PractitionerID)
	}
	r.span.From = input.StartsAt
	if input.EndsAt != nil {
		r.span.To = *input.EndsAt
	}
	r.anyHours = privilege(&r.in, scope.Role, "allowOutsideHours", input.AllowOutsideHours)
	r.overbook = privilege(&r.in, scope.Role, "overbook", input.Overbook)
	return r
}

func (d *Diary) reschedule(tx *gorm.DB, scope *tenant.Scope, r *rescheduleRequest) (*models.Appointment, error) {
	if r.appointment != uuid.Nil {
		if err := r.find(tx); err != nil {
			return nil, err
		}
	}
	// Locked first, as in every booking, and then the contact; then the appointment.
	if r.practitioner != uuid.Nil {
		if err := d.lockPractitioner(tx, &r.in, r.practitioner); err != nil {
			return nil, err
		}
	}
	if err := lockOf(tx, r.contact); err != nil {
		return nil, err
	}
	appointment, err := r.lockAppointment(tx)
	if err != nil {
		return nil, err
	}
	known, err := factsOf(tx, scope.ClinicID, uuid.Nil, nil)
	if err != nil {
		return nil, err
	}
	r.zone, err = d.Zone(known.TimeZone)
	if err != nil {
		return nil, err
	}
	checkStart(&r.in, scope.Role, r.span.From, d.now(), r.zone)
	if r.input.EndsAt != nil {
		checkEnd(&r.in, r.span.From, r.span.To, r.zone)
	} else if appointment != nil {
		r.span.To = r.span.From.Add(appointment.EndsAt.Sub(appointment.StartsAt))
	}
	if r.in.Err() == nil && r.stays(appointment) {
		return appointment, nil
	}
	over := false
	if r.in.Err() == nil {
		if over, err = d.checkFree(tx, &r.in, scope, &r.proposal); err != nil {
			return nil, err
		}
	}
	if err := r.refused(); err != nil {
		return nil, err
	}
	from := appointment.Status
	err = tx.Model(appointment).Clauses(everyColumn()).Updates(map[string]any{
		"practitioner_id": r.practitioner,
		"starts_at":       r.span.From,
		"ends_at":         r.span.To,
		"overbooked":      over,
		"status":          models.AppointmentStatusScheduled,
	}).Error
	if err != nil {
		return nil, err
	}
	return appointment, note(tx, scope, appointment, models.AppointmentStepReschedule, from, models.AppointmentStatusScheduled, nil)
}

// refused are the mistakes so far, in the order of the input's fields.
func (r *rescheduleRequest) refused() error {
	return inOrderOf(r.in.Err(), fieldID, "expectedVersion", fieldStartsAt, fieldEndsAt, fieldPractitionerID,
		"allowOutsideHours", "overbook", fieldWholeSeries)
}

// stays tells whether an appointment is where it is to be moved.
func (r *rescheduleRequest) stays(appointment *models.Appointment) bool {
	return appointment.PractitionerID == r.practitioner && appointment.StartsAt.Equal(r.span.From) && appointment.EndsAt.Equal(r.span.To)
}

// find looks, without a lock, whose appointment it is.
func (r *rescheduleRequest) find(tx *gorm.DB) error {
	var appointment models.Appointment
	err := tx.Select("practitioner_id", "contact_id", "service_id").Where("id = ?", r.appointment).Take(&appointment).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		// Reported when it is to be locked.
		return nil
	}
	r.contact = appointment.ContactID
	switch {
	case !r.elsewho:
		r.practitioner = appointment.PractitionerID
	case r.practitioner != appointment.PractitionerID && appointment.ServiceID != nil:
		// Who treats them already goes on, even if they offer it to nobody new.
		r.service = *appointment.ServiceID
	}
	return err
}

// lockAppointment locks the appointment and refuses it if it changed, or if it
// has come too far to be moved. It is nil where there is none.
func (r *rescheduleRequest) lockAppointment(tx *gorm.DB) (*models.Appointment, error) {
	if r.appointment == uuid.Nil {
		return nil, nil //nolint:nilnil // a malformed id is a mistake that is noted already
	}
	appointment, err := lockAppointment(tx, r.appointment, r.input.ExpectedVersion)
	var mistakes models.Invalid
	if errors.As(err, &mistakes) && mistakes[0].Code == models.UserErrorCodeNotFound {
		r.in.Add(mistakes[0].Code, fieldID, mistakes[0].Message)
		return nil, nil //nolint:nilnil // noted, like a malformed id
	}
	if err != nil {
		return nil, err
	}
	if (!r.elsewho && appointment.PractitionerID != r.practitioner) || appointment.ContactID != r.contact {
		return nil, errMoved
	}
	return appointment, movable(appointment)
}

// movable refuses an appointment that has come too far to be moved.
func movable(appointment *models.Appointment) error {
	switch appointment.Status {
	case models.AppointmentStatusScheduled, models.AppointmentStatusConfirmed:
		return nil
	case models.AppointmentStatusCheckedIn, models.AppointmentStatusInProgress, models.AppointmentStatusCompleted,
		models.AppointmentStatusCancelled, models.AppointmentStatusNoShow:
	}
	return models.Refuse(models.UserErrorCodeConflict, fieldID,
		"an appointment can be moved while it is SCHEDULED or CONFIRMED; this one is "+appointment.Status.String(), appointment.GetID())
}

// lockAppointment locks an appointment for a change. An unknown one is
// NOT_FOUND, one that is no longer of the expected version STALE.
func lockAppointment(tx *gorm.DB, id uuid.UUID, expectedVersion *int) (*models.Appointment, error) {
	var appointment models.Appointment
	err := tx.Select(everyColumnName()).Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).
		Where("id = ?", id).Take(&appointment).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, models.Refuse(models.UserErrorCodeNotFound, fieldID, "this clinic has no such appointment")
	}
	if err != nil {
		return nil, err
	}
	return &appointment, expected(&appointment, expectedVersion)
}

// expected refuses an appointment that is no longer of the version that a change is
// based on.
func expected(appointment *models.Appointment, version *int) error {
	if version != nil && *version != appointment.Version {
		return models.Refuse(models.UserErrorCodeStale, "expectedVersion",
			"somebody changed the appointment: read it again and decide anew", appointment.GetID())
	}
	return nil
}

// begun tells whether an appointment's start is past.
func begun(appointment *models.Appointment, now time.Time) bool {
	return !appointment.StartsAt.After(now)
}
