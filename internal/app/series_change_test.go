package app_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// What is past or done stays where it is; what was moved by itself goes as far as the rest.
func TestSeries_WhatIsToComeMovesAndIsCancelled(t *testing.T) {
	t.Parallel()
	a := newAgenda(t, "America/Sao_Paulo", deskMonday)
	desk := a.as(models.RoleReceptionist)
	got := a.book(desk, a.asked(a.at("2026-11-24 09:00"), "FREQ=DAILY;BYDAY=TU,TH;COUNT=6"))
	days := a.clocks(got.Series, "01-02")
	require.Equal(t, []string{"11-24", "11-26", "12-01", "12-03", "12-08", "12-10"}, days)
	series := got.Appointment.SeriesID
	sync := a.changes()

	// One alone without it.
	one := a.do(desk, "rescheduleAppointment", "", map[string]any{"id": got.Series[3].ID, "startsAt": a.at("2026-12-03 14:00")})
	require.Empty(t, one.mistakes())
	assert.Empty(t, one.Series)
	assert.Equal(t, []string{"11-24 09:00", "11-26 09:00", "12-01 09:00", "12-03 14:00", "12-08 09:00", "12-10 09:00"}, a.clocks(a.found(series), "01-02 15:04"))
	cancelled := a.do(desk, "cancelAppointment", "", map[string]any{"id": got.Series[4].ID, "reason": "viaja"})
	require.Empty(t, cancelled.mistakes())
	assert.Empty(t, cancelled.Series)
	assert.ElementsMatch(t, []string{got.Series[3].ID, got.Series[4].ID}, sync())

	// A week later two are past: one was missed, the other never confirmed.
	a.clock.Store(a.at("2026-11-27 08:00").Unix())
	owner := a.as(models.RoleOwner)
	desk = a.as(models.RoleReceptionist)
	a.d.Exec(t, "UPDATE appointments SET status = 'faltou' WHERE starts_at = $1", got.Series[0].StartsAt)
	a.d.Exec(t, "UPDATE appointments SET status = 'confirmado' WHERE starts_at = $1", got.Series[2].StartsAt)
	sync()
	input := map[string]any{
		"id": got.Series[2].ID, "startsAt": a.at("2026-12-02 10:30"), "wholeSeries": true, "expectedVersion": 2,
		"practitionerId": models.KindPractitioner.Global(a.clinic.Practitioners[1]),
	}
	before := a.written()
	dry := a.do(desk, "rescheduleAppointment", "@dryRun", input)
	require.Empty(t, dry.mistakes())
	assert.Equal(t, []string{"12-02 10:30", "12-04 15:30", "12-11 10:30"}, a.clocks(dry.Series, "01-02 15:04"))
	input["expectedVersion"] = 1
	assert.Equal(t, []string{"STALE expectedVersion"}, a.do(desk, "rescheduleAppointment", "", input).mistakes())
	require.Equal(t, before, a.written())
	delete(input, "expectedVersion")
	moved := a.do(desk, "rescheduleAppointment", "", input)
	require.Empty(t, moved.mistakes())
	assert.Equal(t, a.clocks(dry.Series, "01-02 15:04"), a.clocks(moved.Series, "01-02 15:04"))
	for _, one := range moved.Series {
		assert.Equal(t, "SCHEDULED", one.Status, "to be confirmed anew")
		assert.Equal(t, input["practitionerId"], one.Practitioner.ID)
		assert.Equal(t, "RESCHEDULE", one.Steps[len(one.Steps)-1].Step)
	}
	assert.Equal(t, "CONFIRMED", moved.Series[0].Steps[0].From)
	assert.Equal(t, []string{"11-24 09:00 NO_SHOW", "11-26 09:00 SCHEDULED", "12-02 10:30 SCHEDULED", "12-04 15:30 SCHEDULED", "12-08 09:00 CANCELLED", "12-11 10:30 SCHEDULED"}, a.states(series))
	assert.ElementsMatch(t, idsOfVisits(moved.Series), sync())

	// A week on, each takes the time that another one leaves; the same once more does nothing.
	input = map[string]any{"id": got.Series[3].ID, "startsAt": a.at("2026-12-11 15:30"), "wholeSeries": true}
	moved = a.do(owner, "rescheduleAppointment", "", input)
	require.Empty(t, moved.mistakes())
	assert.Equal(t, []string{"12-09 10:30", "12-11 15:30", "12-18 10:30"}, a.clocks(moved.Series, "01-02 15:04"))
	before = a.written()
	again := a.do(owner, "rescheduleAppointment", "", input)
	require.Empty(t, again.mistakes())
	assert.Equal(t, moved.Series, again.Series)
	assert.Equal(t, before, a.written())

	// Longer ones, of which one gets in somebody's way.
	a.d.Appointment(t, a.clinic, 2, 1, a.at("2026-12-18 11:00"), 30*time.Minute)
	input["endsAt"] = a.at("2026-12-11 16:30")
	assert.Equal(t, []string{"CONFLICT wholeSeries"}, a.do(desk, "rescheduleAppointment", "", input).mistakes())

	// What has come too far, or is no series', is refused; nothing is written.
	before = a.written()
	for id, wrong := range map[string]string{
		got.Series[0].ID: "CONFLICT id", got.Series[4].ID: "CONFLICT id", models.KindAppointment.Global(models.NewID()): "NOT_FOUND id", "x": "INVALID id",
		models.KindAppointment.Global(a.d.Appointment(t, a.clinic, 2, 1, a.at("2026-12-21 11:00"), 30*time.Minute)): "INVALID wholeSeries",
	} {
		assert.Equal(t, []string{wrong}, a.do(desk, "rescheduleAppointment", "", map[string]any{"id": id, "startsAt": a.at("2026-12-11 16:30"), "wholeSeries": true}).mistakes())
		assert.Equal(t, []string{wrong}, a.do(desk, "cancelAppointment", "", map[string]any{"id": id, "wholeSeries": true}).mistakes())
	}
	assert.Equal(t, []string{"STALE expectedVersion"}, a.do(desk, "cancelAppointment", "", map[string]any{"id": got.Series[3].ID, "expectedVersion": 1, "wholeSeries": true}).mistakes())

	// All that is to come is called off.
	sync()
	off := map[string]any{"id": got.Series[3].ID, "reason": "mudou de cidade", "wholeSeries": true}
	assert.Len(t, a.do(desk, "cancelAppointment", "@dryRun", off).Series, 3)
	done := a.do(desk, "cancelAppointment", "", off)
	require.Empty(t, done.mistakes())
	assert.Equal(t, got.Series[3].ID, done.Appointment.ID)
	assert.Equal(t, "CANCELLED", done.Appointment.Status)
	require.Len(t, done.Series, 3)
	for _, one := range done.Series {
		last := one.Steps[len(one.Steps)-1]
		assert.Equal(t, []string{"CANCEL", "SCHEDULED", "CANCELLED", testkit.Subject("aurora", models.RoleReceptionist), "mudou de cidade"}, []string{last.Step, last.From, last.To, last.Actor, last.Reason})
	}
	assert.Equal(t, []string{"11-24 09:00 NO_SHOW", "11-26 09:00 SCHEDULED", "12-08 09:00 CANCELLED", "12-09 10:30 CANCELLED", "12-11 15:30 CANCELLED", "12-18 10:30 CANCELLED"}, a.states(series))
	assert.ElementsMatch(t, idsOfVisits(done.Series), sync())
	assert.NotEqual(t, before, a.written())
}

