package scheduling_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// race has 50 receptionists book the same half hour at the same moment, so many
// times in a row, and gives the greatest number of them who got it.
func (o *office) race(t *testing.T, rounds int) (mostWinners int) {
	t.Helper()
	const receptionists = 50
	ctx := o.as(t, models.RoleReceptionist)
	first := o.at(t, "08:00", 1)
	for round := range rounds {
		// Eight slots a morning, from Tuesday to Thursday, week after week.
		input := o.visit(first.AddDate(0, 0, 7*(round/24)+round/8%3).Add(time.Duration(round%8) * 30 * time.Minute))
		start := make(chan struct{})
		outcomes := make(chan error, receptionists)
		for range receptionists {
			go func() {
				<-start
				_, _, err := o.diary.Schedule(ctx, input)
				outcomes <- err
			}()
		}
		close(start)
		winners := 0
		for range receptionists {
			var busy *models.Error
			if err := <-outcomes; errors.As(err, &busy) && busy.Code == models.Unavailable {
				continue // on a busy machine some wait too long for their turn
			} else if err != nil {
				refused(t, err, models.UserErrorCodeConflict, "startsAt")
			} else {
				winners++
			}
		}
		mostWinners = max(mostWinners, winners)
		require.Positive(t, winners, "somebody must get it")
	}
	return mostWinners
}

// doubleBookings counts the pairs of live appointments that overlap.
func (o *office) doubleBookings(t *testing.T) int {
	t.Helper()
	return o.Count(t, `
		SELECT count(*) FROM appointments a JOIN appointments b
		  ON a.clinic_id = b.clinic_id AND a.practitioner_id = b.practitioner_id AND a.id < b.id
		WHERE a.starts_at < b.ends_at AND b.starts_at < a.ends_at
		  AND a.status NOT IN ('cancelado', 'faltou') AND b.status NOT IN ('cancelado', 'faltou')`)
}

func TestRace_OneOfFiftyBookingsWins(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	rounds := testkit.Longer(t, 40)
	require.Equal(t, 1, o.race(t, rounds))
	require.Zero(t, o.doubleBookings(t))
	require.Equal(t, rounds, o.Count(t, "SELECT count(*) FROM appointments"))
}

// The lock only makes refusals kind; the guarantee is the constraint's.
func TestRace_TheConstraintAloneHolds(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.diary.WithoutLock()
	require.Equal(t, 1, o.race(t, 20))
	require.Zero(t, o.doubleBookings(t))
}

// Without lock and constraint the race must be seen to go wrong, or the tests
// above would show nothing.
func TestRace_IsCaughtWithoutProtection(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.diary.WithoutLock()
	o.Exec(t, "ALTER TABLE appointments DROP CONSTRAINT appointments_no_double_booking")
	require.Greater(t, o.race(t, 10), 1)
	require.Positive(t, o.doubleBookings(t))
}

// interferer is a transaction that goes past the API and its locks, as an
// import might; what it wrote is not committed yet.
func (o *office) interfere(t *testing.T, sql string, args ...any) (commit func()) {
	t.Helper()
	tx, err := o.sql.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	_, err = tx.Exec(t.Context(), "SET LOCAL session_replication_role = replica")
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
	return func() { require.NoError(t, tx.Commit(t.Context())) }
}

// bookWaiting books and commits the interference once the booking waits for it.
func (o *office) bookWaiting(t *testing.T, input models.ScheduleAppointmentInput, commit func()) error {
	t.Helper()
	ctx := o.as(t, models.RoleReceptionist)
	return o.waiting(t, commit, func() error {
		_, _, err := o.diary.Schedule(ctx, input)
		return err
	})
}

func (o *office) waiting(t *testing.T, commit func(), change func() error) error {
	t.Helper()
	outcome := make(chan error, 1)
	go func() { outcome <- change() }()
	require.Eventually(t, func() bool {
		return o.Count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
	}, 10*time.Second, 5*time.Millisecond)
	commit()
	return <-outcome
}

const interferingAppointment = `
	INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at, scheduled_date, external_reference)
	VALUES ($1, $2, $3, $4, $5, $6, '2026-11-23', 'partner-1')`

