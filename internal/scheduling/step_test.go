package scheduling_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

// step is one of the diary's steps, by the name of its status.
func (o *office) step(ctx context.Context, next models.AppointmentStatus, input models.AppointmentStepInput) (*models.Appointment, error) {
	switch next {
	case models.AppointmentStatusConfirmed:
		return o.diary.Confirm(ctx, input)
	case models.AppointmentStatusCheckedIn:
		return o.diary.CheckIn(ctx, input)
	case models.AppointmentStatusInProgress:
		return o.diary.Start(ctx, input)
	case models.AppointmentStatusCompleted:
		return o.diary.Complete(ctx, input)
	case models.AppointmentStatusNoShow:
		return o.diary.MarkNoShow(ctx, input)
	case models.AppointmentStatusCancelled, models.AppointmentStatusScheduled:
	}
	return o.diary.Cancel(ctx, models.CancelAppointmentInput{ID: input.ID, ExpectedVersion: input.ExpectedVersion})
}

func TestSteps_FollowTheContract(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	// The contract's words, spelt out: which step may follow on which status.
	follows := map[models.AppointmentStatus]string{
		models.AppointmentStatusConfirmed:  "SCHEDULED",
		models.AppointmentStatusCheckedIn:  "SCHEDULED CONFIRMED NO_SHOW",
		models.AppointmentStatusInProgress: "CHECKED_IN",
		models.AppointmentStatusCompleted:  "IN_PROGRESS",
		models.AppointmentStatusNoShow:     "SCHEDULED CONFIRMED",
		models.AppointmentStatusCancelled:  "SCHEDULED CONFIRMED CHECKED_IN",
	}
	booked := o.book(t, o.at(t, "09:00"))
	o.now = o.at(t, "09:05") // it has begun, so that it may be missed
	for _, from := range models.AllAppointmentStatus {
		for next, allowed := range follows {
			o.setStatus(t, booked.ID, from)
			before := o.written(t)
			after, err := o.step(o.as(t, models.RoleOwner), next, models.AppointmentStepInput{ID: booked.GetID()})
			if !strings.Contains(" "+allowed+" ", " "+from.String()+" ") {
				require.Nil(t, after)
				mistake := refused(t, err, models.UserErrorCodeConflict, "id")
				require.Contains(t, mistake.Message, from.String())
				require.Equal(t, []string{booked.GetID()}, mistake.EntityIds)
				require.Equal(t, before, o.written(t))
				continue
			}
			require.NoError(t, err, "%s to %s", from, next)
			require.Equal(t, next, after.Status)
			require.Equal(t, booked.ContactID, after.ContactID)
			require.True(t, after.UpdatedAt.After(booked.UpdatedAt))
			require.Equal(t, 1, o.Count(t, "SELECT count(*) FROM appointments WHERE id = $1 AND status = $2 AND version = $3", booked.ID, next, after.Version))
		}
	}
}

func TestMarkNoShow_WaitsForTheStart(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	booked := o.book(t, o.at(t, "09:00"))
	before := o.written(t)
	_, err := o.diary.MarkNoShow(o.as(t, models.RoleReceptionist), models.AppointmentStepInput{ID: booked.GetID()})
	refused(t, err, models.UserErrorCodeConflict, "id")
	require.Equal(t, before, o.written(t))
	o.now = o.at(t, "09:00")
	_, err = o.diary.MarkNoShow(o.as(t, models.RoleReceptionist), models.AppointmentStepInput{ID: booked.GetID()})
	require.NoError(t, err)
}

func TestCancel_KeepsTheReasonAndFreesTheTime(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	booked := o.book(t, o.at(t, "09:00"))
	before := o.written(t)
	ctx := o.as(t, models.RoleReceptionist)
	for _, c := range []struct {
		reason string
		code   models.UserErrorCode
	}{{strings.Repeat("ç", 501), models.UserErrorCodeTooLong}, {"a\x00", models.UserErrorCodeInvalid}} {
		_, err := o.diary.Cancel(ctx, models.CancelAppointmentInput{ID: booked.GetID(), Reason: &c.reason})
		refused(t, err, c.code, "reason")
	}
	require.Equal(t, before, o.written(t))

	cancelled, err := o.diary.Cancel(ctx, models.CancelAppointmentInput{ID: booked.GetID(), Reason: new(" gripe 🤧 "), ExpectedVersion: new(1)})
	require.NoError(t, err)
	require.Equal(t, "gripe 🤧", *cancelled.CancellationReason)
	require.Equal(t, 2, cancelled.Version)
	o.book(t, o.at(t, "09:00"))
}

func TestSteps_RefuseWhatTheyCannotFindOrWhatChanged(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	booked := o.book(t, o.at(t, "09:00"))
	foreign := o.Appointment(t, o.elsewhere, 0, 0, o.at(t, "09:00"), 30*time.Minute)
	before := o.written(t)
	ctx := o.as(t, models.RoleOwner)
	var unknown models.Invalid
	for _, next := range models.AllAppointmentStatus[1:] {
		_, err := o.step(ctx, next, models.AppointmentStepInput{ID: "appointment_x"})
		refused(t, err, models.UserErrorCodeInvalid, "id")
		_, err = o.step(ctx, next, models.AppointmentStepInput{ID: models.KindContact.Global(booked.ID)})
		refused(t, err, models.UserErrorCodeInvalid, "id")
		_, err = o.step(ctx, next, models.AppointmentStepInput{ID: models.KindAppointment.Global(models.NewID())})
		refused(t, err, models.UserErrorCodeNotFound, "id")
		unknown = mistakesOf(t, err)
		_, err = o.step(ctx, next, models.AppointmentStepInput{ID: models.KindAppointment.Global(foreign)})
		require.Equal(t, unknown, mistakesOf(t, err))
		_, err = o.step(ctx, next, models.AppointmentStepInput{ID: booked.GetID(), ExpectedVersion: new(2)})
		require.Equal(t, []string{booked.GetID()}, refused(t, err, models.UserErrorCodeStale, "expectedVersion").EntityIds)
	}
	require.Equal(t, before, o.written(t))
}
