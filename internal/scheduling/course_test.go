package scheduling_test

import (
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

func (o *office) undo(t *testing.T, role models.Role, id uuid.UUID) (*models.Appointment, error) {
	t.Helper()
	return o.diary.Undo(o.as(t, role), models.UndoAppointmentStepInput{ID: models.KindAppointment.Global(id), Reason: new("by mistake")})
}

func (o *office) take(t *testing.T, role models.Role, id uuid.UUID, next models.AppointmentStatus) *models.Appointment {
	t.Helper()
	taken, err := o.step(o.as(t, role), next, models.AppointmentStepInput{ID: models.KindAppointment.Global(id)})
	require.NoError(t, err, next)
	return taken
}

// steps are those that an appointment took, as they are read.
func (o *office) steps(t *testing.T, id uuid.UUID) []string {
	t.Helper()
	var answer struct {
		Appointment struct {
			Steps []struct{ Step, From, To, Actor, At string }
		}
	}
	o.graph.Must(t, o.as(t, models.RoleOwner), "query ($id: ID!) { appointment(id: $id) { steps { step from to actor at } } }",
		map[string]any{"id": models.KindAppointment.Global(id)}, &answer)
	steps := []string{}
	for _, s := range answer.Appointment.Steps {
		require.NotEmpty(t, s.Actor)
		require.NotEmpty(t, s.At)
		steps = append(steps, s.Step+" "+s.From+" "+s.To)
	}
	return steps
}

// A visit from the door to its end, and all the way back.
func TestCourse_EveryStepIsWrittenDownAndCanBeUndone(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	booked := o.book(t, o.at(t, "09:00"))
	o.take(t, models.RoleReceptionist, booked.ID, models.AppointmentStatusConfirmed)
	o.now = o.at(t, "08:50")
	arrived := o.take(t, models.RoleReceptionist, booked.ID, models.AppointmentStatusCheckedIn)
	require.True(t, arrived.ArrivedAt.Equal(o.now))
	o.now = o.at(t, "09:05")
	require.True(t, o.take(t, models.RolePractitioner, booked.ID, models.AppointmentStatusInProgress).StartedAt.Equal(o.now))
	o.now = o.at(t, "09:25")
	done := o.take(t, models.RolePractitioner, booked.ID, models.AppointmentStatusCompleted)
	require.True(t, done.CompletedAt.Equal(o.now))

	_, err := o.undo(t, models.RoleReceptionist, booked.ID)
	refused(t, err, models.UserErrorCodeForbidden, "id")
	for _, want := range []models.AppointmentStatus{
		models.AppointmentStatusInProgress, models.AppointmentStatusCheckedIn, models.AppointmentStatusConfirmed, models.AppointmentStatusScheduled,
	} {
		back, err := o.undo(t, models.RoleOwner, booked.ID)
		require.NoError(t, err)
		require.Equal(t, want, back.Status)
	}
	_, err = o.undo(t, models.RoleOwner, booked.ID)
	refused(t, err, models.UserErrorCodeConflict, "id")
	require.Equal(t, []string{
		"CONFIRM SCHEDULED CONFIRMED", "CHECK_IN CONFIRMED CHECKED_IN", "START CHECKED_IN IN_PROGRESS", "COMPLETE IN_PROGRESS COMPLETED",
		"UNDO COMPLETED IN_PROGRESS", "UNDO IN_PROGRESS CHECKED_IN", "UNDO CHECKED_IN CONFIRMED", "UNDO CONFIRMED SCHEDULED",
	}, o.steps(t, booked.ID))
	require.Equal(t, 1, o.Count(t, "SELECT count(*) FROM appointments WHERE id = $1 AND arrived_at IS NULL AND started_at IS NULL AND completed_at IS NULL", booked.ID))

	// What was undone may be taken again, and undone again.
	o.take(t, models.RoleReceptionist, booked.ID, models.AppointmentStatusCheckedIn)
	back, err := o.undo(t, models.RoleReceptionist, booked.ID)
	require.NoError(t, err)
	require.Equal(t, models.AppointmentStatusScheduled, back.Status)
}

func TestUndo_TakesTheTimeAgainIfItIsFree(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	booked := o.book(t, o.at(t, "09:00"))
	cancelled, err := o.diary.Cancel(o.as(t, models.RoleReceptionist), models.CancelAppointmentInput{ID: booked.GetID(), Reason: new("ill")})
	require.NoError(t, err)
	require.NotNil(t, cancelled.CancellationReason)
	other := o.book(t, o.at(t, "09:00"))
	_, err = o.undo(t, models.RoleReceptionist, booked.ID)
	require.Equal(t, []string{other.GetID()}, refused(t, err, models.UserErrorCodeConflict, "id").EntityIds)
	_, err = o.diary.Cancel(o.as(t, models.RoleReceptionist), models.CancelAppointmentInput{ID: other.GetID()})
	require.NoError(t, err)
	back, err := o.undo(t, models.RoleReceptionist, booked.ID)
	require.NoError(t, err)
	require.Equal(t, models.AppointmentStatusScheduled, back.Status)
	require.Nil(t, back.CancellationReason)
	_, err = o.undo(t, models.RoleReceptionist, other.ID)
	refused(t, err, models.UserErrorCodeConflict, "id")

	// A move is no step to be undone, and hides those before it.
	o.take(t, models.RoleReceptionist, booked.ID, models.AppointmentStatusConfirmed)
	_, _, err = o.move(t, booked.ID, o.at(t, "11:00"))
	require.NoError(t, err)
	_, err = o.undo(t, models.RoleReceptionist, booked.ID)
	require.Contains(t, refused(t, err, models.UserErrorCodeConflict, "id").Message, "moved")
}

func TestCourse_EachStepHasItsDay(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	booked := o.book(t, o.at(t, "09:00", 1))
	input := models.AppointmentStepInput{ID: booked.GetID()}
	_, err := o.diary.CheckIn(o.as(t, models.RoleOwner), input)
	require.Contains(t, refused(t, err, models.UserErrorCodeConflict, "id").Message, "2026-11-24")
	o.now = o.at(t, "00:00", 1)
	o.take(t, models.RoleReceptionist, booked.ID, models.AppointmentStatusCheckedIn)
	_, err = o.undo(t, models.RoleReceptionist, booked.ID)
	require.NoError(t, err)

	o.now = o.at(t, "09:40", 1)
	_, err = o.diary.Confirm(o.as(t, models.RoleOwner), input)
	refused(t, err, models.UserErrorCodeConflict, "id")
	o.take(t, models.RoleReceptionist, booked.ID, models.AppointmentStatusNoShow)
	late := o.take(t, models.RoleReceptionist, booked.ID, models.AppointmentStatusCheckedIn)
	require.NotNil(t, late.ArrivedAt, "who comes late may come in")
	_, err = o.undo(t, models.RoleReceptionist, booked.ID)
	require.NoError(t, err)

	o.now = o.at(t, "09:31", 2)
	_, err = o.diary.CheckIn(o.as(t, models.RoleReceptionist), input)
	refused(t, err, models.UserErrorCodeConflict, "id")
	o.take(t, models.RoleAdmin, booked.ID, models.AppointmentStatusCheckedIn)
}

func TestSchedule_EntersPastVisitsByRight(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	past := o.visit(o.at(t, "09:00", -14))
	_, _, err := o.diary.Schedule(o.as(t, models.RoleReceptionist), past)
	refused(t, err, models.UserErrorCodeInvalid, "startsAt")
	_, _, err = o.diary.Schedule(o.as(t, models.RolePractitioner), past)
	require.NoError(t, err)
	_, _, err = o.diary.Schedule(o.as(t, models.RoleOwner), o.visit(o.at(t, "09:00", -380)))
	refused(t, err, models.UserErrorCodeInvalid, "startsAt")
}

func TestUpdate_ChangesWhatIsNotTheTime(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	first, second := o.book(t, o.at(t, "09:00")), o.book(t, o.at(t, "10:00"))
	service := models.KindService.Global(o.here.Services[0])
	update := func(input models.UpdateAppointmentInput) (*models.Appointment, error) {
		return o.diary.Update(o.as(t, models.RoleReceptionist), input)
	}
	after, err := update(models.UpdateAppointmentInput{
		ID: first.GetID(), Notes: graphql.OmittableOf(new(" bring\r\nX-rays ")), ServiceID: graphql.OmittableOf(&service),
		ExternalReference: graphql.OmittableOf(new("A-1")), ExpectedVersion: new(1),
	})
	require.NoError(t, err)
	require.Equal(t, "bring\nX-rays", *after.Notes)
	require.Equal(t, o.here.Services[0], *after.ServiceID)
	require.True(t, after.EndsAt.Equal(first.EndsAt))
	_, err = update(models.UpdateAppointmentInput{ID: second.GetID(), ExternalReference: graphql.OmittableOf(new("A-1"))})
	require.Equal(t, []string{first.GetID()}, refused(t, err, models.UserErrorCodeTaken, "externalReference").EntityIds)
	_, err = update(models.UpdateAppointmentInput{ID: second.GetID(), ServiceID: graphql.OmittableOf(new(models.KindService.Global(o.elsewhere.Services[0])))})
	refused(t, err, models.UserErrorCodeNotFound, "serviceId")
	_, err = update(models.UpdateAppointmentInput{ID: first.GetID(), ExpectedVersion: new(1)})
	refused(t, err, models.UserErrorCodeStale, "expectedVersion")
	after, err = update(models.UpdateAppointmentInput{ID: first.GetID(), Notes: graphql.OmittableOf[*string](nil), ServiceID: graphql.OmittableOf[*string](nil)})
	require.NoError(t, err)
	require.Nil(t, after.Notes)
	require.Nil(t, after.ServiceID)
	require.Equal(t, "A-1", *after.ExternalReference)
}

// What a practitioner does not offer no appointment of theirs becomes, whoever asks; what
// it was they go on with.
func TestUpdate_RefusesAServiceThatIsNotOffered(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	booked := o.book(t, o.at(t, "09:00"))
	o.Exec(t, "DELETE FROM practitioner_services WHERE practitioner_id = $1", o.here.Practitioners[0])
	for n, service := range o.here.Services {
		_, err := o.diary.Update(o.as(t, models.RoleOwner), models.UpdateAppointmentInput{
			ID: booked.GetID(), ServiceID: graphql.OmittableOf(new(models.KindService.Global(service))),
		})
		if n == 0 {
			require.NoError(t, err, "it has this one")
			continue
		}
		require.Equal(t, []string{models.KindPractitioner.Global(o.here.Practitioners[0])}, refused(t, err, models.UserErrorCodeConflict, "serviceId").EntityIds)
	}
	o.Exec(t, "UPDATE services SET active = false WHERE id = $1", o.here.Services[1])
	_, err := o.diary.Update(o.as(t, models.RoleOwner), models.UpdateAppointmentInput{
		ID: booked.GetID(), ServiceID: graphql.OmittableOf(new(models.KindService.Global(o.here.Services[1]))),
	})
	refused(t, err, models.UserErrorCodeConflict, "serviceId")
}

func TestAppointments_AreFoundByTheirDaysAndInTheWaitingRoom(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	today, tomorrow := o.book(t, o.at(t, "09:00")), o.book(t, o.at(t, "09:00", 1))
	later := o.book(t, o.at(t, "10:00"))
	found := func(filter, rest string) []string {
		var answer struct {
			Appointments struct{ Nodes []struct{ ID string } }
		}
		o.graph.Must(t, o.as(t, models.RoleReceptionist), "{ appointments(filter: {"+filter+"}"+rest+") { nodes { id } } }", nil, &answer)
		ids := []string{}
		for _, node := range answer.Appointments.Nodes {
			ids = append(ids, node.ID)
		}
		return ids
	}
	require.Equal(t, []string{today.GetID(), later.GetID()}, found(`days: {from: "2026-11-23", to: "2026-11-23"}`, ""))
	require.Equal(t, []string{tomorrow.GetID()}, found(`days: {from: "2026-11-24"}`, ""))
	require.Empty(t, found(`days: {to: "2026-11-22"}`, ""))
	mine := models.KindPractitioner.Global(o.here.Practitioners[0])
	require.Len(t, found(`practitionerIds: ["`+mine+`"]`, ""), 3)
	require.Empty(t, found(`practitionerIds: []`, ""))

	require.Empty(t, found("", ", orderBy: {field: ARRIVED_AT, direction: ASC}"))
	o.now = o.at(t, "08:40")
	o.take(t, models.RoleReceptionist, later.ID, models.AppointmentStatusCheckedIn)
	o.now = o.at(t, "08:45")
	o.take(t, models.RoleReceptionist, today.ID, models.AppointmentStatusCheckedIn)
	require.Equal(t, []string{later.GetID(), today.GetID()}, found("status: [CHECKED_IN]", ", orderBy: {field: ARRIVED_AT, direction: ASC}"))
	require.Equal(t, today.GetID(), found("", ", orderBy: {field: UPDATED_AT, direction: DESC}")[0])
	var page struct {
		Appointments struct{ PageInfo struct{ EndCursor string } }
	}
	o.graph.Must(t, o.as(t, models.RoleReceptionist), "{ appointments(first: 1, orderBy: {field: ARRIVED_AT, direction: ASC}) { pageInfo { endCursor } } }", nil, &page)
	require.Equal(t, []string{today.GetID()}, found("", `, first: 5, after: "`+page.Appointments.PageInfo.EndCursor+`", orderBy: {field: ARRIVED_AT, direction: ASC}`))
}
