package scheduling

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/recurrence"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// fewRows is how many rows a statement writes of which the caches are told one by one
// (cache_announce in migrations/00002_announcements.sql); of more, the clinic's whole
// cache falls.
const fewRows = 100

// Series is what became of a series of appointments.
type Series struct {
	// Appointment is the one that was named or, of a new series, the first.
	Appointment *models.Appointment
	// Appointments are all that were meant, in the order of their dates; empty where
	// nothing was done.
	Appointments []*models.Appointment
	// Conflicts are the dates that cannot be had, and Alternatives free slots near to the
	// time that was asked for.
	Conflicts    []*models.SeriesConflict
	Alternatives []*models.Slot
}

// date is one of a series, as it is asked for.
type date struct {
	id           uuid.UUID
	practitioner uuid.UUID
	// local is what the clinic's clocks show when it begins or, where they skip that,
	// would have shown; as if it were UTC.
	local time.Time
	span  availability.Span
	// over is set where it goes over what takes the practitioner's time.
	over bool
	// field is where a refusal of this date is told.
	field string
}

// dates are times that are asked for together: all of them are had, or none.
type dates struct {
	// proposal is what they have in common; its span is the date that was named.
	*proposal

	all []*date
	// services are those that are asked about; uuid.Nil for none.
	services map[*date]uuid.UUID
	// moving are the appointments that are to move: none is in the way of another.
	moving map[uuid.UUID]bool
}

// ScheduleSeries books all dates of the input's rule, or none. Mistakes of the input
// come as models.Invalid, with each date that cannot be had among them and, together
// with what stands in its way, in the series' conflicts; nothing was written then.
func (d *Diary) ScheduleSeries(ctx context.Context, input models.ScheduleAppointmentInput) (*Series, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	series, asked := &Series{}, &dates{proposal: &proposal{}}
	err = d.db.InTenant(ctx, func(tx *gorm.DB) error {
		request := newScheduleRequest(scope, input)
		asked, *series = &dates{proposal: &request.proposal}, Series{}
		return d.scheduleSeries(tx, scope, request, *input.RecurrenceRule, asked, series)
	})
	return d.seriesOutcome(ctx, series, asked, err)
}

// seriesOutcome is what a change of a series gives: the appointments, or the refusal,
// the dates that are in the way and what is free instead.
func (d *Diary) seriesOutcome(ctx context.Context, series *Series, asked *dates, err error) (*Series, error) {
	if err = d.explainDates(ctx, err, asked, series); err == nil {
		return series, nil
	}
	series.Appointment, series.Appointments = nil, nil
	_, instead, err := d.outcome(ctx, nil, asked.proposal, err)
	series.Alternatives = instead
	return series, err
}

func (d *Diary) scheduleSeries(tx *gorm.DB, scope *tenant.Scope, r *scheduleRequest, text string, asked *dates, series *Series) error {
	rule, err := recurrence.Parse(text)
	if err != nil {
		r.in.Add(models.UserErrorCodeInvalid, fieldRecurrenceRule, err.Error())
	}
	if err := d.check(tx, scope, r); err != nil {
		return err
	}
	if r.in.Err() == nil {
		asked.recur(&r.in, rule)
		checkTogether(&r.in, asked.all, fieldRecurrenceRule, r.zone)
	}
	if err := r.redeemed(tx, scope); err != nil {
		return err
	}
	if r.in.Err() == nil {
		if series.Conflicts, err = d.checkDates(tx, &r.in, scope, asked); err != nil {
			return err
		}
	}
	if err := r.refused(); err != nil {
		return err
	}
	id := models.NewID()
	for few := range slices.Chunk(asked.all, fewRows) {
		booked, err := insertDates(tx, scope, r, rule, id, few)
		if err != nil {
			return err
		}
		series.Appointments = append(series.Appointments, booked...)
		// It is the first date's.
		r.reference = nil
	}
	series.Appointment = series.Appointments[0]
	return nil
}

