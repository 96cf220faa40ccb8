package scheduling_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// check asks for half an hour of Dra. Beatriz's for Ana.
func (o *office) check(t *testing.T, role models.Role, start time.Time) *models.SlotCheck {
	t.Helper()
	check, err := o.diary.Check(o.as(t, role), availability.Asked{
		Practitioner: o.here.Practitioners[0], Service: o.here.Services[0], Contact: o.here.Contacts[0], StartsAt: start,
	})
	require.NoError(t, err)
	return check
}

func kinds(obstacles []*models.SlotObstacle) (all []string) {
	for _, o := range obstacles {
		words := string(o.Kind)
		if o.Overridable {
			words += " overridable"
		}
		all = append(all, words)
	}
	return all
}

func TestSlotCheck_NamesEveryObstacle(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	require.Empty(t, o.check(t, models.RolePartner, o.at(t, "09:00")).Obstacles)
	require.True(t, o.check(t, models.RolePartner, o.at(t, "09:00")).Free)

	first := o.book(t, o.at(t, "09:00"))
	off, closed, hold := models.NewID(), models.NewID(), models.NewID()
	for id, whose := range map[uuid.UUID]*uuid.UUID{off: &o.here.Practitioners[0], closed: nil} {
		o.Exec(t, "INSERT INTO time_off (clinic_id, id, practitioner_id, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5)",
			o.here.ID, id, whose, o.at(t, "14:00"), o.at(t, "15:00"))
	}
	o.Exec(t, `INSERT INTO slot_holds (clinic_id, id, practitioner_id, subject, starts_at, ends_at, expires_at)
		VALUES ($1, $2, $3, 'x', $4, $5, clock_timestamp() + interval '9 minutes')`, o.here.ID, hold, o.here.Practitioners[0], o.at(t, "10:00"), o.at(t, "10:30"))
	elsewhere := o.Appointment(t, o.here, 0, 1, o.at(t, "11:00"), 30*time.Minute)

	for _, c := range []struct {
		clock    string
		days     int
		kinds    []models.SlotObstacleKind
		entities []string
	}{
		{"09:15", 0, []models.SlotObstacleKind{"APPOINTMENT"}, []string{first.GetID()}},
		{"09:20", 0, []models.SlotObstacleKind{"APPOINTMENT", "OFF_GRID"}, []string{first.GetID()}},
		{"10:15", 0, []models.SlotObstacleKind{"HOLD"}, []string{models.KindSlotHold.Global(hold)}},
		{"11:00", 0, []models.SlotObstacleKind{"CONTACT_BUSY"}, []string{models.KindAppointment.Global(elsewhere)}},
		{"12:00", 0, []models.SlotObstacleKind{"OUTSIDE_WORKING_HOURS"}, []string{}},
		{"14:30", 0, []models.SlotObstacleKind{"CLINIC_CLOSED", "TIME_OFF"}, []string{models.KindTimeOff.Global(closed), models.KindTimeOff.Global(off)}},
		{"08:07", 0, []models.SlotObstacleKind{"OFF_GRID"}, []string{}},
		{"06:30", 0, []models.SlotObstacleKind{"IN_THE_PAST", "OUTSIDE_WORKING_HOURS"}, []string{}},
	} {
		for _, role := range []models.Role{models.RoleReceptionist, models.RolePractitioner} {
			got := o.check(t, role, o.at(t, c.clock, c.days))
			require.False(t, got.Free)
			require.Len(t, got.Alternatives, 5)
			ids := []string{}
			for i, obstacle := range got.Obstacles {
				require.Equal(t, c.kinds[i], obstacle.Kind, c.clock)
				require.Equal(t, role == models.RolePractitioner || obstacle.Kind == models.SlotObstacleKindInThePast, obstacle.Overridable, "%s by %s", obstacle.Kind, role)
				require.NotEmpty(t, obstacle.Message)
				ids = append(ids, obstacle.EntityIds...)
			}
			require.Len(t, got.Obstacles, len(c.kinds), c.clock)
			require.Equal(t, c.entities, ids, c.clock)
		}
		// A booking is refused for the same, or goes over what its role may go over.
		visit := o.visit(o.at(t, c.clock))
		_, instead, err := o.diary.Schedule(o.as(t, models.RoleReceptionist), visit)
		mistakesOf(t, err)
		require.Len(t, instead, 5)
	}

	o.Exec(t, "DELETE FROM practitioner_services WHERE practitioner_id = $1 AND service_id = $2", o.here.Practitioners[0], o.here.Services[0])
	require.Equal(t, []string{"SERVICE_NOT_OFFERED"}, kinds(o.check(t, models.RoleOwner, o.at(t, "08:00")).Obstacles))
	_, _, err := o.diary.Schedule(o.as(t, models.RoleOwner), o.visit(o.at(t, "08:00")))
	refused(t, err, models.UserErrorCodeConflict, "serviceId")
	o.Exec(t, "UPDATE practitioners SET active = false WHERE id = $1", o.here.Practitioners[0])
	require.Equal(t, []string{"PRACTITIONER_INACTIVE", "SERVICE_NOT_OFFERED"}, kinds(o.check(t, models.RoleOwner, o.at(t, "08:00")).Obstacles))
	for _, slot := range o.check(t, models.RoleOwner, o.at(t, "08:00")).Alternatives {
		require.Equal(t, o.here.Practitioners[1], slot.PractitionerID)
	}
}

