package scheduling

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

const (
	mostStretches = 100
	minutesOfDay  = 24 * 60
)

// SetWorkingHours replaces a practitioner's week, and gives the coming appointments
// that lie outside of the new one. Mistakes come back as models.Invalid.
func (d *Diary) SetWorkingHours(ctx context.Context, input models.SetWorkingHoursInput) (*models.Practitioner, []*models.Appointment, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, nil, err
	}
	var in validate.Input
	id := in.ID(fieldPractitionerID, models.KindPractitioner, input.PractitionerID)
	week := readWeek(&in, id, input.WorkingHours)
	if err := in.Err(); err != nil {
		return nil, nil, err
	}
	var practitioner *models.Practitioner
	var outside []*models.Appointment
	err = d.db.InTenant(ctx, func(tx *gorm.DB) (err error) {
		// Locked first: whoever books them meanwhile comes before or after.
		if practitioner, err = lockWeek(tx, id, input.ExpectedVersion); err != nil {
			return err
		}
		if err := tx.Exec("DELETE FROM working_hours WHERE clinic_id = $1 AND practitioner_id = $2", scope.ClinicID, id).Error; err != nil {
			return err
		}
		if len(week) > 0 {
			if err := tx.Create(&week).Error; err != nil {
				return err
			}
		}
		// Their hours are part of them: the version tells that they changed.
		err = tx.Model(practitioner).Clauses(clause.Returning{}).Updates(map[string]any{"active": practitioner.Active}).Error
		if err != nil {
			return err
		}
		outside, err = d.outside(tx, scope.ClinicID, &id)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return practitioner, outside, nil
}

// readWeek reads the stretches of a week, none of which may lie over another.
func readWeek(in *validate.Input, practitioner uuid.UUID, stretches []*models.WorkingHoursInput) []*models.WorkingHour {
	const field = "workingHours"
	if len(stretches) > mostStretches {
		in.Add(models.UserErrorCodeLimit, field, fmt.Sprintf("a week may have %d stretches at most", mostStretches))
		return nil
	}
	week := make([]*models.WorkingHour, len(stretches))
	for i, stretch := range stretches {
		path := func(name string) []string { return []string{field, strconv.Itoa(i), name} }
		if stretch.FromMinute < 0 || stretch.FromMinute >= minutesOfDay {
			in.AddAt(models.UserErrorCodeInvalid, path("fromMinute"), "a stretch begins at a minute of the day, 0 to 1439")
		}
		if stretch.ToMinute <= stretch.FromMinute || stretch.ToMinute > minutesOfDay {
			in.AddAt(models.UserErrorCodeInvalid, path("toMinute"), "a stretch ends after it begins, at 1440 at the latest: one over midnight is two")
		}
		week[i] = &models.WorkingHour{
			ID: models.NewID(), PractitionerID: practitioner, ISOWeekday: slices.Index(models.AllWeekday, stretch.Weekday) + 1,
			FromMinute: stretch.FromMinute, ToMinute: stretch.ToMinute,
		}
		for before, other := range week[:i] {
			if other.ISOWeekday == week[i].ISOWeekday && other.FromMinute < stretch.ToMinute && stretch.FromMinute < other.ToMinute {
				in.AddAt(models.UserErrorCodeInvalid, []string{field, strconv.Itoa(i)},
					fmt.Sprintf("this lies over workingHours.%d on the same day: make one of them", before))
				break
			}
		}
	}
	return week
}

func lockWeek(tx *gorm.DB, id uuid.UUID, expectedVersion *int) (*models.Practitioner, error) {
	var practitioner models.Practitioner
	err := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("id = ?", id).Take(&practitioner).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, models.Refuse(models.UserErrorCodeNotFound, fieldPractitionerID, "this clinic has no such practitioner")
	}
	if err != nil {
		return nil, err
	}
	if expectedVersion != nil && *expectedVersion != practitioner.Version {
		return nil, models.Refuse(models.UserErrorCodeStale, "expectedVersion",
			"somebody changed this practitioner since you read them: read them again", practitioner.GetID())
	}
	return &practitioner, nil
}

// coming are the live appointments that are not over yet, of one practitioner or of
// all, in order of their start.
func (d *Diary) coming(tx *gorm.DB, practitioner *uuid.UUID) *gorm.DB {
	now := d.now()
	query := tx.Select(everyColumnName()).
		Where("starts_at > ? AND ends_at > ? AND status NOT IN "+over, now.Add(-longestAppointment), now).Order("starts_at, id")
	if practitioner != nil {
		query = query.Where("practitioner_id = ?", *practitioner)
	}
	return query
}