// recur lays out the dates of a rule that begins at the time asked for.
func (d *dates) recur(in *validate.Input, rule *recurrence.Rule) {
	instant := func(wall time.Time) time.Time { return recurrence.InZone(wall, d.zone) }
	times, err := rule.Times(recurrence.Wall(d.span.From, d.zone), instant)
	if err != nil {
		in.Add(models.UserErrorCodeInvalid, fieldRecurrenceRule, err.Error())
		return
	}
	length := d.span.To.Sub(d.span.From)
	for i, local := range times {
		one := &date{id: models.NewID(), practitioner: d.practitioner, local: local, field: fieldRecurrenceRule}
		one.span.From = instant(local)
		if i == 0 {
			// Of a time that the clocks show twice, the one that was asked for.
			one.span.From, one.field = d.span.From, fieldStartsAt
		}
		one.span.To = one.span.From.Add(length)
		d.all = append(d.all, one)
	}
}

// checkTogether refuses dates, which are in order, that share time: the rule, or the
// move, would have its own dates in the way.
func checkTogether(in *validate.Input, all []*date, field string, zone *time.Location) {
	for i := 1; i < len(all); i++ {
		if all[i-1].span.Overlaps(all[i].span) {
			in.Add(models.UserErrorCodeInvalid, field, fmt.Sprintf("two dates of the series would overlap: those of %s and %s",
				all[i-1].words(zone), all[i].words(zone)))
			return
		}
	}
}

func (d *date) words(zone *time.Location) string {
	return d.span.From.In(zone).Format("2006-01-02 at 15:04")
}

// checkDates refuses the dates that anything stands in the way of which the proposal
// does not go over, each of them by its day, and gives them. Practitioners and the
// contact must be locked.
func (d *Diary) checkDates(tx *gorm.DB, in *validate.Input, scope *tenant.Scope, asked *dates) ([]*models.SeriesConflict, error) {
	latest := availability.Latest(d.now())
	if last := asked.all[len(asked.all)-1]; last.span.From.After(latest) {
		in.Add(models.UserErrorCodeInvalid, last.field, "the series goes on until "+last.words(asked.zone)+": that is more than two years ahead")
		return nil, nil
	}
	obstacles, err := d.obstacles(tx.Statement.Context, d.In(tx), scope, asked)
	if err != nil {
		return nil, err
	}
	conflicts := []*models.SeriesConflict{}
	told := map[string]bool{}
	for i, one := range asked.all {
		one.over = false
		left := asked.refusals(obstacles[i], &one.over)
		if len(left) == 0 {
			continue
		}
		conflicts = append(conflicts, &models.SeriesConflict{StartsAt: one.span.From, Obstacles: left})
		for _, o := range left {
			switch field := fieldOf(o.Kind); {
			case field != fieldStartsAt:
				// The same for every date.
				if !told[field+o.Message] {
					told[field+o.Message] = true
					in.Add(codeOf(o.Kind), field, o.Message, o.EntityIds...)
				}
			// Whoever needs another time anyway will look for one on the grid.
			case o.Kind != models.SlotObstacleKindOffGrid || len(left) == 1:
				in.Add(codeOf(o.Kind), one.field, one.words(asked.zone)+": "+o.Message, o.EntityIds...)
			}
		}
	}
	return conflicts, nil
}

// obstacles are what stands in the way of each date. The facts are read once for all
// dates, or once for each service that is asked about.
func (d *Diary) obstacles(ctx context.Context, book *availability.Book, scope *tenant.Scope, asked *dates) ([][]*models.SlotObstacle, error) {
	found := make([][]*models.SlotObstacle, len(asked.all))
	serviceOf := func(one *date) uuid.UUID {
		if asked.services == nil {
			return asked.service
		}
		return asked.services[one]
	}
	known := map[uuid.UUID]*availability.Facts{}
	for _, one := range asked.all {
		known[serviceOf(one)] = nil
	}
	for service := range known {
		var times []availability.Span
		var whose []uuid.UUID
		for _, one := range asked.all {
			if serviceOf(one) != service {
				continue
			}
			times = append(times, one.span)
			if !slices.Contains(whose, one.practitioner) {
				whose = append(whose, one.practitioner)
			}
		}
		facts, err := book.AskEach(ctx, whose, service, asked.contact, times)
		if err != nil {
			return nil, err
		}
		facts.LeaveOut(asked.moving)
		known[service] = facts
	}
	now := d.now()
	for i, one := range asked.all {
		found[i] = known[serviceOf(one)].Obstacles(scope, availability.Question{Practitioner: one.practitioner, Span: one.span, Hold: asked.hold}, now)
	}
	return found, nil
}

