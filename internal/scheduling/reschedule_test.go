package scheduling_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

func (o *office) move(t *testing.T, id uuid.UUID, start time.Time) (*models.Appointment, []*models.Slot, error) {
	t.Helper()
	return o.diary.Reschedule(o.as(t, models.RoleReceptionist), models.RescheduleAppointmentInput{
		ID: models.KindAppointment.Global(id), StartsAt: start,
	})
}

func TestReschedule_MovesAndAsksForConfirmationAnew(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	input := o.visit(o.at(t, "09:00"))
	input.EndsAt = new(o.at(t, "09:45"))
	booked, _, err := o.diary.Schedule(o.as(t, models.RoleOwner), input)
	require.NoError(t, err)
	o.setStatus(t, booked.ID, models.AppointmentStatusConfirmed)

	// Over its own time: it is not in its own way.
	moved, _, err := o.move(t, booked.ID, o.at(t, "09:15"))
	require.NoError(t, err)
	require.Equal(t, models.AppointmentStatusScheduled, moved.Status)
	require.True(t, moved.StartsAt.Equal(o.at(t, "09:15")))
	require.True(t, moved.EndsAt.Equal(o.at(t, "10:00")), "as long as before")
	require.Equal(t, 3, moved.Version)

	moved, _, err = o.diary.Reschedule(o.as(t, models.RoleOwner), models.RescheduleAppointmentInput{
		ID: booked.GetID(), ExpectedVersion: new(3), StartsAt: o.at(t, "10:00", 1), EndsAt: new(o.at(t, "11:00", 1)),
		PractitionerID: new(models.KindPractitioner.Global(o.here.Practitioners[1])),
	})
	require.NoError(t, err)
	require.Equal(t, o.here.Practitioners[1], moved.PractitionerID)
	require.Equal(t, "2026-11-24", moved.ScheduledDate.String())
	require.Equal(t, 1, o.Count(t, "SELECT count(*) FROM appointments WHERE id = $1 AND practitioner_id = $2 AND ends_at = $3 AND status = 'agendado'",
		booked.ID, o.here.Practitioners[1], o.at(t, "11:00", 1)))
}

// Overbooked is what lies over another, by the right of who moved it there.
func TestReschedule_OverbooksByRightAlone(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.book(t, o.at(t, "09:00"))
	taken := o.book(t, o.at(t, "10:00"))
	over := o.visit(o.at(t, "09:00"))
	over.Overbook = new(true)
	second, _, err := o.diary.Schedule(o.as(t, models.RoleOwner), over)
	require.NoError(t, err)
	require.True(t, second.Overbooked)

	_, _, err = o.move(t, second.ID, o.at(t, "10:15"))
	require.Equal(t, []string{taken.GetID()}, refused(t, err, models.UserErrorCodeConflict, "startsAt").EntityIds)
	to := models.RescheduleAppointmentInput{ID: second.GetID(), StartsAt: o.at(t, "10:15"), Overbook: new(true)}
	_, _, err = o.diary.Reschedule(o.as(t, models.RoleReceptionist), to)
	refused(t, err, models.UserErrorCodeForbidden, "overbook")
	moved, _, err := o.diary.Reschedule(o.as(t, models.RolePractitioner), to)
	require.NoError(t, err)
	require.True(t, moved.Overbooked)
	moved, _, err = o.move(t, second.ID, o.at(t, "11:00"))
	require.NoError(t, err)
	require.False(t, moved.Overbooked, "nothing is in the way")
}

func TestReschedule_OutsideHoursByRightAlone(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	late := o.visit(o.at(t, "21:00"))
	late.AllowOutsideHours = new(true)
	booked, _, err := o.diary.Schedule(o.as(t, models.RoleOwner), late)
	require.NoError(t, err)
	_, _, err = o.move(t, booked.ID, o.at(t, "21:30"))
	refused(t, err, models.UserErrorCodeOutOfHours, "startsAt")
	to := models.RescheduleAppointmentInput{ID: booked.GetID(), StartsAt: o.at(t, "21:30"), AllowOutsideHours: new(true)}
	_, _, err = o.diary.Reschedule(o.as(t, models.RoleReceptionist), to)
	refused(t, err, models.UserErrorCodeForbidden, "allowOutsideHours")
	moved, _, err := o.diary.Reschedule(o.as(t, models.RoleAdmin), to)
	require.NoError(t, err)
	require.True(t, moved.StartsAt.Equal(o.at(t, "21:30")))
}

func TestReschedule_OntoItsOwnTimeChangesNothing(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	booked := o.book(t, o.at(t, "09:00"))
	confirmed, err := o.diary.Confirm(o.as(t, models.RoleReceptionist), models.AppointmentStepInput{ID: booked.GetID()})
	require.NoError(t, err)
	stayed, _, err := o.move(t, booked.ID, o.at(t, "09:00"))
	require.NoError(t, err)
	require.Equal(t, models.AppointmentStatusConfirmed, stayed.Status)
	require.Equal(t, confirmed.Version, stayed.Version)
}

func TestReschedule_RefusesATakenTimeAndOffersOthers(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	first, second := o.book(t, o.at(t, "09:00")), o.book(t, o.at(t, "10:00"))
	before := o.written(t)
	_, instead, err := o.move(t, second.ID, o.at(t, "09:15"))
	clash := refused(t, err, models.UserErrorCodeConflict, "startsAt")
	require.Equal(t, []string{first.GetID()}, clash.EntityIds)
	require.Equal(t, "Beatriz Mon 09:30-10:00", o.times(instead)[0])
	_, instead, err = o.move(t, second.ID, o.at(t, "12:30"))
	refused(t, err, models.UserErrorCodeOutOfHours, "startsAt")
	require.Equal(t, "Beatriz Mon 13:00-13:30", o.times(instead)[0])
	require.Equal(t, before, o.written(t))
}