// outside are the coming appointments that lie outside of the working hours as they
// are, of one practitioner or of all.
func (d *Diary) outside(tx *gorm.DB, clinic uuid.UUID, practitioner *uuid.UUID) ([]*models.Appointment, error) {
	var all, found []*models.Appointment
	if err := d.coming(tx, practitioner).Find(&all).Error; err != nil {
		return nil, err
	}
	var hours []*models.WorkingHour
	query := tx
	if practitioner != nil {
		query = query.Where("practitioner_id = ?", *practitioner)
	}
	if err := query.Find(&hours).Error; err != nil {
		return nil, err
	}
	known, err := factsOf(tx, clinic, uuid.Nil, nil)
	if err != nil {
		return nil, err
	}
	zone, err := d.Zone(known.TimeZone)
	if err != nil {
		return nil, err
	}
	whose := map[uuid.UUID][]*models.WorkingHour{}
	for _, stretch := range hours {
		whose[stretch.PractitionerID] = append(whose[stretch.PractitionerID], stretch)
	}
	for _, appointment := range all {
		span := availability.Span{From: appointment.StartsAt, To: appointment.EndsAt}
		if !availability.Works(whose[appointment.PractitionerID], zone, span) {
			found = append(found, appointment)
		}
	}
	return found, nil
}

// AddTimeOff notes that a practitioner is away or, without one, that the whole clinic
// is closed, and gives the coming appointments within. Mistakes come back as
// models.Invalid.
func (d *Diary) AddTimeOff(ctx context.Context, input models.AddTimeOffInput) (*models.TimeOff, []*models.Appointment, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, nil, err
	}
	var in validate.Input
	off := &models.TimeOff{ID: models.NewID(), StartsAt: input.StartsAt, EndsAt: input.EndsAt}
	if input.PractitionerID != nil {
		id := in.ID(fieldPractitionerID, models.KindPractitioner, *input.PractitionerID)
		off.PractitionerID = &id
	} else {
		mayClose(&in, scope.Role)
	}
	for field, instant := range map[string]time.Time{fieldStartsAt: input.StartsAt, fieldEndsAt: input.EndsAt} {
		if !availability.WholeMinute(instant) {
			in.Add(models.UserErrorCodeInvalid, field, "time off begins and ends at a whole minute")
		}
	}
	switch {
	case !input.EndsAt.After(input.StartsAt):
		in.Add(models.UserErrorCodeInvalid, fieldEndsAt, "time off ends after it begins")
	case input.EndsAt.Sub(input.StartsAt) > longestTimeOffRange:
		in.Add(models.UserErrorCodeInvalid, fieldEndsAt, "time off may last 366 days at most: add another for what follows")
	}
	off.Reason = in.OptionalText("reason", input.Reason, 500)
	if err := in.Err(); err != nil {
		return nil, nil, inOrderOf(err, fieldPractitionerID, fieldStartsAt, fieldEndsAt, "reason")
	}
	var within []*models.Appointment
	err = d.db.InTenant(ctx, func(tx *gorm.DB) error {
		if err := d.lockAway(tx, off.PractitionerID); err != nil {
			return err
		}
		if err := tx.Clauses(clause.Returning{}).Create(off).Error; err != nil {
			return err
		}
		within = nil
		return d.coming(tx, off.PractitionerID).Where("starts_at < ? AND ends_at > ?", off.EndsAt, off.StartsAt).Find(&within).Error
	})
	if err != nil {
		return nil, nil, err
	}
	return off, within, nil
}

// lockAway locks whose time is taken, as bookings do: one practitioner, or all of
// them, in order.
func (d *Diary) lockAway(tx *gorm.DB, practitioner *uuid.UUID) error {
	if practitioner != nil {
		_, err := lockWeek(tx, *practitioner, nil)
		return err
	}
	var all []*models.Practitioner
	return tx.Select("id").Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Order("id").Find(&all).Error
}

// mayClose refuses whoever may not close the whole clinic.
func mayClose(in *validate.Input, role models.Role) {
	if role != models.RoleOwner && role != models.RoleAdmin {
		in.Add(models.UserErrorCodeForbidden, fieldPractitionerID, "an owner or an admin closes the whole clinic: name a practitioner, or ask them")
	}
}

// RemoveTimeOff takes an absence back. Mistakes come back as models.Invalid.
func (d *Diary) RemoveTimeOff(ctx context.Context, input models.RemoveTimeOffInput) (*models.TimeOff, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var in validate.Input
	id := in.ID(fieldID, models.KindTimeOff, input.ID)
	if err := in.Err(); err != nil {
		return nil, err
	}
	off := &models.TimeOff{}
	err = d.db.InTenant(ctx, func(tx *gorm.DB) error {
		off = &models.TimeOff{}
		err := tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("id = ?", id).Take(off).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return models.Refuse(models.UserErrorCodeNotFound, fieldID, "this clinic has no such time off, or it was taken back already")
		}
		if err != nil {
			return err
		}
		if off.PractitionerID == nil {
			var in validate.Input
			mayClose(&in, scope.Role)
			if err := in.Err(); err != nil {
				return models.Refuse(models.UserErrorCodeForbidden, fieldID, "an owner or an admin opens the whole clinic again: ask them", off.GetID())
			}
		}
		return tx.Where("id = ?", id).Delete(&models.TimeOff{}).Error
	})
	if err != nil {
		return nil, err
	}
	return off, nil
}