// states are a series' visits and what became of them, as the other server tells.
func (a *agenda) states(series string) (all []string) {
	for _, one := range a.found(series) {
		all = append(all, one.StartsAt.In(a.zone).Format("01-02 15:04 ")+one.Status)
	}
	return all
}

func idsOfVisits(visits []visit) (ids []string) {
	for _, one := range visits {
		ids = append(ids, one.ID)
	}
	return ids
}

// changes gives, each time that it is called, which appointments have changed since the
// time before, by calendarChanges.
func (a *agenda) changes() func() []string {
	token := any(nil)
	next := func() (ids []string) {
		a.t.Helper()
		var answer struct {
			CalendarChanges struct {
				Changed   []struct{ ID string }
				SyncToken string
				HasMore   bool
			}
		}
		a.as(models.RoleReceptionist).Must(a.t, "query ($t: String) { calendarChanges(syncToken: $t, first: 100) { changed { id } syncToken hasMore } }", map[string]any{"t": token}, &answer)
		require.False(a.t, answer.CalendarChanges.HasMore)
		token = answer.CalendarChanges.SyncToken
		for _, one := range answer.CalendarChanges.Changed {
			ids = append(ids, one.ID)
		}
		return ids
	}
	next()
	return next
}

// Two desks want the same mornings, each for a series of its own: one has all of them,
// the other is told of each, and no two visits overlap.
func TestSeries_OneOfTwoThatRaceHasAllOfIt(t *testing.T) {
	t.Parallel()
	a := newAgenda(t, "America/Sao_Paulo", deskMonday)
	for round := range testkit.Longer(t, 10) {
		first := a.at("2026-11-24 08:00").AddDate(0, 0, round%3).Add(time.Duration(round/3%8) * 30 * time.Minute)
		rules := []string{"FREQ=WEEKLY;COUNT=20", "FREQ=WEEKLY;COUNT=25"}
		outcomes := make([]outcome, 4)
		done := make(chan struct{})
		for n := range outcomes {
			client := []*api.Server{a.server, a.other}[n%2].As(t, a.clinic, models.RoleReceptionist)
			input := a.asked(first, rules[n%2])
			input["contactId"] = models.KindContact.Global(a.clinic.Contacts[n%3])
			go func() {
				outcomes[n] = a.do(client, "scheduleAppointment", "", input)
				done <- struct{}{}
			}()
		}
		for range outcomes {
			<-done
		}
		won := 0
		for n, one := range outcomes {
			if len(one.mistakes()) == 0 {
				won++
				require.Len(t, one.Series, 20+5*(n%2))
				continue
			}
			require.Empty(t, one.Series)
			require.GreaterOrEqual(t, len(one.Conflicts), 20, "each date is told")
			for i, conflict := range one.Conflicts {
				require.Equal(t, first.AddDate(0, 0, 7*i).UTC(), conflict.StartsAt.UTC())
				require.Equal(t, "APPOINTMENT", conflict.Obstacles[0].Kind)
			}
		}
		require.Equal(t, 1, won)
		require.Zero(t, a.overlaps())
		a.d.Exec(t, "UPDATE appointments SET status = 'cancelado'")
	}
}
