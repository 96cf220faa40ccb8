package scheduling

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// How long an appointment's texts may be, in characters.
const (
	longestNotes     = 10_000
	longestReference = 255
)

// The constraints that refuse a booking which the checks before it let through.
const (
	constraintDoubleBooking     = "appointments_no_double_booking"
	constraintHolds             = "appointments_respect_holds"
	constraintExternalReference = "idx_appointments_external_reference"
)

// Schedule books one appointment; an input with a rule is ScheduleSeries'. Mistakes of the input come as models.Invalid,
// and then nothing was written; where the time was refused, up to five free
// slots nearest to it come with them, the same practitioner's first.
func (d *Diary) Schedule(ctx context.Context, input models.ScheduleAppointmentInput) (*models.Appointment, []*models.Slot, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, nil, err
	}
	var booked *models.Appointment
	var asked *proposal
	err = d.db.InTenant(ctx, func(tx *gorm.DB) error {
		request := newScheduleRequest(scope, input)
		booked, err = d.schedule(tx, scope, request)
		asked = &request.proposal
		return err
	})
	return d.outcome(ctx, booked, asked, d.explain(ctx, err, asked))
}

// outcome is what a booking gives: the appointment, or the refusal and what is
// free instead.
func (d *Diary) outcome(ctx context.Context, booked *models.Appointment, asked *proposal, err error) (*models.Appointment, []*models.Slot, error) {
	if err == nil {
		return booked, []*models.Slot{}, nil
	}
	if !refusedTime(err) {
		return nil, []*models.Slot{}, err
	}
	instead, failed := d.Alternatives(ctx, asked.practitioner, asked.service, asked.span)
	if failed != nil {
		return nil, nil, failed
	}
	return nil, instead, err
}

// scheduleRequest is a ScheduleAppointmentInput that was read; in holds the
// mistakes in it so far.
type scheduleRequest struct {
	proposal

	in     validate.Input
	hasEnd bool
	notes  *string
}

func newScheduleRequest(scope *tenant.Scope, input models.ScheduleAppointmentInput) *scheduleRequest {
	r := &scheduleRequest{hasEnd: input.EndsAt != nil}
	r.contact = r.in.ID(fieldContactID, models.KindContact, input.ContactID)
	r.practitioner = r.in.ID(fieldPractitionerID, models.KindPractitioner, input.PractitionerID)
	if input.ServiceID != nil {
		r.service = r.in.ID(fieldServiceID, models.KindService, *input.ServiceID)
	}
	r.span.From = input.StartsAt
	switch {
	case input.EndsAt != nil:
		r.span.To = *input.EndsAt
	case input.ServiceID == nil:
		r.in.Add(models.UserErrorCodeRequired, fieldEndsAt, "say when it ends, or which service it is")
	}
	if input.HoldID != nil {
		r.hold = r.in.ID(fieldHoldID, models.KindSlotHold, *input.HoldID)
	}
	r.notes = r.in.OptionalLines("notes", input.Notes, longestNotes)
	r.anyHours = privilege(&r.in, scope.Role, "allowOutsideHours", input.AllowOutsideHours)
	r.overbook = privilege(&r.in, scope.Role, "overbook", input.Overbook)
	r.reference = r.in.OptionalText(fieldExternalReference, input.ExternalReference, longestReference)
	return r
}

// privilege reads a flag that only some roles may raise.
func privilege(in *validate.Input, role models.Role, field string, flag *bool) bool {
	if flag == nil || !*flag {
		return false
	}
	if !availability.MayOverride(role) {
		in.Add(models.UserErrorCodeForbidden, field, "your role may not do this; an owner, an admin or a practitioner may")
	}
	return true
}

