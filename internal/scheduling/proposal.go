package scheduling

import (
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// The inputs' fields at which a time is refused.
const (
	fieldID                = "id"
	fieldContactID         = "contactId"
	fieldPractitionerID    = "practitionerId"
	fieldServiceID         = "serviceId"
	fieldStartsAt          = "startsAt"
	fieldEndsAt            = "endsAt"
	fieldExternalReference = "externalReference"
	fieldRecurrenceRule    = "recurrenceRule"
	fieldWholeSeries       = "wholeSeries"
)

// The bounds of an appointment.
const (
	longestAppointment = 24 * time.Hour
	// What came and went yesterday may still be written down.
	farthestBack = 24 * time.Hour
)

// proposal is the time that somebody asks for.
type proposal struct {
	// appointment is the one that is to move, hold the one that is redeemed; uuid.Nil for
	// a new one, and for none.
	appointment, hold uuid.UUID
	practitioner      uuid.UUID
	// entry is whose place on the waiting list the time is offered for; uuid.Nil for none.
	entry uuid.UUID
	// contact and service are what is asked about with the time; uuid.Nil for none.
	contact, service uuid.UUID
	span             availability.Span
	zone             *time.Location
	anyHours         bool
	overbook         bool
	// strict is set for what is for a time to come, and for nobody who overrides.
	strict bool
	// again is set for a time that was had before and is only taken back: nothing but
	// what takes the same time is in its way.
	again bool
	// reference is the external reference that a new appointment is to have.
	reference *string
}

// checkStart refuses starts that no appointment can have.
func checkStart(in *validate.Input, role models.Role, start, now time.Time, zone *time.Location) {
	switch {
	case availability.Skipped(start, zone):
		in.Add(models.UserErrorCodeInvalid, fieldStartsAt, availability.SkippedWords(start, zone))
	case !availability.WholeMinute(start):
		in.Add(models.UserErrorCodeInvalid, fieldStartsAt, "an appointment begins at a whole minute")
	case !availability.MayEnter(models.RoleOwner, start, now):
		in.Add(models.UserErrorCodeInvalid, fieldStartsAt, "this is more than a year in the past")
	case !availability.MayEnter(role, start, now):
		in.Add(models.UserErrorCodeInvalid, fieldStartsAt, "this is more than a day in the past; an owner, an admin or a practitioner may enter it")
	case start.After(availability.Latest(now)):
		in.Add(models.UserErrorCodeInvalid, fieldStartsAt, "this is more than two years ahead")
	}
}

// checkEnd refuses ends that no appointment can have.
func checkEnd(in *validate.Input, start, end time.Time, zone *time.Location) {
	switch {
	case availability.Skipped(end, zone):
		in.Add(models.UserErrorCodeInvalid, fieldEndsAt, availability.SkippedWords(end, zone))
	case !availability.WholeMinute(end):
		in.Add(models.UserErrorCodeInvalid, fieldEndsAt, "an appointment ends at a whole minute")
	case !end.After(start):
		in.Add(models.UserErrorCodeInvalid, fieldEndsAt, "an appointment ends after it begins")
	case end.Sub(start) > longestAppointment:
		in.Add(models.UserErrorCodeInvalid, fieldEndsAt, "an appointment takes 24 hours at most")
	}
}

// lockPractitioner locks the practitioner's row until the transaction ends: two
// receptionists who book the same practitioner come one after the other, and
// the second sees what the first has done. It is the first lock that a booking
// takes.
func (d *Diary) lockPractitioner(tx *gorm.DB, in *validate.Input, id uuid.UUID) error {
	var practitioner models.Practitioner
	err := tx.Select("id", "active").Clauses(clause.Locking{Strength: d.lock}).
		Where("id = ?", id).Take(&practitioner).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		in.Add(models.UserErrorCodeNotFound, fieldPractitionerID, "this clinic has no such practitioner")
	case err != nil:
		return err
	case !practitioner.Active:
		in.Add(models.UserErrorCodeConflict, fieldPractitionerID, "this practitioner takes no appointments at present",
			models.KindPractitioner.Global(id))
	}
	return nil
}