func TestReschedule_MovesOnlyWhatHasNotBegun(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	booked := o.book(t, o.at(t, "09:00"))
	for _, status := range models.AllAppointmentStatus {
		o.setStatus(t, booked.ID, status)
		before := o.written(t)
		_, _, err := o.move(t, booked.ID, o.at(t, "10:00"))
		if status == models.AppointmentStatusScheduled || status == models.AppointmentStatusConfirmed {
			require.NoError(t, err)
			continue
		}
		require.Contains(t, refused(t, err, models.UserErrorCodeConflict, "id").Message, status.String())
		require.Equal(t, before, o.written(t))
	}
}

func TestReschedule_RefusesBadInputAndWritesNothing(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.Exec(t, "UPDATE practitioners SET active = false WHERE id = $1", o.here.Practitioners[1])
	booked := o.book(t, o.at(t, "09:00"))
	foreign := o.Appointment(t, o.elsewhere, 0, 0, o.at(t, "09:00"), 30*time.Minute)
	before := o.written(t)
	type input = models.RescheduleAppointmentInput
	for _, c := range []struct {
		name   string
		change func(*input)
		code   models.UserErrorCode
		field  string
	}{
		{"malformed", func(i *input) { i.ID = "x" }, models.UserErrorCodeInvalid, "id"},
		{"unknown", func(i *input) { i.ID = models.KindAppointment.Global(models.NewID()) }, models.UserErrorCodeNotFound, "id"},
		{"foreign", func(i *input) { i.ID = models.KindAppointment.Global(foreign) }, models.UserErrorCodeNotFound, "id"},
		{"stale", func(i *input) { i.ExpectedVersion = new(0) }, models.UserErrorCodeStale, "expectedVersion"},
		{"practitioner malformed", func(i *input) { i.PractitionerID = new("x") }, models.UserErrorCodeInvalid, "practitionerId"},
		{"practitioner foreign", func(i *input) { i.PractitionerID = new(models.KindPractitioner.Global(o.elsewhere.Practitioners[0])) }, models.UserErrorCodeNotFound, "practitionerId"},
		{"practitioner inactive", func(i *input) { i.PractitionerID = new(models.KindPractitioner.Global(o.here.Practitioners[1])) }, models.UserErrorCodeConflict, "practitionerId"},
		{"long past", func(i *input) { i.StartsAt = o.now.AddDate(-1, 0, -2) }, models.UserErrorCodeInvalid, "startsAt"},
		{"far ahead", func(i *input) { i.StartsAt = o.now.AddDate(2, 0, 1) }, models.UserErrorCodeInvalid, "startsAt"},
		{"seconds", func(i *input) { i.StartsAt = i.StartsAt.Add(time.Second) }, models.UserErrorCodeInvalid, "startsAt"},
		{"ends before it begins", func(i *input) { i.EndsAt = new(i.StartsAt.Add(-time.Hour)) }, models.UserErrorCodeInvalid, "endsAt"},
		{"longer than a day", func(i *input) { i.EndsAt = new(i.StartsAt.Add(25 * time.Hour)) }, models.UserErrorCodeInvalid, "endsAt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			move := input{ID: booked.GetID(), StartsAt: o.at(t, "10:00")}
			c.change(&move)
			moved, instead, err := o.diary.Reschedule(o.as(t, models.RoleOwner), move)
			require.Nil(t, moved)
			require.Empty(t, instead)
			refused(t, err, c.code, c.field)
			require.Equal(t, before, o.written(t))
		})
	}
	_, _, err := o.diary.Reschedule(o.as(t, models.RoleOwner), input{ID: booked.GetID(), StartsAt: o.at(t, "10:00")})
	require.NoError(t, err)
}

// Two colleagues send one appointment to and fro while others read it: nobody
// waits for ever, and it ends with one of the practitioners.
func TestReschedule_SurvivesMovesInBothDirections(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	booked := o.book(t, o.at(t, "09:00"))
	ctx := o.as(t, models.RoleOwner)
	start := o.at(t, "10:00")
	outcomes := make(chan error)
	movers := 0
	for _, to := range []*string{
		new(models.KindPractitioner.Global(o.here.Practitioners[0])), new(models.KindPractitioner.Global(o.here.Practitioners[1])), nil, nil,
	} {
		for range 10 {
			movers++
			go func() {
				_, _, err := o.diary.Reschedule(ctx, models.RescheduleAppointmentInput{
					ID: booked.GetID(), StartsAt: start, PractitionerID: to,
				})
				outcomes <- err
			}()
		}
	}
	moved := 0
	for range movers {
		err := <-outcomes
		if err == nil {
			moved++
			continue
		}
		// Only the one who kept finding it elsewhere may give up.
		refused(t, err, models.UserErrorCodeStale, "id")
	}
	require.GreaterOrEqual(t, moved, 20)
	// What stayed where it was is no change; each that moved was written down.
	require.Equal(t, 1, o.Count(t, "SELECT count(*) FROM appointments a WHERE version = 1 + (SELECT count(*) FROM appointment_steps s WHERE s.appointment_id = a.id AND step = 'reschedule')"))
}
