package app_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// visit is an appointment of a series as clients see it.
type visit struct {
	ID, Status, SeriesID, RecurrenceRule string
	StartsAt, EndsAt                     time.Time
	Overbooked                           bool
	Version                              int
	Practitioner                         struct{ ID string }
	Steps                                []struct{ Step, From, To, Actor, Reason string }
}

const visitFields = "id status seriesId recurrenceRule startsAt endsAt overbooked version practitioner { id } steps { step from to actor reason }"

// outcome is the payload of a mutation of a series.
type outcome struct {
	Appointment *visit
	Series      []visit
	Conflicts   []struct {
		StartsAt  time.Time
		Obstacles []struct {
			Kind        string
			EntityIDs   []string
			Overridable bool
		}
	}
	Alternatives []struct{ StartsAt time.Time }
	UserErrors   []mistake
}

func (a outcome) mistakes() (all []string) {
	for _, one := range a.UserErrors {
		all = append(all, one.String())
	}
	return all
}

// agenda is a clinic in a zone of its own, with a clock that the test moves, on two
// servers that share a cache.
type agenda struct {
	t             *testing.T
	d             *testkit.Database
	clinic        *testkit.Clinic
	zone          *time.Location
	clock         *atomic.Int64
	server, other *api.Server
}

func newAgenda(t *testing.T, zone string, now time.Time) *agenda {
	t.Helper()
	a := &agenda{t: t, d: testkit.NewDatabase(t), clock: &atomic.Int64{}}
	a.clinic = a.d.NewClinicIn(t, "aurora", zone)
	var err error
	a.zone, err = time.LoadLocation(zone)
	require.NoError(t, err)
	a.clock.Store(now.Unix())
	clock := api.Clock(func() time.Time { return time.Unix(a.clock.Load(), 0) })
	a.server, a.other = api.NewServer(t, a.d, clock, api.WithRedis(a.d)), api.NewServer(t, a.d, clock, api.WithRedis(a.d))
	return a
}

func (a *agenda) as(role models.Role) *api.Client { return a.server.As(a.t, a.clinic, role) }

// at is a time of the clinic's wall clock.
func (a *agenda) at(text string) time.Time {
	a.t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", text, a.zone)
	require.NoError(a.t, err)
	return at
}

// asked is a visit of half an hour that recurs, and what else is said of it.
func (a *agenda) asked(start time.Time, rule string, more ...any) map[string]any {
	input := map[string]any{
		"contactId": models.KindContact.Global(a.clinic.Contacts[0]), "practitionerId": models.KindPractitioner.Global(a.clinic.Practitioners[0]),
		"serviceId": models.KindService.Global(a.clinic.Services[0]), "startsAt": start, "recurrenceRule": rule,
	}
	for i := 0; i < len(more); i += 2 {
		input[fmt.Sprint(more[i])] = more[i+1]
	}
	return input
}

// do runs a mutation of a series.
func (a *agenda) do(client *api.Client, mutation, directive string, input map[string]any) (got outcome) {
	a.t.Helper()
	more := " conflicts { startsAt obstacles { kind entityIds overridable } } alternatives { startsAt }"
	if mutation == "cancelAppointment" {
		more = ""
	}
	var answer struct{ Got outcome }
	client.Must(a.t, fmt.Sprintf("mutation ($input: %s%sInput!) { got: %s(input: $input) %s { appointment { %s } series { %s }%s userErrors { code field message entityIds } } }",
		strings.ToUpper(mutation[:1]), mutation[1:], mutation, directive, visitFields, visitFields, more), map[string]any{"input": input}, &answer)
	return answer.Got
}

func (a *agenda) book(client *api.Client, input map[string]any) outcome {
	a.t.Helper()
	got := a.do(client, "scheduleAppointment", "", input)
	require.Empty(a.t, got.mistakes())
	require.NotNil(a.t, got.Appointment)
	require.NotEmpty(a.t, got.Series)
	return got
}

// found are a series' appointments, asked for by its id at the other server.
func (a *agenda) found(series string) []visit {
	a.t.Helper()
	var answer struct {
		Appointments struct {
			TotalCount int
			Nodes      []visit
		}
	}
	a.other.As(a.t, a.clinic, models.RoleReceptionist).Must(a.t, "query ($s: ID!) { appointments(filter: {seriesId: $s}, first: 100) { totalCount nodes { "+visitFields+" } } }",
		map[string]any{"s": series}, &answer)
	require.Len(a.t, answer.Appointments.Nodes, answer.Appointments.TotalCount)
	return answer.Appointments.Nodes
}