// explainDates is explain for dates: it names each of which Postgres knew better.
func (d *Diary) explainDates(ctx context.Context, refused error, asked *dates, series *Series) error {
	constraint, violated := database.Violation(refused)
	if !violated || (constraint != constraintDoubleBooking && constraint != constraintHolds) {
		return d.explain(ctx, refused, asked.proposal)
	}
	scope, err := tenant.From(ctx)
	if err != nil {
		return err
	}
	obstacles, err := d.obstacles(ctx, d.Book, scope, asked)
	if err != nil {
		return err
	}
	var in validate.Input
	for i, one := range asked.all {
		left := slices.DeleteFunc(obstacles[i], func(o *models.SlotObstacle) bool {
			return o.Kind != models.SlotObstacleKindAppointment && o.Kind != models.SlotObstacleKindHold
		})
		if len(left) == 0 {
			continue
		}
		series.Conflicts = append(series.Conflicts, &models.SeriesConflict{StartsAt: one.span.From, Obstacles: left})
		for _, o := range left {
			in.Add(codeOf(o.Kind), one.field, one.words(asked.zone)+": "+o.Message, o.EntityIds...)
		}
	}
	if in.Err() == nil {
		// What was in the way has gone meanwhile.
		in.Add(models.UserErrorCodeConflict, fieldStartsAt, "one of these times was taken a moment ago: try again")
	}
	return in.Err()
}

// insertDates books dates of a series in one statement; the input's reference is that
// of the first of them.
func insertDates(tx *gorm.DB, scope *tenant.Scope, r *scheduleRequest, rule *recurrence.Rule, series uuid.UUID, all []*date) ([]*models.Appointment, error) {
	columns := columnsOf(all)
	references := make([]*string, len(all))
	references[0] = r.reference
	var service *uuid.UUID
	if r.service != uuid.Nil {
		service = &r.service
	}
	var booked []*models.Appointment
	err := tx.Raw(`
		INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, service_id, starts_at, ends_at, status, notes,
		  recurrence_rule, series_id, recurrence_local, overbooked, external_reference)
		SELECT $1, d.id, $2, $3, $4, d.starts_at, d.ends_at, $5, $6, $7, $8, d.local, d.overbooked, d.reference
		FROM unnest($9::uuid[], $10::timestamptz[], $11::timestamptz[], $12::timestamp[], $13::boolean[], $14::text[])
		  AS d (id, starts_at, ends_at, local, overbooked, reference)
		RETURNING `+returned("appointments"),
		scope.ClinicID, r.contact, r.practitioner, service, models.AppointmentStatusScheduled, r.notes, rule.String(), series,
		columns.ids, columns.begins, columns.ends, columns.local, columns.over, references).Find(&booked).Error
	inOrderOfDates(booked)
	return booked, err
}

// dateColumns are dates column by column, as a statement takes them.
type dateColumns struct {
	ids, practitioners  []uuid.UUID
	begins, ends, local []time.Time
	over                []bool
}

func columnsOf(all []*date) (c dateColumns) {
	for _, one := range all {
		c.ids, c.practitioners = append(c.ids, one.id), append(c.practitioners, one.practitioner)
		c.begins, c.ends, c.local = append(c.begins, one.span.From), append(c.ends, one.span.To), append(c.local, one.local)
		c.over = append(c.over, one.over)
	}
	return c
}

func inOrderOfDates(all []*models.Appointment) {
	slices.SortFunc(all, func(a, b *models.Appointment) int { return a.StartsAt.Compare(b.StartsAt) })
}
