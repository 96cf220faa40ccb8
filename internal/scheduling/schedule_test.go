package scheduling_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

func TestSchedule_BooksAFreeSlot(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	input := o.visit(o.at(t, "09:00"))
	input.Notes = new("  primeira consulta 🦷  ")
	input.ExternalReference = new("partner-1")
	booked, instead, err := o.diary.Schedule(o.as(t, models.RoleReceptionist), input)
	require.NoError(t, err)
	require.Empty(t, instead)
	require.Equal(t, o.here.ID, booked.ClinicID)
	require.Equal(t, o.here.Contacts[0], booked.ContactID)
	require.Equal(t, o.here.Practitioners[0], booked.PractitionerID)
	require.Equal(t, o.here.Services[0], *booked.ServiceID)
	require.True(t, booked.StartsAt.Equal(o.at(t, "09:00")))
	require.True(t, booked.EndsAt.Equal(o.at(t, "09:30")), "it ends when the service is over")
	require.Equal(t, models.AppointmentStatusScheduled, booked.Status)
	require.Equal(t, "primeira consulta 🦷", *booked.Notes)
	require.Equal(t, "partner-1", *booked.ExternalReference)
	require.Equal(t, "2026-11-23", booked.ScheduledDate.String())
	require.Equal(t, 1, booked.Version)
	require.False(t, booked.CreatedAt.IsZero())
	require.False(t, booked.Overbooked)
	require.Equal(t, 1, o.Count(t, "SELECT count(*) FROM appointments WHERE clinic_id = $1 AND id = $2 AND status = 'agendado'", o.here.ID, booked.ID))
}

func TestSchedule_RefusesAnOverlappingSlot(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	first := o.book(t, o.at(t, "09:00"))
	before := o.written(t)
	for _, clock := range []string{"08:31", "09:00", "09:15", "09:29"} {
		booked, instead, err := o.diary.Schedule(o.as(t, models.RoleReceptionist), o.visit(o.at(t, clock)))
		require.Nil(t, booked)
		clash := refused(t, err, models.UserErrorCodeConflict, "startsAt")
		require.Equal(t, []string{first.GetID()}, clash.EntityIds)
		require.Len(t, instead, 5)
	}
	require.Equal(t, before, o.written(t))

	_, instead, err := o.diary.Schedule(o.as(t, models.RoleReceptionist), o.visit(o.at(t, "09:10")))
	refused(t, err, models.UserErrorCodeConflict, "startsAt")
	require.Equal(t, []string{
		"Beatriz Mon 09:30-10:00", "Beatriz Mon 09:45-10:15", "Beatriz Mon 08:30-09:00",
		"Beatriz Mon 10:00-10:30", "Beatriz Mon 08:15-08:45",
	}, o.times(instead))

	for _, clock := range []string{"08:30", "09:30"} {
		o.book(t, o.at(t, clock)) // side by side is no overlap
	}
}

func TestSchedule_OffersOthersWhereThePractitionerIsFull(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.Exec(t, "INSERT INTO time_off (clinic_id, id, practitioner_id, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5)",
		o.here.ID, models.NewID(), o.here.Practitioners[0], o.at(t, "09:30"), o.at(t, "00:00", 30))
	o.book(t, o.at(t, "08:30"))
	_, instead, err := o.diary.Schedule(o.as(t, models.RoleReceptionist), o.visit(o.at(t, "08:30")))
	refused(t, err, models.UserErrorCodeConflict, "startsAt")
	require.Equal(t, []string{
		"Beatriz Mon 08:00-08:30", "Beatriz Mon 09:00-09:30",
		"Carlos Mon 08:30-09:00", "Carlos Mon 08:15-08:45", "Carlos Mon 08:45-09:15",
	}, o.times(instead))
}

func TestSchedule_SeesALongAppointmentToItsEnd(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	night := o.visit(o.at(t, "10:00"))
	night.EndsAt, night.AllowOutsideHours = new(o.at(t, "10:00", 1)), new(true)
	long, _, err := o.diary.Schedule(o.as(t, models.RoleOwner), night)
	require.NoError(t, err)
	_, _, err = o.diary.Schedule(o.as(t, models.RoleReceptionist), o.visit(o.at(t, "09:30", 1)))
	require.Equal(t, []string{long.GetID()}, refused(t, err, models.UserErrorCodeConflict, "startsAt").EntityIds)
	tuesday := models.DateTimeRange{From: new(o.at(t, "09:59", 1)), To: new(o.at(t, "00:00", 2))}
	free, err := o.diary.Availability(o.as(t, models.RoleReceptionist), o.here.Practitioners[:1], o.here.Services[0], tuesday)
	require.NoError(t, err)
	require.Equal(t, "Beatriz Tue 10:00-10:30", o.times(free)[0])
}