// clocks are the times of visits on the clinic's wall clock.
func (a *agenda) clocks(visits []visit, layout string) (all []string) {
	for _, one := range visits {
		all = append(all, one.StartsAt.In(a.zone).Format(layout))
	}
	return all
}

// overlaps counts pairs of live appointments of one practitioner that share time.
func (a *agenda) overlaps() int {
	return a.d.Count(a.t, `SELECT count(*) FROM appointments a JOIN appointments b ON a.clinic_id = b.clinic_id AND a.practitioner_id = b.practitioner_id AND a.id < b.id
		WHERE a.starts_at < b.ends_at AND b.starts_at < a.ends_at AND a.status NOT IN ('cancelado', 'faltou') AND b.status NOT IN ('cancelado', 'faltou')
		AND NOT a.overbooked AND NOT b.overbooked`)
}

// written changes with every change of the diary.
func (a *agenda) written() int {
	return a.d.Count(a.t, "SELECT coalesce(sum(hashtext(a::text)), 0)::bigint FROM appointments a") + a.d.Count(a.t, "SELECT count(*) FROM appointment_steps")
}

// A year of Mondays lies over both changes of the clocks, and each visit is at nine.
func TestSeries_AYearOfWeeksStaysAtItsLocalTime(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"America/Santiago", "Africa/Cairo"} {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			a := newAgenda(t, zone, time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC))
			desk := a.as(models.RoleReceptionist)
			got := a.book(desk, a.asked(a.at("2026-03-09 09:00"), "rrule:freq=weekly;count=52", "externalReference", "first", "notes", "fisio"))
			require.Len(t, got.Series, 52)
			assert.Equal(t, got.Series[0], *got.Appointment)
			assert.Equal(t, a.clocks(got.Series, "15:04 Mon"), slicesOf(52, "09:00 Mon"))
			offsets := map[string]int{}
			for i, one := range got.Series {
				offsets[one.StartsAt.In(a.zone).Format("-07")]++
				assert.Equal(t, 30*time.Minute, one.EndsAt.Sub(one.StartsAt))
				assert.Equal(t, got.Appointment.SeriesID, one.SeriesID)
				assert.Equal(t, "FREQ=WEEKLY;COUNT=52", one.RecurrenceRule)
				if i > 0 {
					assert.Equal(t, got.Series[i-1].StartsAt.In(a.zone).AddDate(0, 0, 7), one.StartsAt.In(a.zone))
				}
			}
			assert.Len(t, offsets, 2, "the clocks change between them: %v", offsets)
			assert.True(t, strings.HasPrefix(got.Appointment.SeriesID, "series_"))
			assert.Equal(t, got.Series, a.found(got.Appointment.SeriesID))
			assert.Equal(t, 1, a.d.Count(t, "SELECT count(*) FROM appointments WHERE external_reference = 'first' AND starts_at = $1", got.Appointment.StartsAt))
			assert.Equal(t, 52, a.d.Count(t, "SELECT count(*) FROM appointments WHERE notes = 'fisio'"))

			// Others do not see that there is such a series.
			other := a.d.NewClinic(t, "horizonte")
			var none struct{ Appointments struct{ TotalCount int } }
			a.server.As(t, other, models.RoleOwner).Must(t, "query ($s: ID!) { appointments(filter: {seriesId: $s}) { totalCount } }", map[string]any{"s": got.Appointment.SeriesID}, &none)
			assert.Zero(t, none.Appointments.TotalCount)

			// The whole series goes to half past two on the next day; each stays there.
			moved := a.do(desk, "rescheduleAppointment", "", map[string]any{"id": got.Series[3].ID, "startsAt": a.at("2026-03-31 14:30"), "wholeSeries": true})
			require.Empty(t, moved.mistakes())
			assert.Equal(t, a.clocks(moved.Series, "15:04 Mon"), slicesOf(52, "14:30 Tue"))
			assert.Equal(t, got.Series[3].ID, moved.Appointment.ID)
			assert.Equal(t, moved.Series, a.found(got.Appointment.SeriesID), "at once, at the other server")
			for _, one := range moved.Series {
				require.Len(t, one.Steps, 1)
				assert.Equal(t, testkit.Subject("aurora", models.RoleReceptionist), one.Steps[0].Actor)
				assert.Equal(t, "RESCHEDULE", one.Steps[0].Step)
			}
		})
	}
}

func slicesOf(count int, text string) (all []string) {
	for range count {
		all = append(all, text)
	}
	return all
}

