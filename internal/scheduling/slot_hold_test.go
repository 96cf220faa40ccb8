package scheduling_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
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

// Many clients hold, book, move, cancel and take back for the same morning, for as many
// rounds as are asked for: nothing ever overlaps, and no hold outlives its time.
func TestRace_TheSameMorningIsNeverGivenTwice(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	const clients = 12
	rounds := testkit.Longer(t, 15)
	var working sync.WaitGroup
	for client := range clients {
		working.Go(func() {
			random := rand.New(rand.NewPCG(uint64(client), 7))
			ctx := o.as(t, models.AllRole[client%4]) // who may override does not ask to
			var mine []string
			for range rounds {
				start := o.at(t, "08:00", 1).Add(time.Duration(random.IntN(8)) * 15 * time.Minute)
				visit := o.visit(start)
				visit.ContactID = models.KindContact.Global(o.here.Contacts[random.IntN(3)])
				visit.PractitionerID = models.KindPractitioner.Global(o.here.Practitioners[random.IntN(2)])
				var err error
				var booked *models.Appointment
				last := ""
				if len(mine) > 0 {
					last = mine[len(mine)-1]
				}
				switch random.IntN(6) {
				case 0, 1:
					booked, _, err = o.diary.Schedule(ctx, visit)
				case 2:
					var held *models.SlotHold
					seconds := 1 + random.IntN(3)
					held, _, err = o.diary.Hold(ctx, models.HoldSlotInput{PractitionerID: visit.PractitionerID, StartsAt: start, EndsAt: start.Add(30 * time.Minute), TTLSeconds: &seconds})
					if err == nil && random.IntN(3) > 0 {
						visit.HoldID = new(held.GetID())
						booked, _, err = o.diary.Schedule(ctx, visit)
					}
				case 3:
					_, _, err = o.diary.Reschedule(ctx, models.RescheduleAppointmentInput{ID: last, StartsAt: start})
				case 4:
					_, err = o.diary.Cancel(ctx, models.CancelAppointmentInput{ID: last})
				case 5:
					_, err = o.diary.Undo(ctx, models.UndoAppointmentStepInput{ID: last})
				}
				if booked != nil {
					mine = append(mine, booked.GetID())
				}
				var mistakes models.Invalid
				var busy *models.Error
				if err != nil && !errors.As(err, &mistakes) && (!errors.As(err, &busy) || busy.Code != models.Unavailable) {
					t.Error(err)
				}
			}
		})
	}
	working.Wait()
	require.Zero(t, o.doubleBookings(t))
	require.Positive(t, o.Count(t, "SELECT count(*) FROM appointments WHERE status NOT IN ('cancelado', 'faltou')"))
	require.Zero(t, o.Count(t, `SELECT count(*) FROM appointments a JOIN slot_holds h USING (clinic_id, practitioner_id)
		WHERE a.status NOT IN ('cancelado', 'faltou') AND tstzrange(a.starts_at, a.ends_at) && tstzrange(h.starts_at, h.ends_at) AND a.updated_at < h.expires_at AND a.updated_at > h.created_at`),
		"nobody books what is held")
	require.Zero(t, o.Count(t, `SELECT count(*) FROM appointments a JOIN appointments b ON a.clinic_id = b.clinic_id AND a.contact_id = b.contact_id AND a.id < b.id
		WHERE a.starts_at < b.ends_at AND b.starts_at < a.ends_at AND a.status NOT IN ('cancelado', 'faltou') AND b.status NOT IN ('cancelado', 'faltou')`), "no contact is in two places")
	require.Eventually(t, func() bool {
		return o.Count(t, "SELECT count(*) FROM slot_holds WHERE expires_at > clock_timestamp()") == 0
	}, 10*time.Second, 50*time.Millisecond)
	// And then all of it can be booked but for what is booked.
	for n := range 8 {
		visit := o.visit(o.at(t, "08:00", 1).Add(time.Duration(n) * 15 * time.Minute))
		if _, _, err := o.diary.Schedule(o.as(t, models.RoleReceptionist), visit); err != nil {
			for _, mistake := range mistakesOf(t, err) {
				for _, id := range mistake.EntityIds {
					require.Contains(t, id, "appointment_")
				}
			}
		}
	}
}