func TestSchedule_TimeOfCancelledAndMissedIsFree(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	for _, status := range []models.AppointmentStatus{models.AppointmentStatusCancelled, models.AppointmentStatusNoShow} {
		o.setStatus(t, o.book(t, o.at(t, "09:00")).ID, status)
	}
	o.book(t, o.at(t, "09:00"))
}

func TestSchedule_OverbooksOnPurpose(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	first := o.book(t, o.at(t, "09:00"))
	input := o.visit(o.at(t, "09:15"))
	input.Overbook = new(true)
	second, _, err := o.diary.Schedule(o.as(t, models.RolePractitioner), input)
	require.NoError(t, err)
	require.True(t, second.Overbooked)

	input.StartsAt = o.at(t, "11:00")
	third, _, err := o.diary.Schedule(o.as(t, models.RolePractitioner), input)
	require.NoError(t, err)
	require.False(t, third.Overbooked, "there was nothing to book over")

	// An overbooked appointment takes its time, too, though no constraint says so.
	o.setStatus(t, first.ID, models.AppointmentStatusCancelled)
	_, _, err = o.diary.Schedule(o.as(t, models.RoleReceptionist), o.visit(o.at(t, "09:30")))
	clash := refused(t, err, models.UserErrorCodeConflict, "startsAt")
	require.Equal(t, []string{second.GetID()}, clash.EntityIds)
}

func TestSchedule_RespectsHoursAndTimeOff(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.Exec(t, "INSERT INTO time_off (clinic_id, id, practitioner_id, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5)",
		o.here.ID, models.NewID(), o.here.Practitioners[0], o.at(t, "15:00"), o.at(t, "16:00"))
	before := o.written(t)
	for name, start := range map[string]time.Time{
		"before work": o.at(t, "07:30"), "into lunch": o.at(t, "11:45"), "lunch": o.at(t, "12:15"), "into the evening": o.at(t, "17:45"),
		"Saturday": o.at(t, "09:00", 5), "into time off": o.at(t, "14:45"), "in time off": o.at(t, "15:10"),
	} {
		_, instead, err := o.diary.Schedule(o.as(t, models.RoleOwner), o.visit(start))
		refused(t, err, models.UserErrorCodeOutOfHours, "startsAt")
		require.Len(t, instead, 5, name)
	}
	require.Equal(t, before, o.written(t))

	for _, start := range []time.Time{o.at(t, "12:15"), o.at(t, "15:10"), o.at(t, "23:50")} {
		input := o.visit(start)
		input.AllowOutsideHours = new(true)
		_, _, err := o.diary.Schedule(o.as(t, models.RolePractitioner), input)
		require.NoError(t, err)
	}
}

func TestSchedule_RespectsHoldsUntilTheyExpire(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	hold := func(start time.Time, made, expires string) {
		o.Exec(t, `INSERT INTO slot_holds (clinic_id, id, practitioner_id, subject, starts_at, ends_at, created_at, expires_at)
			VALUES ($1, $2, $3, 'someone', $4, $5, clock_timestamp() + $6::interval, clock_timestamp() + $7::interval)`,
			o.here.ID, models.NewID(), o.here.Practitioners[0], start, start.Add(time.Hour), made, expires)
	}
	hold(o.at(t, "09:00"), "0 minutes", "10 minutes")
	hold(o.at(t, "14:00"), "-20 minutes", "-10 minutes")
	_, instead, err := o.diary.Schedule(o.as(t, models.RoleReceptionist), o.visit(o.at(t, "09:30")))
	clash := refused(t, err, models.UserErrorCodeConflict, "startsAt")
	require.Len(t, clash.EntityIds, 1)
	require.Contains(t, clash.EntityIds[0], "slot_hold_")
	require.Equal(t, "Beatriz Mon 10:00-10:30", o.times(instead)[0])
	o.book(t, o.at(t, "14:00"))
}