// checkFree refuses a time that anything stands in the way of which the proposal does
// not go over. It tells whether an appointment or a hold was gone over. The practitioner
// and the contact must be locked.
func (d *Diary) checkFree(tx *gorm.DB, in *validate.Input, scope *tenant.Scope, p *proposal) (over bool, err error) {
	facts, err := d.In(tx).Ask(tx.Statement.Context, p.practitioner, p.service, p.contact, p.span)
	if err != nil {
		return false, err
	}
	refused := p.refusals(facts.Obstacles(scope, p.question(), d.now()), &over)
	for _, o := range refused {
		// Whoever needs another time anyway will look for one on the grid.
		if o.Kind != models.SlotObstacleKindOffGrid || len(refused) == 1 {
			in.Add(codeOf(o.Kind), fieldOf(o.Kind), o.Message, o.EntityIds...)
		}
	}
	return over, nil
}

func (p *proposal) question() availability.Question {
	return availability.Question{Practitioner: p.practitioner, Span: p.span, Appointment: p.appointment, Hold: p.hold}
}

// refusals are the obstacles that the proposal does not go over; over tells whether it
// goes over what takes the practitioner's time.
func (p *proposal) refusals(obstacles []*models.SlotObstacle, over *bool) (left []*models.SlotObstacle) {
	for _, o := range obstacles {
		goes := false
		switch o.Kind {
		case models.SlotObstacleKindInThePast:
			goes = p.again || (o.Overridable && !p.strict)
		case models.SlotObstacleKindOutsideWorkingHours, models.SlotObstacleKindTimeOff, models.SlotObstacleKindClinicClosed,
			models.SlotObstacleKindOffGrid:
			goes = p.anyHours
		case models.SlotObstacleKindAppointment, models.SlotObstacleKindHold:
			goes = p.overbook
			*over = *over || goes
		case models.SlotObstacleKindContactBusy:
			goes = p.overbook
		case models.SlotObstacleKindPractitionerInactive, models.SlotObstacleKindServiceNotOffered, models.SlotObstacleKindDstGap:
			goes = p.again
		}
		if !goes {
			left = append(left, o)
		}
	}
	return left
}

// codeOf and fieldOf are how a booking tells an obstacle.
func codeOf(kind models.SlotObstacleKind) models.UserErrorCode {
	switch kind {
	case models.SlotObstacleKindInThePast, models.SlotObstacleKindDstGap:
		return models.UserErrorCodeInvalid
	case models.SlotObstacleKindOutsideWorkingHours, models.SlotObstacleKindTimeOff, models.SlotObstacleKindClinicClosed,
		models.SlotObstacleKindOffGrid:
		return models.UserErrorCodeOutOfHours
	case models.SlotObstacleKindAppointment, models.SlotObstacleKindHold, models.SlotObstacleKindContactBusy,
		models.SlotObstacleKindPractitionerInactive, models.SlotObstacleKindServiceNotOffered:
	}
	return models.UserErrorCodeConflict
}

func fieldOf(kind models.SlotObstacleKind) string {
	switch kind {
	case models.SlotObstacleKindPractitionerInactive:
		return fieldPractitionerID
	case models.SlotObstacleKindServiceNotOffered:
		return fieldServiceID
	default:
		return fieldStartsAt
	}
}

// inOrderOf puts the mistakes of an input in the order of its fields.
func inOrderOf(err error, fields ...string) error {
	var mistakes models.Invalid
	if !errors.As(err, &mistakes) {
		return err
	}
	place := func(mistake *models.UserError) int {
		if len(mistake.Field) == 0 {
			return -1
		}
		return slices.Index(fields, mistake.Field[0])
	}
	slices.SortStableFunc(mistakes, func(a, b *models.UserError) int { return place(a) - place(b) })
	return mistakes
}

// atField tells an input's mistakes at another field: where the input has no time, what
// is in the way is told at what it has.
func atField(err error, field string) error {
	var mistakes models.Invalid
	if !errors.As(err, &mistakes) {
		return err
	}
	for _, mistake := range mistakes {
		mistake.Field = []string{field}
	}
	return mistakes
}