func TestSlotCheck_TellsATimeThatTheClocksSkip(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	york := o.NewClinicIn(t, "york", "America/New_York")
	o.now = parse(t, "2026-03-07T12:00:00-05:00")
	check, err := o.diary.Check(york.As(t.Context(), models.RoleOwner), availability.Asked{
		Practitioner: york.Practitioners[0], StartsAt: parse(t, "2026-03-08T02:30:00-05:00"), EndsAt: new(parse(t, "2026-03-08T04:00:00-04:00")),
	})
	require.NoError(t, err)
	require.Equal(t, []string{"DST_GAP", "OUTSIDE_WORKING_HOURS overridable"}, kinds(check.Obstacles))
}

func TestSlotCheck_RefusesWhatIsNoTime(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	start := o.at(t, "09:00")
	for name, asked := range map[string]availability.Asked{
		"no end":               {Practitioner: o.here.Practitioners[0], StartsAt: start},
		"backwards":            {Practitioner: o.here.Practitioners[0], StartsAt: start, EndsAt: &start},
		"seconds":              {Practitioner: o.here.Practitioners[0], Service: o.here.Services[0], StartsAt: start.Add(time.Second)},
		"two days":             {Practitioner: o.here.Practitioners[0], StartsAt: start, EndsAt: new(start.Add(48 * time.Hour))},
		"far ahead":            {Practitioner: o.here.Practitioners[0], Service: o.here.Services[0], StartsAt: start.AddDate(2, 0, 1)},
		"foreign practitioner": {Practitioner: o.elsewhere.Practitioners[0], Service: o.here.Services[0], StartsAt: start},
		"foreign service":      {Practitioner: o.here.Practitioners[0], Service: o.elsewhere.Services[0], StartsAt: start},
		"foreign contact":      {Practitioner: o.here.Practitioners[0], Service: o.here.Services[0], Contact: o.elsewhere.Contacts[0], StartsAt: start},
	} {
		_, err := o.diary.Check(o.as(t, models.RoleOwner), asked)
		badInput(t, err, name)
	}
}

func TestSchedule_GoesOverObstaclesByRight(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	visit := o.visit(o.at(t, "08:07"))
	_, _, err := o.diary.Schedule(o.as(t, models.RoleOwner), visit)
	refused(t, err, models.UserErrorCodeOutOfHours, "startsAt")
	visit.AllowOutsideHours = new(true)
	off, _, err := o.diary.Schedule(o.as(t, models.RoleOwner), visit)
	require.NoError(t, err)
	require.False(t, off.Overbooked)

	o.Appointment(t, o.here, 0, 1, o.at(t, "11:00"), 30*time.Minute)
	visit = o.visit(o.at(t, "11:00"))
	_, _, err = o.diary.Schedule(o.as(t, models.RoleOwner), visit)
	refused(t, err, models.UserErrorCodeConflict, "startsAt")
	visit.Overbook = new(true)
	twice, _, err := o.diary.Schedule(o.as(t, models.RoleOwner), visit)
	require.NoError(t, err)
	require.False(t, twice.Overbooked, "the practitioner's time was free")

	// Who walked in at 10:07 is entered at 10:07.
	o.now = o.at(t, "10:10")
	o.book(t, o.at(t, "10:07"))
}

