package scheduling_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

func (o *office) hold(ctx context.Context, start time.Time, seconds int) (*models.SlotHold, []*models.Slot, error) {
	return o.diary.Hold(ctx, models.HoldSlotInput{
		PractitionerID: models.KindPractitioner.Global(o.here.Practitioners[0]), StartsAt: start, EndsAt: start.Add(30 * time.Minute), TTLSeconds: &seconds,
	})
}

func TestHold_KeepsASlotForWhoHoldsIt(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	desk, partner := o.as(t, models.RoleReceptionist), o.as(t, models.RolePartner)
	nine := o.at(t, "09:00")
	held, _, err := o.hold(desk, nine, 300)
	require.NoError(t, err)
	require.InDelta(t, 300, o.Count(t, "SELECT extract(epoch FROM expires_at - clock_timestamp())::int FROM slot_holds WHERE id = $1", held.ID), 10)

	_, instead, err := o.hold(partner, o.at(t, "09:15"), 300)
	require.Equal(t, []string{held.GetID()}, refused(t, err, models.UserErrorCodeConflict, "startsAt").EntityIds)
	require.Len(t, instead, 5)
	_, _, err = o.diary.Schedule(partner, o.visit(nine))
	require.Equal(t, []string{held.GetID()}, refused(t, err, models.UserErrorCodeConflict, "startsAt").EntityIds)
	visit := o.visit(nine)
	visit.HoldID = new(held.GetID())
	_, _, err = o.diary.Schedule(partner, visit)
	refused(t, err, models.UserErrorCodeForbidden, "holdId")

	visit.StartsAt = o.at(t, "10:00")
	_, _, err = o.diary.Schedule(desk, visit)
	refused(t, err, models.UserErrorCodeConflict, "holdId")
	visit.StartsAt = nine
	o.Rehearsed(t, desk, func(ctx context.Context) {
		_, _, err := o.diary.Schedule(ctx, visit)
		require.NoError(t, err)
	})
	require.Equal(t, 1, o.Count(t, "SELECT count(*) FROM slot_holds"), "a dry run redeems nothing")
	booked, _, err := o.diary.Schedule(desk, visit)
	require.NoError(t, err)
	require.False(t, booked.Overbooked)
	require.Zero(t, o.Count(t, "SELECT count(*) FROM slot_holds"))
	_, _, err = o.diary.Schedule(desk, visit)
	refused(t, err, models.UserErrorCodeNotFound, "holdId")
	_, _, err = o.hold(desk, nine, 300)
	require.Equal(t, []string{booked.GetID()}, refused(t, err, models.UserErrorCodeConflict, "startsAt").EntityIds)
}

func TestHold_EndsByItselfOrByRelease(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	desk := o.as(t, models.RoleReceptionist)
	nine := o.at(t, "09:00")
	held, _, err := o.hold(desk, nine, 300)
	require.NoError(t, err)
	_, err = o.diary.Release(o.as(t, models.RolePartner), models.ReleaseSlotInput{ID: held.GetID()})
	refused(t, err, models.UserErrorCodeForbidden, "id")
	_, err = o.diary.Release(o.elsewhere.As(t.Context(), models.RoleOwner), models.ReleaseSlotInput{ID: held.GetID()})
	refused(t, err, models.UserErrorCodeNotFound, "id")
	_, err = o.diary.Release(o.as(t, models.RoleAdmin), models.ReleaseSlotInput{ID: held.GetID()})
	require.NoError(t, err)
	_, err = o.diary.Release(desk, models.ReleaseSlotInput{ID: held.GetID()})
	refused(t, err, models.UserErrorCodeNotFound, "id")

	held, _, err = o.hold(desk, nine, 300)
	require.NoError(t, err)
	o.Exec(t, "UPDATE slot_holds SET created_at = created_at - interval '6 minutes', expires_at = expires_at - interval '6 minutes'")
	visit := o.visit(nine)
	visit.HoldID = new(held.GetID())
	_, _, err = o.diary.Schedule(desk, visit)
	refused(t, err, models.UserErrorCodeExpired, "holdId")
	// What has expired is in nobody's way, and is gone once somebody needs its place.
	_, _, err = o.hold(o.as(t, models.RolePartner), nine, 300)
	require.NoError(t, err)
	require.Equal(t, 1, o.Count(t, "SELECT count(*) FROM slot_holds"))
}

func TestHold_RefusesWhatCannotBeHeld(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	owner := o.as(t, models.RoleOwner)
	for clock, code := range map[string]models.UserErrorCode{
		"06:00": models.UserErrorCodeInvalid, "12:00": models.UserErrorCodeOutOfHours, "08:07": models.UserErrorCodeOutOfHours,
	} {
		_, _, err := o.hold(owner, o.at(t, clock), 300)
		require.Equal(t, code, mistakesOf(t, err)[0].Code, clock)
	}
	for _, seconds := range []int{0, -1, 3601} {
		_, _, err := o.hold(owner, o.at(t, "09:00"), seconds)
		refused(t, err, models.UserErrorCodeInvalid, "ttlSeconds")
	}
	for n := range 20 {
		_, _, err := o.hold(owner, o.at(t, "08:00", 1+n/5).Add(time.Duration(n%5)*30*time.Minute), 300)
		require.NoError(t, err, n)
	}
	_, _, err := o.hold(owner, o.at(t, "14:00"), 300)
	refused(t, err, models.UserErrorCodeLimit, "startsAt")
}
