package scheduling

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

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
)

// The bounds of an appointment.
const (
	longestAppointment = 24 * time.Hour
	// What came and went yesterday may still be written down.
	farthestBack       = 24 * time.Hour
	farthestAheadYears = 2
	// So long ago who may override enters visits.
	farthestBackYears = 1
)

// proposal is the time that somebody asks for.
type proposal struct {
	// appointment is the one that is to move; uuid.Nil for a new one.
	appointment  uuid.UUID
	practitioner uuid.UUID
	span         Span
	zone         *time.Location
	anyHours     bool
	overbook     bool
	// reference is the external reference that a new appointment is to have.
	reference *string
}

// checkStart refuses starts that no appointment can have.
func checkStart(in *validate.Input, role models.Role, start, now time.Time, zone *time.Location) {
	switch {
	case skipped(start, zone):
		in.Add(models.UserErrorCodeInvalid, fieldStartsAt, skippedWords(start, zone))
	case !wholeMinute(start):
		in.Add(models.UserErrorCodeInvalid, fieldStartsAt, "an appointment begins at a whole minute")
	case start.Before(now.AddDate(-farthestBackYears, 0, 0)):
		in.Add(models.UserErrorCodeInvalid, fieldStartsAt, "this is more than a year in the past")
	case start.Before(now.Add(-farthestBack)) && !mayOverride(role):
		in.Add(models.UserErrorCodeInvalid, fieldStartsAt, "this is more than a day in the past; an owner, an admin or a practitioner may enter it")
	case start.After(now.AddDate(farthestAheadYears, 0, 0)):
		in.Add(models.UserErrorCodeInvalid, fieldStartsAt, fmt.Sprintf("this is more than %d years ahead", farthestAheadYears))
	}
}

// checkEnd refuses ends that no appointment can have.
func checkEnd(in *validate.Input, start, end time.Time, zone *time.Location) {
	switch {
	case skipped(end, zone):
		in.Add(models.UserErrorCodeInvalid, fieldEndsAt, skippedWords(end, zone))
	case !wholeMinute(end):
		in.Add(models.UserErrorCodeInvalid, fieldEndsAt, "an appointment ends at a whole minute")
	case !end.After(start):
		in.Add(models.UserErrorCodeInvalid, fieldEndsAt, "an appointment ends after it begins")
	case end.Sub(start) > longestAppointment:
		in.Add(models.UserErrorCodeInvalid, fieldEndsAt, "an appointment takes 24 hours at most")
	}
}

func wholeMinute(t time.Time) bool { return t.Truncate(time.Minute).Equal(t) }

func skippedWords(written time.Time, zone *time.Location) string {
	return fmt.Sprintf("this time does not exist: in %s the clocks skip %s", zone, written.Format("15:04 on 2006-01-02"))
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

// checkFree refuses a time that is outside the working hours, in time off, held
// or taken. An overbooked appointment may lie over others: it tells whether it
// does. The practitioner must be locked.
func (p *proposal) checkFree(tx *gorm.DB, in *validate.Input, clinic uuid.UUID) (over bool, err error) {
	var taken []*busy
	// The list of one is passed on as an array; as ? GORM would spell it out.
	if err := tx.Raw(busySQL, clinic, []uuid.UUID{p.practitioner}, p.span.From, p.span.To).Find(&taken).Error; err != nil {
		return false, err
	}
	taken = slices.DeleteFunc(taken, func(b *busy) bool { return b.Kind == busyAppointment && b.ID == p.appointment })
	if !p.anyHours {
		if err := p.checkHours(tx, in, taken); err != nil {
			return false, err
		}
	}
	if p.overbook {
		return slices.ContainsFunc(taken, func(b *busy) bool { return b.Kind != busyTimeOff }), nil
	}
	if clash := refuseTaken(taken); clash != nil {
		in.Add(clash.Code, fieldStartsAt, clash.Message, clash.EntityIds...)
	}
	return false, nil
}

func (p *proposal) checkHours(tx *gorm.DB, in *validate.Input, taken []*busy) error {
	if slices.ContainsFunc(taken, func(b *busy) bool { return b.Kind == busyTimeOff }) {
		in.Add(models.UserErrorCodeOutOfHours, fieldStartsAt, "the practitioner is away at that time")
		return nil
	}
	var hours []*models.WorkingHour
	if err := tx.Where("practitioner_id = ?", p.practitioner).Find(&hours).Error; err != nil {
		return err
	}
	if !covers(working(hours, p.zone, p.span), p.span) {
		in.Add(models.UserErrorCodeOutOfHours, fieldStartsAt, "the practitioner does not work at that time")
	}
	return nil
}

// refuseTaken is the mistake of asking for a time that appointments or holds
// take; nil if none does.
func refuseTaken(taken []*busy) *models.UserError {
	var inTheWay []string
	held := false
	for _, b := range taken {
		switch b.Kind {
		case busyAppointment:
			inTheWay = append(inTheWay, models.KindAppointment.Global(b.ID))
		case busyHold:
			held = true
		}
	}
	switch {
	case len(inTheWay) > 0:
		return models.NewUserError(models.UserErrorCodeConflict, fieldStartsAt, "this time is taken", inTheWay...)
	case held:
		return models.NewUserError(models.UserErrorCodeConflict, fieldStartsAt, "this time is held for someone")
	}
	return nil
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