// free is what a time in a diary is: for everybody who asks, in whatever way.
func TestFreeTimes_AreTheSameWhoeverAsks(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	zones := []struct{ name, from string }{
		{"America/Santiago", "2026-09-05T00:00:00-04:00"},
		{"Africa/Cairo", "2026-04-23T00:00:00+02:00"},
		{"Australia/Lord_Howe", "2026-10-03T00:00:00+10:30"},
		{"Australia/Lord_Howe", "2026-04-04T00:00:00+11:00"},
		{"America/Sao_Paulo", "2026-11-20T00:00:00-03:00"},
		{"Asia/Beirut", "2026-03-28T00:00:00+02:00"},
	}
	for round := range testkit.Longer(t, 6) {
		zone := zones[round%len(zones)]
		from := parse(t, zone.from)
		clinic := o.NewClinicIn(t, fmt.Sprint("random", round), zone.name)
		o.now = from.Add(time.Duration(random.IntN(2000)) * time.Minute)
		ctx := clinic.As(t.Context(), models.RoleReceptionist)
		o.Exec(t, "UPDATE clinics SET slot_grid_minutes = $2 WHERE id = $1", clinic.ID, []int{5, 10, 15, 25, 30}[random.IntN(5)])
		o.Exec(t, "UPDATE services SET duration_minutes = 10 + $2 WHERE id = $1", clinic.Services[0], random.IntN(50))
		o.Exec(t, "DELETE FROM practitioner_services WHERE practitioner_id = $1 AND service_id = $2", clinic.Practitioners[1], clinic.Services[random.IntN(2)])
		for _, practitioner := range clinic.Practitioners {
			o.Exec(t, `INSERT INTO working_hours (clinic_id, id, practitioner_id, weekday, from_minute, to_minute)
				VALUES ($1, gen_random_uuid(), $2, 6, 1201, 1440), ($1, gen_random_uuid(), $2, 7, 0, 95), ($1, gen_random_uuid(), $2, 7, 95, 290)`, clinic.ID, practitioner)
		}
		for range 20 {
			start := from.Add(time.Duration(random.IntN(4*1440)) * time.Minute)
			o.Exec(t, `INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at, status, overbooked) VALUES ($1, gen_random_uuid(), $2, $3, $4, $5, $6, true)`,
				clinic.ID, clinic.Contacts[1], clinic.Practitioners[random.IntN(2)], start, start.Add(time.Duration(5+random.IntN(90))*time.Minute),
				models.AllAppointmentStatus[random.IntN(7)])
		}
		within := availability.Span{From: from, To: from.Add(4 * 24 * time.Hour)}
		wanted := o.slotsBySQL(t, clinic, within, 0)
		got, err := o.diary.Availability(ctx, nil, clinic.Services[0], models.DateTimeRange{From: &within.From, To: &within.To})
		require.NoError(t, err)
		require.Equal(t, wanted, lines(got), "seed %d, round %d", seed, round)
		next, err := o.diary.NextFree(ctx, nil, clinic.Services[0], nil, new(100))
		require.NoError(t, err)
		require.Equal(t, wanted[:min(100, len(wanted))], lines(next)[:min(100, len(wanted))], "seed %d, round %d", seed, round)
		length := time.Duration(o.Count(t, "SELECT duration_minutes FROM services WHERE id = $1", clinic.Services[0])) * time.Minute
		for range 60 {
			who := clinic.Practitioners[random.IntN(2)]
			start := within.From.Add(time.Duration(random.IntN(4*288)) * 5 * time.Minute).UTC()
			if random.IntN(2) == 0 && len(got) > 0 {
				one := got[random.IntN(len(got))]
				who, start = one.PractitionerID, one.StartsAt
			}
			if start.Add(length).After(within.To) {
				continue
			}
			check, err := o.diary.Check(ctx, availability.Asked{Practitioner: who, Service: clinic.Services[0], StartsAt: start})
			require.NoError(t, err)
			require.Equal(t, slices.Contains(wanted, slotLine(who, start, start.Add(length))), check.Free, "seed %d, round %d: %v", seed, round, start)
			if start.After(o.now) {
				require.Equal(t, check.Free, o.canBook(ctx, t, clinic, who, start), "seed %d, round %d: %v", seed, round, start)
			}
		}
	}
}