func TestSchedule_RefusesBadInputAndWritesNothing(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.Exec(t, "UPDATE contacts SET status = 'arquivado' WHERE id = $1", o.here.Contacts[2])
	o.Exec(t, "UPDATE practitioners SET active = false WHERE id = $1", o.here.Practitioners[1])
	o.Exec(t, "UPDATE services SET active = false WHERE id = $1", o.here.Services[1])
	taken := o.visit(o.at(t, "17:00"))
	taken.ExternalReference = new("partner-1")
	referenced, _, err := o.diary.Schedule(o.as(t, models.RoleOwner), taken)
	require.NoError(t, err)
	before := o.written(t)

	type input = models.ScheduleAppointmentInput
	for _, c := range []struct {
		name   string
		change func(*input)
		code   models.UserErrorCode
		field  string
		entity string
	}{
		{"contact's id malformed", func(i *input) { i.ContactID = "contact_1" }, models.UserErrorCodeInvalid, "contactId", ""},
		{"contact's id of another kind", func(i *input) { i.ContactID = i.PractitionerID }, models.UserErrorCodeInvalid, "contactId", ""},
		{"contact unknown", func(i *input) { i.ContactID = models.KindContact.Global(models.NewID()) }, models.UserErrorCodeNotFound, "contactId", ""},
		{"contact foreign", func(i *input) { i.ContactID = models.KindContact.Global(o.elsewhere.Contacts[0]) }, models.UserErrorCodeNotFound, "contactId", ""},
		{"contact archived", func(i *input) { i.ContactID = models.KindContact.Global(o.here.Contacts[2]) }, models.UserErrorCodeConflict, "contactId", models.KindContact.Global(o.here.Contacts[2])},
		{"practitioner malformed", func(i *input) { i.PractitionerID = "" }, models.UserErrorCodeInvalid, "practitionerId", ""},
		{"practitioner foreign", func(i *input) { i.PractitionerID = models.KindPractitioner.Global(o.elsewhere.Practitioners[0]) }, models.UserErrorCodeNotFound, "practitionerId", ""},
		{"practitioner inactive", func(i *input) { i.PractitionerID = models.KindPractitioner.Global(o.here.Practitioners[1]) }, models.UserErrorCodeConflict, "practitionerId", models.KindPractitioner.Global(o.here.Practitioners[1])},
		{"service malformed", func(i *input) { i.ServiceID = new("SERVICE") }, models.UserErrorCodeInvalid, "serviceId", ""},
		{"service foreign", func(i *input) { i.ServiceID = new(models.KindService.Global(o.elsewhere.Services[0])) }, models.UserErrorCodeNotFound, "serviceId", ""},
		{"service not offered", func(i *input) { i.ServiceID = new(models.KindService.Global(o.here.Services[1])) }, models.UserErrorCodeConflict, "serviceId", models.KindService.Global(o.here.Services[1])},
		{"neither service nor end", func(i *input) { i.ServiceID = nil }, models.UserErrorCodeRequired, "endsAt", ""},
		{"ends before it begins", func(i *input) { i.EndsAt = new(i.StartsAt.Add(-time.Minute)) }, models.UserErrorCodeInvalid, "endsAt", ""},
		{"ends as it begins", func(i *input) { i.EndsAt = new(i.StartsAt) }, models.UserErrorCodeInvalid, "endsAt", ""},
		{"longer than a day", func(i *input) { i.EndsAt = new(i.StartsAt.Add(24*time.Hour + time.Minute)) }, models.UserErrorCodeInvalid, "endsAt", ""},
		{"ends within a minute", func(i *input) { i.EndsAt = new(i.StartsAt.Add(90 * time.Second)) }, models.UserErrorCodeInvalid, "endsAt", ""},
		{"begins within a minute", func(i *input) { i.StartsAt = i.StartsAt.Add(time.Nanosecond) }, models.UserErrorCodeInvalid, "startsAt", ""},
		{"long past", func(i *input) { i.StartsAt = o.now.Add(-24*time.Hour - time.Minute) }, models.UserErrorCodeInvalid, "startsAt", ""},
		{"far ahead", func(i *input) { i.StartsAt = o.now.AddDate(2, 0, 0).Add(time.Minute) }, models.UserErrorCodeInvalid, "startsAt", ""},
		{"year 9999", func(i *input) { i.StartsAt = time.Date(9999, 12, 31, 23, 59, 0, 0, time.UTC) }, models.UserErrorCodeInvalid, "startsAt", ""},
		{"notes too long", func(i *input) { i.Notes = new(strings.Repeat("é", 10_001)) }, models.UserErrorCodeTooLong, "notes", ""},
		{"notes with a NUL", func(i *input) { i.Notes = new("a\x00b") }, models.UserErrorCodeInvalid, "notes", ""},
		{"notes that are no UTF-8", func(i *input) { i.Notes = new("a\xff") }, models.UserErrorCodeInvalid, "notes", ""},
		{"outside hours by a receptionist", func(i *input) { i.AllowOutsideHours = new(true) }, models.UserErrorCodeForbidden, "allowOutsideHours", ""},
		{"overbooked by a receptionist", func(i *input) { i.Overbook = new(true) }, models.UserErrorCodeForbidden, "overbook", ""},
		{"reference too long", func(i *input) { i.ExternalReference = new(strings.Repeat("r", 256)) }, models.UserErrorCodeTooLong, "externalReference", ""},
		{"reference taken", func(i *input) { i.ExternalReference = new(" partner-1 ") }, models.UserErrorCodeTaken, "externalReference", referenced.GetID()},
	} {
		t.Run(c.name, func(t *testing.T) {
			visit := o.visit(o.at(t, "09:00"))
			c.change(&visit)
			booked, instead, err := o.diary.Schedule(o.as(t, models.RoleReceptionist), visit)
			require.Nil(t, booked)
			require.Empty(t, instead)
			mistake := refused(t, err, c.code, c.field)
			if c.entity != "" {
				require.Equal(t, []string{c.entity}, mistake.EntityIds)
			}
			require.Equal(t, before, o.written(t))
		})
	}
	o.book(t, o.at(t, "09:00")) // and without the mistakes it goes through
}