// schedule checks and books. All mistakes that can be seen are reported at
// once; whether the time is free is only looked at if there are none.
func (d *Diary) schedule(tx *gorm.DB, scope *tenant.Scope, r *scheduleRequest) (*models.Appointment, error) {
	if err := d.check(tx, scope, r); err != nil {
		return nil, err
	}
	if err := r.redeemed(tx, scope); err != nil {
		return nil, err
	}
	over := false
	if r.in.Err() == nil {
		var err error
		if over, err = d.checkFree(tx, &r.in, scope, &r.proposal); err != nil {
			return nil, err
		}
	}
	if err := r.refused(); err != nil {
		return nil, err
	}
	booked := &models.Appointment{
		ClinicID: scope.ClinicID, ID: models.NewID(), ContactID: r.contact, PractitionerID: r.practitioner,
		StartsAt: r.span.From, EndsAt: r.span.To, Status: models.AppointmentStatusScheduled,
		Notes: r.notes, Overbooked: over, ExternalReference: r.reference,
	}
	if r.service != uuid.Nil {
		booked.ServiceID = &r.service
	}
	return booked, tx.Clauses(everyColumn()).Create(booked).Error
}

// check locks what a booking needs and notes what is wrong with it, whatever else is in
// the diary.
func (d *Diary) check(tx *gorm.DB, scope *tenant.Scope, r *scheduleRequest) error {
	// Locked first: two receptionists may book the same slot.
	if r.practitioner != uuid.Nil {
		if err := d.lockPractitioner(tx, &r.in, r.practitioner); err != nil {
			return err
		}
	}
	if r.contact != uuid.Nil {
		if err := d.lockContact(tx, &r.in, r.contact); err != nil {
			return err
		}
	}
	facts, err := factsOf(tx, scope.ClinicID, r.service, r.reference)
	if err != nil {
		return err
	}
	r.zone, err = d.Zone(facts.TimeZone)
	if err != nil {
		return err
	}
	r.checkFacts(facts)
	checkStart(&r.in, scope.Role, r.span.From, d.now(), r.zone)
	if r.hasEnd {
		checkEnd(&r.in, r.span.From, r.span.To, r.zone)
	}
	return nil
}

// redeemed redeems the hold, if one is given and nothing else is wrong.
func (r *scheduleRequest) redeemed(tx *gorm.DB, scope *tenant.Scope) error {
	if r.in.Err() == nil && r.hold != uuid.Nil {
		return r.redeem(tx, &r.in, scope)
	}
	return nil
}

// refused are the mistakes so far, in the order of the input's fields.
func (r *scheduleRequest) refused() error {
	return inOrderOf(r.in.Err(), fieldContactID, fieldPractitionerID, fieldServiceID, fieldStartsAt, fieldEndsAt,
		"notes", fieldRecurrenceRule, "allowOutsideHours", "overbook", fieldHoldID, fieldExternalReference)
}

// lockContact sees to it that the contact is not put away while it is booked, and not
// booked elsewhere for the same time.
func (d *Diary) lockContact(tx *gorm.DB, in *validate.Input, id uuid.UUID) error {
	var contact models.Contact
	err := tx.Select("id", "status").Clauses(clause.Locking{Strength: d.lock}).Where("id = ?", id).Take(&contact).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		in.Add(models.UserErrorCodeNotFound, fieldContactID, "this clinic has no such contact")
	case err != nil:
		return err
	case contact.Status == models.ContactStatusArchived:
		in.Add(models.UserErrorCodeConflict, fieldContactID, "this contact was put away: make them active first", contact.GetID())
	}
	return nil
}

// lockOf locks the contact of an appointment that there is, whatever became of them;
// uuid.Nil is none.
func lockOf(tx *gorm.DB, contact uuid.UUID) error {
	if contact == uuid.Nil {
		return nil
	}
	return tx.Select("id").Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("id = ?", contact).Take(&models.Contact{}).Error
}

// facts are what a booking must know about the clinic.
type facts struct {
	TimeZone string
	// Minutes and Active are the service's; nil where there is none.
	Minutes *int
	Active  *bool
	// Referenced is the appointment that has the external reference.
	Referenced *uuid.UUID
}

