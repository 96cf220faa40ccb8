package scheduling_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/recurrence"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// weekly is a visit that recurs each week.
func (o *office) weekly(start time.Time, count int) models.ScheduleAppointmentInput {
	visit := o.visit(start)
	visit.RecurrenceRule = new(fmt.Sprint("FREQ=WEEKLY;COUNT=", count))
	return visit
}

// A series is what each of its dates is by itself: its conflicts are the dates of which
// slotCheck says that they are not free, with the same obstacles.
func TestScheduleSeries_AsksEachDateAsSlotCheckDoes(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	zones := []struct{ name, from string }{
		{"America/Santiago", "2026-08-20T00:00:00-04:00"},
		{"Africa/Cairo", "2026-04-12T00:00:00+02:00"},
		{"Australia/Lord_Howe", "2026-09-20T00:00:00+10:30"},
	}
	whole, refused := 0, 0
	for round := range testkit.Longer(t, 6) {
		zone := zones[round%len(zones)]
		clinic := o.NewClinicIn(t, fmt.Sprint("random", round), zone.name)
		location, err := time.LoadLocation(zone.name)
		require.NoError(t, err)
		o.now = parse(t, zone.from)
		ctx := clinic.As(t.Context(), models.RoleReceptionist)
		for range 40 {
			start := o.now.Add(time.Duration(random.IntN(60*96)) * 15 * time.Minute)
			who := random.IntN(2)
			switch random.IntN(4) {
			case 0:
				o.Exec(t, "INSERT INTO time_off (clinic_id, id, practitioner_id, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5)",
					clinic.ID, models.NewID(), clinic.Practitioners[who], start, start.Add(time.Duration(1+random.IntN(30))*time.Hour))
			case 1: // it reaches into the next day
				o.Exec(t, `INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at, overbooked) VALUES ($1, $2, $3, $4, $5, $6, true)`,
					clinic.ID, models.NewID(), clinic.Contacts[random.IntN(2)], clinic.Practitioners[who], start, start.Add(23*time.Hour))
			default:
				o.Exec(t, `INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at, status, overbooked) VALUES ($1, $2, $3, $4, $5, $6, $7, true)`,
					clinic.ID, models.NewID(), clinic.Contacts[random.IntN(2)], clinic.Practitioners[who], start, start.Add(time.Hour), models.AllAppointmentStatus[random.IntN(7)])
			}
		}
		for range 12 {
			// In the zone's own offset: a time that the clocks skip is refused by itself.
			start := o.now.Add(time.Duration(24*4+random.IntN(14*96)) * 15 * time.Minute).In(location)
			input := models.ScheduleAppointmentInput{
				ContactID: models.KindContact.Global(clinic.Contacts[0]), PractitionerID: models.KindPractitioner.Global(clinic.Practitioners[0]),
				ServiceID: new(models.KindService.Global(clinic.Services[0])), StartsAt: start,
				RecurrenceRule: new([]string{"FREQ=WEEKLY;COUNT=6", "FREQ=DAILY;COUNT=20", "FREQ=DAILY;INTERVAL=3;COUNT=5", "FREQ=WEEKLY;COUNT=2"}[random.IntN(4)]),
			}
			if random.IntN(3) > 0 { // when somebody works
				local := input.StartsAt.In(location)
				input.StartsAt = time.Date(local.Year(), local.Month(), local.Day(), 9+random.IntN(3), 0, 0, 0, location)
			}
			rule, err := recurrence.Parse(*input.RecurrenceRule)
			require.NoError(t, err)
			instant := func(wall time.Time) time.Time { return recurrence.InZone(wall, location) }
			dates, err := rule.Times(recurrence.Wall(input.StartsAt, location), instant)
			require.NoError(t, err)
			wanted := []*models.SeriesConflict{}
			for _, date := range dates {
				check, err := o.diary.Check(ctx, availability.Asked{
					Practitioner: clinic.Practitioners[0], Service: clinic.Services[0], Contact: clinic.Contacts[0], StartsAt: instant(date),
				})
				require.NoError(t, err)
				if !check.Free {
					wanted = append(wanted, &models.SeriesConflict{StartsAt: instant(date).UTC(), Obstacles: check.Obstacles})
				}
			}
			series, err := o.diary.ScheduleSeries(ctx, input)
			if len(wanted) == 0 {
				whole++
				require.NoError(t, err, "seed %d, round %d: %s from %s", seed, round, *input.RecurrenceRule, input.StartsAt)
				require.Len(t, series.Appointments, len(dates))
				o.Exec(t, "DELETE FROM appointments WHERE series_id = $1", *series.Appointment.SeriesID)
				continue
			}
			refused++
			mistakesOf(t, err)
			for _, one := range series.Conflicts {
				one.StartsAt = one.StartsAt.UTC()
			}
			require.Equal(t, wanted, series.Conflicts, "seed %d, round %d: %s from %s", seed, round, *input.RecurrenceRule, input.StartsAt)
			require.Zero(t, o.Count(t, "SELECT count(*) FROM appointments WHERE series_id IS NOT NULL"))
		}
	}
	t.Logf("%d were booked, %d refused", whole, refused)
	require.Positive(t, whole)
	require.Positive(t, refused)
}