// canBook books, and takes it back.
func (o *office) canBook(ctx context.Context, t *testing.T, clinic *testkit.Clinic, who uuid.UUID, start time.Time) bool {
	t.Helper()
	booked, _, err := o.diary.Schedule(ctx, models.ScheduleAppointmentInput{
		ContactID: models.KindContact.Global(clinic.Contacts[0]), PractitionerID: models.KindPractitioner.Global(who),
		ServiceID: new(models.KindService.Global(clinic.Services[0])), StartsAt: start,
	})
	if err != nil {
		mistakesOf(t, err)
		return false
	}
	o.Exec(t, "DELETE FROM appointments WHERE id = $1", booked.ID)
	return true
}

func TestNextFree_LooksFarAheadAndFindsTheFirst(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	ctx := o.as(t, models.RolePartner)
	o.Exec(t, "INSERT INTO time_off (clinic_id, id, practitioner_id, starts_at, ends_at) VALUES ($1, $2, NULL, $3, $4)",
		o.here.ID, models.NewID(), o.now.AddDate(0, 0, -1), o.at(t, "09:10", 140))
	found, err := o.diary.NextFree(ctx, o.here.Practitioners[:1], o.here.Services[0], nil, new(2))
	require.NoError(t, err)
	require.True(t, found[0].StartsAt.Equal(o.at(t, "09:15", 140)))
	require.True(t, found[1].StartsAt.Equal(o.at(t, "09:30", 140)))
	found, err = o.diary.NextFree(ctx, nil, o.here.Services[0], new(o.at(t, "09:20", 140)), new(3))
	require.NoError(t, err)
	require.True(t, found[0].StartsAt.Equal(o.at(t, "09:30", 140)))
	o.Exec(t, "UPDATE time_off SET ends_at = ends_at + interval '100 days'")
	found, err = o.diary.NextFree(ctx, nil, o.here.Services[0], nil, nil)
	require.NoError(t, err)
	require.Empty(t, found)
	for _, first := range []int{0, -1, 101} {
		_, err = o.diary.NextFree(ctx, nil, o.here.Services[0], nil, &first)
		badInput(t, err, fmt.Sprint(first))
	}
	_, err = o.diary.NextFree(ctx, nil, o.elsewhere.Services[0], nil, nil)
	badInput(t, err, "foreign service")
}

// A month of ten practitioners' quarters of an hour is an answer.
func TestAvailability_HoldsAMonthOfTenPractitioners(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	for range 8 {
		id := models.NewID()
		o.Exec(t, "INSERT INTO practitioners (clinic_id, id, name) VALUES ($1, $2, 'Dr. X')", o.here.ID, id)
		o.Exec(t, `INSERT INTO working_hours (clinic_id, id, practitioner_id, weekday, from_minute, to_minute)
			SELECT clinic_id, gen_random_uuid(), $2, weekday, from_minute, to_minute FROM working_hours WHERE practitioner_id = $1`, o.here.Practitioners[0], id)
		o.Exec(t, "INSERT INTO practitioner_services SELECT clinic_id, $2, service_id FROM practitioner_services WHERE practitioner_id = $1", o.here.Practitioners[0], id)
	}
	o.Exec(t, "UPDATE services SET duration_minutes = 15 WHERE id = $1", o.here.Services[0])
	offered, err := o.diary.Availability(o.as(t, models.RoleReceptionist), nil, o.here.Services[0],
		models.DateTimeRange{From: new(o.at(t, "00:00")), To: new(o.at(t, "00:00", 31))})
	require.NoError(t, err)
	require.Len(t, offered, 10*23*36)
}
