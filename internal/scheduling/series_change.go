package scheduling

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/recurrence"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// RescheduleSeries moves an appointment and, with it, all of its series that are to come
// and SCHEDULED or CONFIRMED: on the clinic's calendar and clock by as much, so that each
// stays at its local time however the clocks change. All are moved, or none; refusals are
// those of ScheduleSeries. One that stays where it is is not changed.
func (d *Diary) RescheduleSeries(ctx context.Context, input models.RescheduleAppointmentInput) (*Series, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	series, asked := &Series{}, &dates{proposal: &proposal{}}
	const attempts = 3
	for range attempts {
		err = d.db.InTenant(ctx, func(tx *gorm.DB) error {
			request := newRescheduleRequest(scope, input)
			asked, *series = &dates{proposal: &request.proposal}, Series{}
			return d.rescheduleSeries(tx, scope, request, asked, series)
		})
		if !errors.Is(err, errMoved) {
			return d.seriesOutcome(ctx, series, asked, err)
		}
	}
	return series, errBusy(input.ID)
}

func (d *Diary) rescheduleSeries(tx *gorm.DB, scope *tenant.Scope, r *rescheduleRequest, asked *dates, series *Series) error {
	if r.appointment == uuid.Nil {
		return r.in.Err()
	}
	before, err := d.toCome(tx, r.appointment, "")
	if err != nil {
		return err
	}
	// Locked first, as in every booking, and in an order; then the contact, and then the
	// appointments.
	locked := whoTreats(before)
	if r.elsewho {
		locked = []uuid.UUID{r.practitioner}
	}
	for _, practitioner := range locked {
		if practitioner == uuid.Nil {
			continue // no id at all: a mistake that is noted
		}
		if err := d.lockPractitioner(tx, &r.in, practitioner); err != nil {
			return err
		}
	}
	r.contact = before[0].ContactID
	if err := lockOf(tx, r.contact); err != nil {
		return err
	}
	all, err := d.toCome(tx, r.appointment, "FOR NO KEY UPDATE")
	if err != nil {
		return err
	}
	for _, one := range all {
		if (!r.elsewho && !slices.Contains(locked, one.PractitionerID)) || one.ContactID != r.contact {
			return errMoved
		}
	}
	named := all[slices.IndexFunc(all, func(one *seriesDate) bool { return one.ID == r.appointment })]
	if err := expected(&named.Appointment, r.input.ExpectedVersion); err != nil {
		return err
	}
	if err := movable(&named.Appointment); err != nil {
		return err
	}
	if !r.elsewho {
		r.practitioner = named.PractitionerID
	}
	if r.zone, err = d.zoneOf(tx, scope); err != nil {
		return err
	}
	checkStart(&r.in, scope.Role, r.span.From, d.now(), r.zone)
	if r.input.EndsAt != nil {
		checkEnd(&r.in, r.span.From, r.span.To, r.zone)
	} else {
		r.span.To = r.span.From.Add(named.EndsAt.Sub(named.StartsAt))
	}
	if r.in.Err() == nil {
		asked.move(r, named, all)
		checkTogether(&r.in, asked.all, fieldWholeSeries, r.zone)
	}
	if r.in.Err() == nil && len(asked.all) > 0 {
		if series.Conflicts, err = d.checkDates(tx, &r.in, scope, asked); err != nil {
			return err
		}
	}
	if err := r.refused(); err != nil {
		return err
	}
	moved, err := moveDates(tx, scope, asked)
	if err != nil {
		return err
	}
	series.take(r.appointment, all, moved)
	return nil
}