// The lock makes refusals kind; that a series is had whole or not at all, and overlaps
// nothing, is the constraint's doing.
func TestScheduleSeries_TheConstraintAloneHolds(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.diary.WithoutLock()
	ctx := o.as(t, models.RoleReceptionist)
	const desks = 12
	for round := range 8 {
		first := o.at(t, "08:00", 1+round%3).Add(time.Duration(round%6) * 30 * time.Minute)
		outcomes := make(chan error, desks)
		for n := range desks {
			// Every second one comes from the other end.
			input := o.weekly(first.AddDate(0, 0, 7*(n%2)), 10)
			go func() {
				series, err := o.diary.ScheduleSeries(ctx, input)
				if err == nil && len(series.Appointments) != 10 {
					err = errors.New("not whole")
				}
				outcomes <- err
			}()
		}
		winners := 0
		for range desks {
			var busy *models.Error
			if err := <-outcomes; err == nil {
				winners++
			} else if !errors.As(err, &busy) || busy.Code != models.Unavailable {
				require.NotEmpty(t, mistakesOf(t, err))
			}
		}
		require.LessOrEqual(t, winners, 1)
		require.Zero(t, o.doubleBookings(t))
		require.Zero(t, o.Count(t, "SELECT count(*) FROM (SELECT FROM appointments GROUP BY series_id HAVING count(*) <> 10) parts"))
		o.Exec(t, "DELETE FROM appointments")
	}
}

func TestScheduleSeries_NamesWhatTheConstraintRefused(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	id := models.NewID()
	commit := o.interfere(t, interferingAppointment,
		o.here.ID, id, o.here.Contacts[1], o.here.Practitioners[0], o.at(t, "09:00", 14), o.at(t, "09:30", 14))
	ctx, input := o.as(t, models.RoleReceptionist), o.weekly(o.at(t, "09:15"), 5)
	var series any
	err := o.waiting(t, commit, func() error {
		got, err := o.diary.ScheduleSeries(ctx, input)
		series = got.Conflicts
		return err
	})
	clash := refused(t, err, models.UserErrorCodeConflict, "recurrenceRule")
	require.Equal(t, []string{models.KindAppointment.Global(id)}, clash.EntityIds)
	conflicts, ok := series.([]*models.SeriesConflict)
	require.True(t, ok)
	require.Len(t, conflicts, 1)
	require.True(t, conflicts[0].StartsAt.Equal(o.at(t, "09:15", 14)))
	require.Equal(t, 1, o.Count(t, "SELECT count(*) FROM appointments"))

	// And of a series that moves, what came by meanwhile.
	booked, err := o.diary.ScheduleSeries(ctx, o.weekly(o.at(t, "10:00"), 3))
	require.NoError(t, err)
	commit = o.interfere(t, "UPDATE appointments SET starts_at = $2, ends_at = $3 WHERE id = $1", id, o.at(t, "11:00", 7), o.at(t, "11:30", 7))
	move := models.RescheduleAppointmentInput{ID: booked.Appointment.GetID(), StartsAt: o.at(t, "11:00"), WholeSeries: new(true)}
	err = o.waiting(t, commit, func() error {
		_, err := o.diary.RescheduleSeries(ctx, move)
		return err
	})
	clash = refused(t, err, models.UserErrorCodeConflict, "wholeSeries")
	require.Equal(t, []string{models.KindAppointment.Global(id)}, clash.EntityIds)
	require.Equal(t, 3, o.Count(t, "SELECT count(*) FROM appointments WHERE series_id IS NOT NULL AND extract(hour FROM starts_at AT TIME ZONE 'America/Sao_Paulo') = 10"))
}

// Of a series that somebody sends to another practitioner while somebody else does so
// with one of its dates, all ends with somebody.
func TestRescheduleSeries_FollowsDatesThatMoveMeanwhile(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	ctx := o.as(t, models.RoleOwner)
	booked, err := o.diary.ScheduleSeries(ctx, o.weekly(o.at(t, "09:00"), 4))
	require.NoError(t, err)
	commit := o.interfere(t, "UPDATE appointments SET practitioner_id = $2 WHERE id = $1", booked.Appointments[2].ID, o.here.Practitioners[1])
	taken := o.Appointment(t, o.here, 1, 1, o.at(t, "10:00", 14), 30*time.Minute)
	move := models.RescheduleAppointmentInput{ID: booked.Appointment.GetID(), StartsAt: o.at(t, "10:00"), WholeSeries: new(true)}
	err = o.waiting(t, commit, func() error {
		_, err := o.diary.RescheduleSeries(ctx, move)
		return err
	})
	require.Equal(t, []string{models.KindAppointment.Global(taken)}, refused(t, err, models.UserErrorCodeConflict, "wholeSeries").EntityIds)
	o.Exec(t, "DELETE FROM appointments WHERE id = $1", taken)
	moved, err := o.diary.RescheduleSeries(ctx, move)
	require.NoError(t, err)
	for i, one := range moved.Appointments {
		require.Equal(t, o.here.Practitioners[map[bool]int{true: 1}[i == 2]], one.PractitionerID)
	}

	outcomes := make(chan error)
	const movers = 16
	for n := range movers {
		to := models.RescheduleAppointmentInput{
			ID: booked.Appointments[n%4].GetID(), StartsAt: o.at(t, "10:00", 7*(n%4)), WholeSeries: new(true),
			PractitionerID: new(models.KindPractitioner.Global(o.here.Practitioners[n%2])),
		}
		go func() {
			_, err := o.diary.RescheduleSeries(ctx, to)
			outcomes <- err
		}()
	}
	for range movers {
		if err := <-outcomes; err != nil {
			refused(t, err, models.UserErrorCodeStale, "id")
		}
	}
	require.Equal(t, 1, o.Count(t, "SELECT count(DISTINCT practitioner_id) FROM appointments"))
	require.Zero(t, o.doubleBookings(t))
}