func TestSchedule_ReportsAllMistakesInTheOrderOfTheFields(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	_, _, err := o.diary.Schedule(o.as(t, models.RolePartner), models.ScheduleAppointmentInput{
		ContactID: models.KindContact.Global(models.NewID()), PractitionerID: "nobody",
		ServiceID: new(models.KindService.Global(models.NewID())),
		StartsAt:  o.now.AddDate(3, 0, 0), EndsAt: new(o.now), Notes: new("\x01"), Overbook: new(true),
	})
	var got []string
	for _, mistake := range mistakesOf(t, err) {
		got = append(got, mistake.Field[0]+" "+string(mistake.Code))
	}
	require.Equal(t, []string{
		"contactId NOT_FOUND", "practitionerId INVALID", "serviceId NOT_FOUND", "startsAt INVALID", "endsAt INVALID", "notes INVALID", "overbook FORBIDDEN",
	}, got)
}

func TestSchedule_TellsForeignFromUnknownByNothing(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	answer := func(contact, practitioner, service uuid.UUID) models.Invalid {
		input := o.visit(o.at(t, "09:00"))
		input.ContactID, input.PractitionerID = models.KindContact.Global(contact), models.KindPractitioner.Global(practitioner)
		input.ServiceID = new(models.KindService.Global(service))
		_, _, err := o.diary.Schedule(o.as(t, models.RoleOwner), input)
		return mistakesOf(t, err)
	}
	require.Equal(t, answer(models.NewID(), models.NewID(), models.NewID()),
		answer(o.elsewhere.Contacts[0], o.elsewhere.Practitioners[0], o.elsewhere.Services[0]))
}

func TestSchedule_AcceptsYesterdaysWalkIn(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.now = o.at(t, "10:00", 1)
	o.book(t, o.at(t, "11:00"))
}

func TestSchedule_RefusesATimeThatTheClocksSkip(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	york := o.NewClinicIn(t, "york", "America/New_York")
	o.now = parse(t, "2026-03-07T12:00:00-05:00")
	ctx := york.As(t.Context(), models.RoleOwner)
	input := models.ScheduleAppointmentInput{
		ContactID: models.KindContact.Global(york.Contacts[0]), PractitionerID: models.KindPractitioner.Global(york.Practitioners[0]),
		StartsAt: parse(t, "2026-03-08T02:30:00-05:00"), EndsAt: new(parse(t, "2026-03-08T04:30:00-04:00")), AllowOutsideHours: new(true),
	}
	_, _, err := o.diary.Schedule(ctx, input)
	require.Contains(t, refused(t, err, models.UserErrorCodeInvalid, "startsAt").Message, "02:30 on 2026-03-08")

	input.StartsAt, input.EndsAt = parse(t, "2026-03-08T01:30:00-05:00"), new(parse(t, "2026-03-08T02:45:00-05:00"))
	_, _, err = o.diary.Schedule(ctx, input)
	refused(t, err, models.UserErrorCodeInvalid, "endsAt")
	require.Zero(t, o.Count(t, "SELECT count(*) FROM appointments"))

	input.StartsAt, input.EndsAt = parse(t, "2026-03-08T07:30:00Z"), new(parse(t, "2026-03-08T08:30:00Z"))
	booked, _, err := o.diary.Schedule(ctx, input)
	require.NoError(t, err, "the same instant in UTC exists")
	require.Equal(t, "2026-03-08", booked.ScheduledDate.String())
}

func TestDiary_AnswersNothingWithoutAScope(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	_, _, err := o.diary.Schedule(t.Context(), o.visit(o.at(t, "09:00")))
	require.ErrorIs(t, err, tenant.ErrNoScope)
	_, _, err = o.diary.Reschedule(t.Context(), models.RescheduleAppointmentInput{})
	require.ErrorIs(t, err, tenant.ErrNoScope)
	_, err = o.diary.Confirm(t.Context(), models.AppointmentStepInput{})
	require.ErrorIs(t, err, tenant.ErrNoScope)
	_, err = o.diary.Availability(t.Context(), nil, o.here.Services[0], models.DateTimeRange{From: &o.now, To: new(o.now.Add(time.Hour))})
	require.ErrorIs(t, err, tenant.ErrNoScope)
	_, err = o.graph.Page(t, t.Context(), "appointments", nil)
	require.ErrorIs(t, err, tenant.ErrNoScope)
}