// move lays out where the dates of a series go when one of them is moved; those that stay
// where they are are left out.
func (d *dates) move(r *rescheduleRequest, named *seriesDate, all []*seriesDate) {
	by := recurrence.Wall(r.span.From, r.zone).Sub(named.local(r.zone))
	d.services, d.moving = map[*date]uuid.UUID{}, map[uuid.UUID]bool{}
	for _, one := range all {
		local := one.local(r.zone).Add(by)
		to := &date{id: one.ID, practitioner: one.PractitionerID, local: local, field: fieldWholeSeries}
		to.span.From = recurrence.InZone(local, r.zone)
		if one == named {
			to.span.From, to.field = r.span.From, fieldStartsAt
		}
		length := one.EndsAt.Sub(one.StartsAt)
		if r.input.EndsAt != nil {
			length = r.span.To.Sub(r.span.From)
		}
		to.span.To = to.span.From.Add(length)
		if r.elsewho {
			to.practitioner = r.practitioner
		}
		elsewho := to.practitioner != one.PractitionerID
		if !elsewho && to.span.From.Equal(one.StartsAt) && to.span.To.Equal(one.EndsAt) {
			continue
		}
		if elsewho && one.ServiceID != nil {
			// Who treats them already goes on, even if they offer it to nobody new.
			d.services[to] = *one.ServiceID
		}
		d.moving[one.ID] = true
		d.all = append(d.all, to)
	}
	slices.SortStableFunc(d.all, func(a, b *date) int { return a.span.From.Compare(b.span.From) })
}

// moveDates writes where the dates that move are from now on, and that they were moved.
// It is one statement: within it they may pass through each other's times.
func moveDates(tx *gorm.DB, scope *tenant.Scope, asked *dates) ([]*models.Appointment, error) {
	if len(asked.all) == 0 {
		return nil, nil
	}
	columns := columnsOf(asked.all)
	if err := noteEach(tx, scope, columns.ids, models.AppointmentStepReschedule, models.AppointmentStatusScheduled, nil); err != nil {
		return nil, err
	}
	var moved []*models.Appointment
	err := tx.Raw(`
		UPDATE appointments a SET practitioner_id = d.practitioner, starts_at = d.starts_at, ends_at = d.ends_at,
		  recurrence_local = d.local, overbooked = d.overbooked, status = $2
		FROM unnest($3::uuid[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::timestamp[], $8::boolean[])
		  AS d (id, practitioner, starts_at, ends_at, local, overbooked)
		WHERE a.clinic_id = $1 AND a.id = d.id
		RETURNING `+returned("a"),
		scope.ClinicID, models.AppointmentStatusScheduled,
		columns.ids, columns.practitioners, columns.begins, columns.ends, columns.local, columns.over).Find(&moved).Error
	return moved, err
}

// CancelSeries cancels an appointment and, with it, all of its series that are to come
// and SCHEDULED or CONFIRMED. Mistakes come as models.Invalid; nothing was written then.
func (d *Diary) CancelSeries(ctx context.Context, input models.CancelAppointmentInput) (*Series, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	c := newChange(models.AppointmentStepInput{ID: input.ID, ExpectedVersion: input.ExpectedVersion}, models.AppointmentStepCancel)
	c.reason = c.in.OptionalLines("reason", input.Reason, longestReason)
	series := &Series{}
	if err := c.in.Err(); err != nil {
		return series, err
	}
	err = d.db.InTenant(ctx, func(tx *gorm.DB) error {
		*series = Series{}
		return d.cancelSeries(tx, scope, c, series)
	})
	return series, err
}

func (d *Diary) cancelSeries(tx *gorm.DB, scope *tenant.Scope, c *change, series *Series) error {
	all, err := d.toCome(tx, c.id, "FOR NO KEY UPDATE")
	if err != nil {
		return err
	}
	named := all[slices.IndexFunc(all, func(one *seriesDate) bool { return one.ID == c.id })]
	if err := expected(&named.Appointment, c.input.ExpectedVersion); err != nil {
		return err
	}
	if _, _, err := d.follow(tx, scope, c, &named.Appointment); err != nil {
		return err
	}
	ids := make([]uuid.UUID, len(all))
	for i, one := range all {
		ids[i] = one.ID
	}
	if err := noteEach(tx, scope, ids, models.AppointmentStepCancel, models.AppointmentStatusCancelled, c.reason); err != nil {
		return err
	}
	var cancelled []*models.Appointment
	for few := range slices.Chunk(ids, fewRows) {
		var some []*models.Appointment
		err := tx.Raw(`UPDATE appointments a SET status = $2, cancellation_reason = coalesce($3, cancellation_reason)
			WHERE a.clinic_id = $1 AND a.id = ANY($4::uuid[]) RETURNING `+returned("a"),
			scope.ClinicID, models.AppointmentStatusCancelled, c.reason, few).Find(&some).Error
		if err != nil {
			return err
		}
		cancelled = append(cancelled, some...)
	}
	series.take(c.id, all, cancelled)
	return nil
}