// What the clocks skip is at the same moment of the day again as soon as they do not,
// also after the series has moved.
func TestSeries_ATimeThatTheClocksSkipComesBack(t *testing.T) {
	t.Parallel()
	a := newAgenda(t, "America/Santiago", time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC))
	owner := a.as(models.RoleOwner)
	// In the night to 6 September Santiago's clocks go from 00:00 to 01:00.
	got := a.book(owner, a.asked(a.at("2026-09-04 00:30"), "FREQ=DAILY;COUNT=4", "allowOutsideHours", true))
	assert.Equal(t, []string{"04 00:30", "05 00:30", "06 01:30", "07 00:30"}, a.clocks(got.Series, "02 15:04"))
	moved := a.do(owner, "rescheduleAppointment", "", map[string]any{
		"id": got.Series[0].ID, "startsAt": a.at("2026-09-04 02:00"), "wholeSeries": true, "allowOutsideHours": true,
	})
	require.Empty(t, moved.mistakes())
	assert.Equal(t, []string{"04 02:00", "05 02:00", "06 02:00", "07 02:00"}, a.clocks(moved.Series, "02 15:04"))
	moved = a.do(owner, "rescheduleAppointment", "", map[string]any{
		"id": got.Series[2].ID, "startsAt": a.at("2026-09-07 00:15"), "wholeSeries": true, "allowOutsideHours": true,
	})
	require.Empty(t, moved.mistakes())
	assert.Equal(t, []string{"05 00:15", "06 01:15", "07 00:15", "08 00:15"}, a.clocks(moved.Series, "02 15:04"))
}

func TestSeries_IsRefusedWholeWithEveryConflict(t *testing.T) {
	t.Parallel()
	a := newAgenda(t, "America/Santiago", time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC))
	desk := a.as(models.RoleReceptionist)
	taken := a.d.Appointment(t, a.clinic, 1, 0, a.at("2026-03-16 09:15"), 30*time.Minute)
	elsewhere := a.d.Appointment(t, a.clinic, 0, 1, a.at("2026-08-10 08:45"), 30*time.Minute)
	off, hold := models.NewID(), models.NewID()
	a.d.Exec(t, "INSERT INTO time_off (clinic_id, id, starts_at, ends_at) VALUES ($1, $2, $3, $4)", a.clinic.ID, off, a.at("2026-09-07 00:00"), a.at("2026-09-15 00:00"))
	a.d.Exec(t, `INSERT INTO slot_holds (clinic_id, id, practitioner_id, subject, starts_at, ends_at, expires_at)
		VALUES ($1, $2, $3, 'x', $4, $5, clock_timestamp() + interval '9 minutes')`, a.clinic.ID, hold, a.clinic.Practitioners[0], a.at("2027-02-01 09:00"), a.at("2027-02-01 09:30"))
	before := a.written()

	input := a.asked(a.at("2026-03-09 09:00"), "FREQ=WEEKLY;COUNT=52")
	for _, directive := range []string{"", "@dryRun"} {
		got := a.do(desk, "scheduleAppointment", directive, input)
		assert.Nil(t, got.Appointment)
		assert.Empty(t, got.Series)
		assert.Empty(t, got.Alternatives, "the first date can be had")
		assert.Equal(t, []string{
			"CONFLICT recurrenceRule", "CONFLICT recurrenceRule", "OUT_OF_HOURS recurrenceRule", "OUT_OF_HOURS recurrenceRule", "CONFLICT recurrenceRule",
		}, got.mistakes())
		assert.Equal(t, "2026-03-16 at 09:00: this time is taken", got.UserErrors[0].Message)
		want := []struct{ at, kind, entity string }{
			{"2026-03-16", "APPOINTMENT", models.KindAppointment.Global(taken)},
			{"2026-08-10", "CONTACT_BUSY", models.KindAppointment.Global(elsewhere)},
			{"2026-09-07", "CLINIC_CLOSED", models.KindTimeOff.Global(off)},
			{"2026-09-14", "CLINIC_CLOSED", models.KindTimeOff.Global(off)},
			{"2027-02-01", "HOLD", models.KindSlotHold.Global(hold)},
		}
		require.Len(t, got.Conflicts, len(want))
		for i, one := range want {
			assert.Equal(t, one.at+" 09:00", got.Conflicts[i].StartsAt.In(a.zone).Format("2006-01-02 15:04"))
			require.Len(t, got.Conflicts[i].Obstacles, 1)
			assert.Equal(t, one.kind, got.Conflicts[i].Obstacles[0].Kind)
			assert.Equal(t, []string{one.entity}, got.Conflicts[i].Obstacles[0].EntityIDs)
			assert.Equal(t, []string{one.entity}, got.UserErrors[i].EntityIDs)
		}
	}
	// Where the first is refused it says what is free instead.
	input["startsAt"] = a.at("2026-03-16 09:00")
	got := a.do(desk, "scheduleAppointment", "", input)
	assert.Equal(t, "CONFLICT startsAt", got.mistakes()[0])
	assert.Len(t, got.Alternatives, 5)

	// Another practitioner who does not offer it is one mistake, not 52.
	a.d.Exec(t, "DELETE FROM practitioner_services WHERE practitioner_id = $1", a.clinic.Practitioners[1])
	input["practitionerId"], input["contactId"] = models.KindPractitioner.Global(a.clinic.Practitioners[1]), models.KindContact.Global(a.clinic.Contacts[2])
	got = a.do(desk, "scheduleAppointment", "", input)
	assert.Contains(t, got.mistakes(), "CONFLICT serviceId")
	assert.Len(t, got.Conflicts, 52)
	assert.Less(t, len(got.UserErrors), 6)
	assert.Equal(t, before, a.written(), "nothing was written")
}