func TestSchedule_ExplainsWhatTheConstraintRefused(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	id := models.NewID()
	commit := o.interfere(t, interferingAppointment,
		o.here.ID, id, o.here.Contacts[1], o.here.Practitioners[0], o.at(t, "09:00"), o.at(t, "09:30"))
	err := o.bookWaiting(t, o.visit(o.at(t, "09:15")), commit)
	clash := refused(t, err, models.UserErrorCodeConflict, "startsAt")
	require.Equal(t, []string{models.KindAppointment.Global(id)}, clash.EntityIds)
	require.Equal(t, 1, o.Count(t, "SELECT count(*) FROM appointments"))
}

func TestSchedule_ExplainsAReferenceTakenAMomentAgo(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	id := models.NewID()
	commit := o.interfere(t, interferingAppointment,
		o.here.ID, id, o.here.Contacts[1], o.here.Practitioners[1], o.at(t, "09:00"), o.at(t, "09:30"))
	input := o.visit(o.at(t, "09:15"))
	input.ExternalReference = new(" partner-1")
	err := o.bookWaiting(t, input, commit)
	require.Equal(t, []string{models.KindAppointment.Global(id)}, refused(t, err, models.UserErrorCodeTaken, "externalReference").EntityIds)
	require.Equal(t, 1, o.Count(t, "SELECT count(*) FROM appointments"))
}

func TestSchedule_ExplainsAHoldThatCameMeanwhile(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	// A hold that appears between the check and the insert.
	o.Exec(t, `
		CREATE FUNCTION hold_meanwhile() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		  INSERT INTO slot_holds (clinic_id, id, practitioner_id, subject, starts_at, ends_at, expires_at)
		  VALUES (NEW.clinic_id, gen_random_uuid(), NEW.practitioner_id, 'x', NEW.starts_at, NEW.ends_at, clock_timestamp() + interval '5 minutes');
		  RETURN NEW;
		END $$;
		CREATE TRIGGER a_hold_comes BEFORE INSERT ON appointments FOR EACH ROW EXECUTE FUNCTION hold_meanwhile()`)
	_, instead, err := o.diary.Schedule(o.as(t, models.RoleReceptionist), o.visit(o.at(t, "09:00")))
	refused(t, err, models.UserErrorCodeConflict, "startsAt")
	require.Len(t, instead, 5)
	require.Zero(t, o.Count(t, "SELECT count(*) FROM appointments"))
}

func TestSchedule_WaitsForAContactThatIsPutAway(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	commit := o.interfere(t, "UPDATE contacts SET status = 'arquivado' WHERE id = $1", o.here.Contacts[0])
	refused(t, o.bookWaiting(t, o.visit(o.at(t, "09:00")), commit), models.UserErrorCodeConflict, "contactId")
	require.Zero(t, o.Count(t, "SELECT count(*) FROM appointments"))
}

func TestReschedule_FollowsAnAppointmentThatMovesMeanwhile(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	booked := o.book(t, o.at(t, "09:00"))
	other := o.Appointment(t, o.here, 1, 1, o.at(t, "10:00"), 30*time.Minute)
	for _, c := range []struct {
		to      string
		blocked bool
	}{{"10:00", true}, {"11:00", false}} {
		o.Exec(t, "UPDATE appointments SET practitioner_id = $2 WHERE id = $1", booked.ID, o.here.Practitioners[0])
		commit := o.interfere(t, "UPDATE appointments SET practitioner_id = $2 WHERE id = $1", booked.ID, o.here.Practitioners[1])
		ctx, start := o.as(t, models.RoleOwner), o.at(t, c.to)
		var moved *models.Appointment
		err := o.waiting(t, commit, func() (err error) {
			moved, _, err = o.diary.Reschedule(ctx, models.RescheduleAppointmentInput{ID: booked.GetID(), StartsAt: start})
			return err
		})
		if c.blocked {
			require.Equal(t, []string{models.KindAppointment.Global(other)}, refused(t, err, models.UserErrorCodeConflict, "startsAt").EntityIds)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, o.here.Practitioners[1], moved.PractitionerID)
	}
}