func factsOf(tx *gorm.DB, clinic, service uuid.UUID, reference *string) (*facts, error) {
	var known facts
	err := tx.Raw(`
		SELECT c.time_zone, s.duration_minutes AS minutes, s.active,
		  (SELECT a.id FROM appointments a WHERE a.clinic_id = c.id AND a.external_reference = $3) AS referenced
		FROM clinics c LEFT JOIN services s ON s.clinic_id = c.id AND s.id = $2
		WHERE c.id = $1`, clinic, service, reference).Find(&known).Error
	return &known, err
}

func (r *scheduleRequest) checkFacts(known *facts) {
	if r.service != uuid.Nil && checkService(&r.in, r.service, known) && !r.hasEnd {
		r.span.To = r.span.From.Add(time.Duration(*known.Minutes) * time.Minute)
	}
	if known.Referenced != nil {
		r.in.Add(models.UserErrorCodeTaken, fieldExternalReference, "another appointment has this reference",
			models.KindAppointment.Global(*known.Referenced))
	}
}

// checkService refuses a service that there is not, or that is not offered.
func checkService(in *validate.Input, id uuid.UUID, known *facts) bool {
	switch {
	case known.Minutes == nil || known.Active == nil:
		in.Add(models.UserErrorCodeNotFound, fieldServiceID, "this clinic has no such service")
	case !*known.Active:
		in.Add(models.UserErrorCodeConflict, fieldServiceID, "this service is not offered at present", models.KindService.Global(id))
	default:
		return true
	}
	return false
}

// everyColumn makes a write return the row as the database has it.
func everyColumn() clause.Returning {
	var all clause.Returning
	for _, column := range everyColumnName() {
		all.Columns = append(all.Columns, clause.Column{Name: column})
	}
	return all
}

func everyColumnName() []string {
	return []string{
		"clinic_id", "id", "contact_id", "practitioner_id", "service_id", "starts_at", "ends_at", "scheduled_date", "status",
		"cancellation_reason", "notes", "recurrence_rule", "series_id", "overbooked", "arrived_at", "started_at", "completed_at", "external_reference", "version", "created_at", "updated_at",
	}
}

// explain says in words for the user what a constraint has refused: the checks
// saw nothing in the way, but Postgres knew better.
func (d *Diary) explain(ctx context.Context, refused error, asked *proposal) error {
	constraint, violated := database.Violation(refused)
	if !violated {
		return refused
	}
	scope, err := tenant.From(ctx)
	if err != nil {
		return err
	}
	switch constraint {
	case constraintDoubleBooking, constraintHolds, constraintDoubleHold, constraintHeldTaken:
		facts, err := d.Ask(ctx, asked.practitioner, uuid.Nil, uuid.Nil, asked.span)
		if err != nil {
			return err
		}
		for _, o := range facts.Obstacles(scope, asked.question(), d.now()) {
			if o.Kind == models.SlotObstacleKindAppointment || o.Kind == models.SlotObstacleKindHold {
				return models.Refuse(codeOf(o.Kind), fieldOf(o.Kind), o.Message, o.EntityIds...)
			}
		}
		// What was in the way has gone meanwhile.
		return models.Refuse(models.UserErrorCodeConflict, fieldStartsAt, "this time was taken a moment ago: try again")
	case constraintExternalReference:
		id, err := database.Value[uuid.UUID](ctx, d.db,
			"SELECT id FROM appointments WHERE clinic_id = $1 AND external_reference = $2", scope.ClinicID, asked.reference)
		if err != nil {
			return errors.Join(refused, err)
		}
		return models.Refuse(models.UserErrorCodeTaken, fieldExternalReference, "another appointment has this reference",
			models.KindAppointment.Global(id))
	}
	return refused
}

// refusedTime tells whether an error refuses the time that was asked for, so
// that another one would do.
func refusedTime(err error) bool {
	var mistakes models.Invalid
	if !errors.As(err, &mistakes) {
		return false
	}
	return slices.ContainsFunc(mistakes, func(mistake *models.UserError) bool {
		taken := mistake.Code == models.UserErrorCodeConflict || mistake.Code == models.UserErrorCodeOutOfHours
		return taken && slices.Equal(mistake.Field, []string{fieldStartsAt})
	})
}