func TestSeries_RulesAreRefusedByName(t *testing.T) {
	t.Parallel()
	a := newAgenda(t, "America/Sao_Paulo", deskMonday)
	owner := a.as(models.RoleOwner)
	start := deskMonday.Add(time.Hour)
	for rule, says := range map[string]string{
		"": "FREQ=WEEKLY", "FREQ=WEEKLY": "either by COUNT", "FREQ=HOURLY;COUNT=3": "FREQ=HOURLY is not supported", "FREQ=DAILY;COUNT=3;BYHOUR=9": "BYHOUR is not supported",
		"FREQ=YEARLY;BYMONTH=11;COUNT=2": "BYMONTH is not supported", "FREQ=DAILY;COUNT=201": "1 to 200", "FREQ=DAILY;UNTIL=20280101": "more than 200 dates",
		"FREQ=WEEKLY;INTERVAL=2;UNTIL=20301231": "more than 2 years", "FREQ=WEEKLY;COUNT=3;BYDAY=TU": "the first one is 2026-11-24", "FREQ=YEARLY;COUNT=3;INTERVAL=1": "more than two years ahead",
	} {
		got := a.do(owner, "scheduleAppointment", "", a.asked(start, rule))
		require.Equal(t, []string{"INVALID recurrenceRule"}, got.mistakes(), rule)
		assert.Contains(t, got.UserErrors[0].Message, says, rule)
	}
	// Its own dates would be in its way.
	require.Zero(t, a.d.Count(t, "SELECT count(*) FROM appointments"))
	long := a.asked(start, "FREQ=DAILY;COUNT=3", "endsAt", start.Add(24*time.Hour), "allowOutsideHours", true, "overbook", true)
	a.book(owner, long)
	before := a.written()
	// In the night to 14 March New York's clocks are put forward: that day has 23 hours.
	ny := newAgenda(t, "America/New_York", time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC))
	night := ny.at("2027-03-12 12:00")
	got := ny.do(ny.as(models.RoleOwner), "scheduleAppointment", "", ny.asked(night, "FREQ=DAILY;COUNT=3", "endsAt", night.Add(24*time.Hour), "allowOutsideHours", true, "overbook", true))
	require.Equal(t, []string{"INVALID recurrenceRule"}, got.mistakes())
	assert.Contains(t, got.UserErrors[0].Message, "2027-03-13 at 12:00 and 2027-03-14 at 12:00")
	// Every mistake at once, in the order of the input.
	got = a.do(a.as(models.RoleReceptionist), "scheduleAppointment", "", a.asked(start, "x", "contactId", "x", "overbook", true, "holdId", models.KindSlotHold.Global(models.NewID())))
	assert.Equal(t, []string{"INVALID contactId", "INVALID recurrenceRule", "FORBIDDEN overbook"}, got.mistakes())
	assert.Equal(t, before, a.written())
}

