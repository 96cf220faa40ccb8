package maintenance

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// attended is a clinic in which Ana waits for João's half hour with Dra. Beatriz.
type attended struct {
	*testkit.Database

	clinic *testkit.Clinic
	list   *scheduling.Waitlist
	diary  *scheduling.Diary
	visits []uuid.UUID
}

func openAttended(t *testing.T) *attended {
	t.Helper()
	d := testkit.NewDatabase(t)
	now := time.Date(2026, time.November, 23, 10, 0, 0, 0, time.UTC)
	diary := scheduling.New(d.DB, func() time.Time { return now })
	a := &attended{Database: d, clinic: d.NewClinic(t, "here"), list: scheduling.NewWaitlist(diary, scheduling.Uncounted{}), diary: diary}
	for n := range 6 {
		a.visits = append(a.visits, d.Appointment(t, a.clinic, 1, 0, now.Add(time.Duration(25+n)*time.Hour), 30*time.Minute))
	}
	for contact := range 3 {
		_, err := a.list.Join(a.clinic.As(t.Context(), models.RoleReceptionist), models.JoinWaitlistInput{
			ContactID: models.KindContact.Global(a.clinic.Contacts[contact]), ServiceID: models.KindService.Global(a.clinic.Services[0]),
		})
		require.NoError(t, err)
	}
	return a
}

func (a *attended) cancel(t *testing.T, n int) {
	t.Helper()
	_, err := a.diary.Cancel(a.clinic.As(t.Context(), models.RoleReceptionist), models.CancelAppointmentInput{ID: models.KindAppointment.Global(a.visits[n])})
	require.NoError(t, err)
}

func (a *attended) offers(t *testing.T) int {
	t.Helper()
	return a.Count(t, "SELECT count(*) FROM waitlist_offers WHERE outcome IS NULL")
}

func (a *attended) config(attend func(context.Context, uuid.UUID) error) AttendantConfig {
	return AttendantConfig{URL: a.AppURL, Log: slog.New(slog.DiscardHandler), Attend: attend}
}

// Told by Postgres, it attends without waiting for its next look, which is an hour away.
func TestAttendants_OfferAtOnceWhatIsCancelled(t *testing.T) {
	t.Parallel()
	a := openAttended(t)
	var calls atomic.Int64
	for range 2 {
		config := a.config(func(ctx context.Context, clinic uuid.UUID) error {
			calls.Add(1)
			return a.list.Attend(ctx, clinic)
		})
		config.Look = time.Hour
		keeps := NewAttendant(config)
		defer keeps.Close()
	}
	require.Eventually(t, func() bool {
		return a.Count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'taskmed waiting lists' AND query LIKE '%waitlist_due%'") == 2
	}, 30*time.Second, 10*time.Millisecond, "both listen")
	require.Zero(t, calls.Load(), "nothing was due")
	a.cancel(t, 0)
	require.Eventually(t, func() bool { return a.offers(t) == 1 }, 30*time.Second, 10*time.Millisecond)
	a.cancel(t, 1)
	a.cancel(t, 2)
	require.Eventually(t, func() bool { return a.offers(t) == 3 }, 30*time.Second, 10*time.Millisecond)
	require.Equal(t, 3, a.Count(t, "SELECT count(DISTINCT (entry_id, starts_at)) FROM waitlist_offers"))
	require.Equal(t, 3, a.Count(t, "SELECT count(DISTINCT starts_at) FROM waitlist_offers"))
}

// Whoever was at it is gone at the worst moment, and nobody tells: what was not finished
// is rolled back, and the other's next look finds it. So it is with what expires.
func TestAttendants_TakeOverFromOneThatIsGone(t *testing.T) {
	t.Parallel()
	a := openAttended(t)
	// One has the note and the entry in hand, has made its offer, and has not committed.
	gone := a.Connect(t, a.SuperuserURL)
	a.cancel(t, 0)
	tx, err := gone.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "DELETE FROM waitlist_work")
	require.NoError(t, err)
	config := a.config(a.list.Attend)
	config.Look = 10 * time.Millisecond
	keeps := NewAttendant(config)
	defer keeps.Close()
	require.Never(t, func() bool { return a.offers(t) > 0 }, 100*time.Millisecond, 20*time.Millisecond, "it is in hand")
	a.Exec(t, "SELECT pg_terminate_backend($1)", gone.PgConn().PID())
	require.Eventually(t, func() bool { return a.offers(t) == 1 }, 30*time.Second, 10*time.Millisecond)

	// Its own connection is gone, too: it connects again.
	a.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'taskmed waiting lists'")
	a.Exec(t, "UPDATE slot_holds SET created_at = created_at - interval '1 hour', expires_at = expires_at - interval '1 hour'")
	a.Exec(t, "UPDATE waitlist_offers SET offered_at = offered_at - interval '1 hour', expires_at = expires_at - interval '1 hour'")
	require.Eventually(t, func() bool {
		return a.Count(t, "SELECT count(*) FROM waitlist_offers WHERE outcome = 'lapsed'") == 1 && a.offers(t) == 1
	}, 30*time.Second, 10*time.Millisecond, "and it goes to the next")
	require.Equal(t, 2, a.Count(t, "SELECT count(DISTINCT entry_id) FROM waitlist_offers"))
}

// The application learns which clinics have something to do, and nothing else of them.
func TestDue_TellsClinicsAlone(t *testing.T) {
	t.Parallel()
	a := openAttended(t)
	b := a.NewClinic(t, "elsewhere")
	app := a.Connect(t, a.AppURL)
	due := func() (clinics []uuid.UUID) {
		rows, err := app.Query(t.Context(), "SELECT clinic FROM waitlist_due(true)")
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var clinic uuid.UUID
			require.NoError(t, rows.Scan(&clinic))
			clinics = append(clinics, clinic)
		}
		require.NoError(t, rows.Err())
		return clinics
	}
	require.Empty(t, due())
	a.cancel(t, 0)
	require.Equal(t, []uuid.UUID{a.clinic.ID}, due())
	_, err := app.Exec(t.Context(), "SELECT set_config('app.clinic', $1, false)", b.ID.String())
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{a.clinic.ID}, due())
	for _, table := range []string{"waitlist_work", "waitlist_offers", "waitlist_entries"} {
		var count int
		require.NoError(t, app.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&count))
		require.Zero(t, count, table)
	}
	// The function's owner sees what is due, and no more.
	owner := a.Connect(t, a.SuperuserURL)
	_, err = owner.Exec(t.Context(), "SET ROLE taskmed_lookup; SET app.clinic = '00000000-0000-0000-0000-000000000000'")
	require.NoError(t, err)
	var entries, work int
	require.NoError(t, owner.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM waitlist_entries), (SELECT count(*) FROM waitlist_work)").Scan(&entries, &work))
	require.Zero(t, entries)
	require.Equal(t, 1, work)
}