// seriesDate is an appointment of a series, and what its rule gave.
type seriesDate struct {
	models.Appointment

	RecurrenceLocal time.Time
}

// local is what the clinic's clocks show when it begins, or would have shown if they did
// not skip it. It is what the rule gave, unless the appointment was moved since, or the
// clinic's clocks are others.
func (s *seriesDate) local(zone *time.Location) time.Time {
	if recurrence.InZone(s.RecurrenceLocal, zone).Equal(s.StartsAt) {
		return s.RecurrenceLocal
	}
	return recurrence.Wall(s.StartsAt, zone)
}

// toCome finds an appointment and what else of its series is to come and may be changed,
// in the order of their dates. An unknown one is NOT_FOUND, one that is by itself INVALID.
func (d *Diary) toCome(tx *gorm.DB, id uuid.UUID, lock string) ([]*seriesDate, error) {
	var all []*seriesDate
	err := tx.Raw(`
		SELECT `+returned("a")+`, a.recurrence_local FROM appointments a
		WHERE a.clinic_id = app_clinic() AND a.series_id = (SELECT n.series_id FROM appointments n WHERE n.clinic_id = app_clinic() AND n.id = $1)
		  AND (a.id = $1 OR (a.starts_at >= $2 AND a.status IN ('agendado', 'confirmado')))
		ORDER BY a.starts_at, a.id `+lock, id, d.now()).Find(&all).Error
	if err != nil || len(all) > 0 {
		return all, err
	}
	var known int64
	if err := tx.Model(&models.Appointment{}).Where("id = ?", id).Count(&known).Error; err != nil {
		return nil, err
	}
	if known == 0 {
		return nil, models.Refuse(models.UserErrorCodeNotFound, fieldID, "this clinic has no such appointment")
	}
	return nil, models.Refuse(models.UserErrorCodeInvalid, fieldWholeSeries, "this appointment belongs to no series: leave wholeSeries out", models.KindAppointment.Global(id))
}

// whoTreats are the practitioners of appointments, in the order of their ids.
func whoTreats(all []*seriesDate) (ids []uuid.UUID) {
	for _, one := range all {
		if !slices.Contains(ids, one.PractitionerID) {
			ids = append(ids, one.PractitionerID)
		}
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

// noteEach writes down, before it is done, that a step is taken with each of some
// appointments.
func noteEach(tx *gorm.DB, scope *tenant.Scope, appointments []uuid.UUID, step models.AppointmentStep, to models.AppointmentStatus, reason *string) error {
	for few := range slices.Chunk(appointments, fewRows) {
		ids := make([]uuid.UUID, len(few))
		for i := range ids {
			ids[i] = models.NewID()
		}
		err := tx.Exec(`
			INSERT INTO appointment_steps (clinic_id, id, appointment_id, step, from_status, to_status, actor, reason)
			SELECT $1, d.id, a.id, $2, a.status, $3, $4, $5
			FROM unnest($6::uuid[], $7::uuid[]) AS d (id, appointment) JOIN appointments a ON a.clinic_id = $1 AND a.id = d.appointment`,
			scope.ClinicID, step, to, scope.Subject, reason, ids, few).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// take keeps what became of a series: the dates that were meant, as they were or as they
// were written.
func (s *Series) take(named uuid.UUID, all []*seriesDate, written []*models.Appointment) {
	s.Appointments = written
	for _, one := range all {
		if !slices.ContainsFunc(written, func(changed *models.Appointment) bool { return changed.ID == one.ID }) {
			s.Appointments = append(s.Appointments, &one.Appointment)
		}
	}
	inOrderOfDates(s.Appointments)
	for _, one := range s.Appointments {
		if one.ID == named {
			s.Appointment = one
		}
	}
}

// returned are an appointment's columns of a table that a statement names.
func returned(table string) string {
	return table + "." + strings.Join(everyColumnName(), ", "+table+".")
}