// Whoever may not overbook or book out of hours does not by a series either; who may does
// so on the dates that need it, and is marked there alone.
func TestSeries_GoesBeyondTheRulesByRightAlone(t *testing.T) {
	t.Parallel()
	a := newAgenda(t, "America/Sao_Paulo", deskMonday)
	desk, owner := a.as(models.RoleReceptionist), a.as(models.RolePractitioner)
	a.d.Appointment(t, a.clinic, 1, 0, a.at("2026-12-01 09:00"), 30*time.Minute)
	input := a.asked(a.at("2026-11-24 09:00"), "FREQ=WEEKLY;COUNT=3", "overbook", true)
	assert.Equal(t, []string{"FORBIDDEN overbook"}, a.do(desk, "scheduleAppointment", "", input).mistakes())
	got := a.book(owner, input)
	assert.Equal(t, []bool{false, true, false}, []bool{got.Series[0].Overbooked, got.Series[1].Overbooked, got.Series[2].Overbooked})

	// The desk moves it to where it is free, and nothing is overbooked; back it may not.
	move := map[string]any{"id": got.Series[0].ID, "startsAt": a.at("2026-11-24 10:00"), "wholeSeries": true}
	moved := a.do(desk, "rescheduleAppointment", "", move)
	require.Empty(t, moved.mistakes())
	assert.False(t, moved.Series[1].Overbooked)
	move["startsAt"] = a.at("2026-11-24 09:00")
	back := a.do(desk, "rescheduleAppointment", "", move)
	assert.Equal(t, []string{"CONFLICT wholeSeries"}, back.mistakes())
	require.Len(t, back.Conflicts, 1)
	assert.Equal(t, a.at("2026-12-01 09:00").UTC(), back.Conflicts[0].StartsAt.UTC())
	assert.False(t, back.Conflicts[0].Obstacles[0].Overridable)
	move["overbook"] = true
	assert.Equal(t, []string{"FORBIDDEN overbook"}, a.do(desk, "rescheduleAppointment", "", move).mistakes())
	back = a.do(owner, "rescheduleAppointment", "", move)
	require.Empty(t, back.mistakes())
	assert.True(t, back.Series[1].Overbooked)

	late := a.asked(a.at("2026-11-25 20:00"), "FREQ=DAILY;COUNT=2", "allowOutsideHours", true)
	assert.Equal(t, []string{"FORBIDDEN allowOutsideHours"}, a.do(desk, "scheduleAppointment", "", late).mistakes())
	delete(late, "allowOutsideHours")
	assert.Equal(t, []string{"OUT_OF_HOURS startsAt", "OUT_OF_HOURS recurrenceRule"}, a.do(owner, "scheduleAppointment", "", late).mistakes())
	late["allowOutsideHours"] = true
	a.book(owner, late)

	// Who reads the money's side books nothing at all.
	response := a.as(models.RoleFinance).Do(t, "mutation ($input: ScheduleAppointmentInput!) { scheduleAppointment(input: $input) { appointment { id } } }", map[string]any{"input": input})
	require.NotEmpty(t, response.Errors)
	assert.Equal(t, "FORBIDDEN", response.Errors[0].Extensions.Code)
}

func TestSeries_TheHoldIsOnItsFirstDate(t *testing.T) {
	t.Parallel()
	a := newAgenda(t, "America/Sao_Paulo", deskMonday)
	desk := a.as(models.RoleReceptionist)
	var held struct {
		HoldSlot struct{ SlotHold struct{ ID string } }
	}
	start := a.at("2026-11-24 09:00")
	desk.Must(t, "mutation ($input: HoldSlotInput!) { holdSlot(input: $input) { slotHold { id } } }", map[string]any{"input": map[string]any{
		"practitionerId": models.KindPractitioner.Global(a.clinic.Practitioners[0]), "startsAt": start, "endsAt": start.Add(30 * time.Minute),
	}}, &held)
	input := a.asked(start, "FREQ=WEEKLY;COUNT=3")
	assert.Equal(t, []string{"CONFLICT startsAt"}, a.do(desk, "scheduleAppointment", "", input).mistakes())
	input["holdId"] = held.HoldSlot.SlotHold.ID
	assert.Len(t, a.do(desk, "scheduleAppointment", "@dryRun", input).Series, 3)
	assert.Equal(t, 1, a.d.Count(t, "SELECT count(*) FROM slot_holds"), "a dry run redeems nothing")
	a.book(desk, input)
	assert.Zero(t, a.d.Count(t, "SELECT count(*) FROM slot_holds"))
	assert.Equal(t, []string{"NOT_FOUND holdId"}, a.do(desk, "scheduleAppointment", "", a.asked(a.at("2026-11-24 15:00"), "FREQ=WEEKLY;COUNT=3", "holdId", input["holdId"])).mistakes())
}
