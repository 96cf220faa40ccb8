package scheduling_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

// morning is a race for one morning, and what is known of it.
type morning struct {
	*line

	contacts []uuid.UUID
	until    time.Time
	// done counts what went well, by what it was; busy whoever waited too long.
	done map[string]*atomic.Int64
	busy atomic.Int64

	mu sync.Mutex
	// inTheWay are holds that a request was refused for, and when that was made.
	inTheWay []refusal
}

type refusal struct {
	hold  string
	asked time.Time
}

// lasts is how many race for how long: TASKMED_TEST_MORNING=60s has 50 of them race for a
// minute.
func lasts(t *testing.T) (clients int, period time.Duration) {
	t.Helper()
	said := os.Getenv("TASKMED_TEST_MORNING")
	if said == "" {
		return 8, 2500 * time.Millisecond
	}
	period, err := time.ParseDuration(said)
	require.NoError(t, err, "TASKMED_TEST_MORNING is a duration")
	return 50, period
}

// watch has Postgres write down when each slot was held and booked, and by which
// transaction.
const watch = `
	CREATE TABLE watched_holds (id uuid, practitioner uuid, span tstzrange, offered boolean, expires timestamptz, began timestamptz, ended timestamptz, ended_by xid8);
	CREATE TABLE watched_bookings (id uuid, practitioner uuid, span tstzrange, at timestamptz, by xid8);
	CREATE FUNCTION watch_holds() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
	  IF TG_OP = 'INSERT' THEN
	    INSERT INTO watched_holds VALUES (NEW.id, NEW.practitioner_id, tstzrange(NEW.starts_at, NEW.ends_at), NEW.waitlist_entry_id IS NOT NULL, NEW.expires_at, clock_timestamp(), NULL, NULL);
	  ELSE
	    UPDATE watched_holds SET ended = clock_timestamp(), ended_by = pg_current_xact_id() WHERE id = OLD.id;
	  END IF;
	  RETURN NULL;
	END $$;
	CREATE TRIGGER watch_holds AFTER INSERT OR DELETE ON slot_holds FOR EACH ROW EXECUTE FUNCTION watch_holds();
	CREATE FUNCTION watch_bookings() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
	  IF NEW.status NOT IN ('cancelado', 'faltou') THEN
	    INSERT INTO watched_bookings VALUES (NEW.id, NEW.practitioner_id, tstzrange(NEW.starts_at, NEW.ends_at), clock_timestamp(), pg_current_xact_id());
	  END IF;
	  RETURN NULL;
	END $$;
	CREATE TRIGGER watch_bookings AFTER INSERT OR UPDATE OF status, practitioner_id, starts_at, ends_at ON appointments FOR EACH ROW EXECUTE FUNCTION watch_bookings()`

// Many clients hold, book, move, cancel, take back, wait in line and accept for the same
// morning, while two instances attend to the line: nothing ever overlaps, nobody books
// what is held or offered, no hold is in anybody's way after its time, and each offer is
// taken at most once.
func TestRace_TheSameMorningIsNeverGivenTwice(t *testing.T) {
	t.Parallel()
	clients, period := lasts(t)
	m := openMorning(t)
	overlaps, looks := m.race(t, clients, period)
	require.Zero(t, overlaps, "in %d looks", looks)
	m.judge(t)
}

// Without lock, constraint and triggers the race must be seen to go wrong, or the test
// above would show nothing.
func TestRace_TheMorningIsCaughtWithoutProtection(t *testing.T) {
	t.Parallel()
	m := openMorning(t)
	m.diary.WithoutLock()
	m.Exec(t, `ALTER TABLE appointments DROP CONSTRAINT appointments_no_double_booking;
		DROP TRIGGER appointments_respect_holds ON appointments; DROP TRIGGER slot_holds_respect_appointments ON slot_holds;
		CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$;
		CREATE TRIGGER dawdle BEFORE INSERT ON appointments FOR EACH ROW EXECUTE FUNCTION dawdle();
		CREATE TRIGGER dawdle BEFORE INSERT ON slot_holds FOR EACH ROW EXECUTE FUNCTION dawdle()`)
	double, held := 0, 0
	for round := 0; round < 100 && (double == 0 || held == 0); round++ {
		m.race(t, 12, time.Second/2)
		double, held = double+m.doubleBookings(t), m.bookedOverHolds(t)
	}
	require.Positive(t, double)
	require.Positive(t, held)
}

func openMorning(t *testing.T) *morning {
	t.Helper()
	m := &morning{line: openLine(t), done: map[string]*atomic.Int64{}}
	for _, what := range []string{"book", "hold", "redeem", "move", "cancel", "undo", "join", "leave", "accept", "decline"} {
		m.done[what] = &atomic.Int64{}
	}
	m.list.OffersLast(700 * time.Millisecond)
	m.Exec(t, watch)
	m.contacts = m.here.Contacts
	for n := range 40 {
		id := models.NewID()
		m.Exec(t, "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, $3)", m.here.ID, id, fmt.Sprint("Paciente ", n))
		m.contacts = append(m.contacts, id)
	}
	return m
}

// race has so many clients at it for so long, and gives the overlaps that were seen
// meanwhile, in so many looks.
func (m *morning) race(t *testing.T, clients int, period time.Duration) (overlaps, looks int) {
	t.Helper()
	m.until = time.Now().Add(period)
	var working, attending sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		attending.Go(func() { m.keepAttending(t, stop) })
	}
	for client := range clients {
		working.Go(func() { m.play(t, client) })
	}
	for ; time.Now().Before(m.until); looks++ {
		overlaps += m.doubleBookings(t)
		<-time.After(50 * time.Millisecond)
	}
	working.Wait()
	close(stop)
	attending.Wait()
	return overlaps, looks
}

// bookedOverHolds counts bookings of what was held at that moment, but for those that
// redeemed it.
func (m *morning) bookedOverHolds(t *testing.T) int {
	t.Helper()
	return m.Count(t, `SELECT count(*) FROM watched_bookings b JOIN watched_holds h ON h.practitioner = b.practitioner AND h.span && b.span
		WHERE b.at > h.began AND b.at < least(h.expires, coalesce(h.ended, 'infinity')) AND b.by IS DISTINCT FROM h.ended_by`)
}

func (m *morning) keepAttending(t *testing.T, stop chan struct{}) {
	t.Helper()
	for {
		select {
		case <-stop:
			return
		case <-time.After(20 * time.Millisecond):
		}
		m.wrong(t, time.Now(), m.list.Attend(context.WithoutCancel(t.Context()), m.here.ID))
	}
}

// wrong tells whether something was refused, which it may be, and fails the test for
// what it may not.
func (m *morning) wrong(t *testing.T, asked time.Time, err error) bool {
	t.Helper()
	var mistakes models.Invalid
	var failed *models.Error
	switch {
	case err == nil:
		return false
	case errors.As(err, &mistakes):
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, mistake := range mistakes {
			for _, id := range mistake.EntityIds {
				if strings.HasPrefix(id, string(models.KindSlotHold)) && mistake.Code == models.UserErrorCodeConflict {
					m.inTheWay = append(m.inTheWay, refusal{id, asked})
				}
			}
		}
	case errors.As(err, &failed) && failed.Code == models.Unavailable:
		m.busy.Add(1) // on a busy machine some wait too long for their turn
	default:
		t.Error(err)
	}
	return true
}

// play is what one client does: what it has booked it moves, cancels and takes back.
func (m *morning) play(t *testing.T, client int) {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(client), 7))
	ctx := m.as(t, []models.Role{models.RoleOwner, models.RoleAdmin, models.RolePractitioner, models.RoleReceptionist}[client%4])
	var booked, entries []string
	last := func(of []string) string {
		if len(of) == 0 {
			return ""
		}
		return of[len(of)-1-random.IntN(min(3, len(of)))]
	}
	for time.Now().Before(m.until) {
		start := m.at(t, "08:00", 1).Add(time.Duration(random.IntN(8)) * 15 * time.Minute)
		visit := m.visit(start)
		visit.ContactID = models.KindContact.Global(m.contacts[random.IntN(len(m.contacts))])
		visit.PractitionerID = models.KindPractitioner.Global(m.here.Practitioners[random.IntN(2)])
		asked := time.Now()
		var made *models.Appointment
		var err error
		what := ""
		switch random.IntN(12) {
		case 0, 1:
			what = "book"
			made, _, err = m.diary.Schedule(ctx, visit)
		case 2, 3:
			what = "hold"
			var held *models.SlotHold
			held, _, err = m.diary.Hold(ctx, models.HoldSlotInput{
				PractitionerID: visit.PractitionerID, StartsAt: start, EndsAt: start.Add(30 * time.Minute), TTLSeconds: new(1 + random.IntN(2)),
			})
			if err == nil && random.IntN(3) > 0 {
				m.done[what].Add(1)
				what = "redeem"
				visit.HoldID = new(held.GetID())
				made, _, err = m.diary.Schedule(ctx, visit)
			}
		case 4:
			what = "move"
			_, _, err = m.diary.Reschedule(ctx, models.RescheduleAppointmentInput{ID: last(booked), StartsAt: start})
		case 5, 6, 7:
			what = "cancel"
			_, err = m.diary.Cancel(ctx, models.CancelAppointmentInput{ID: last(booked)})
		case 8:
			what = "undo"
			_, err = m.diary.Undo(ctx, models.UndoAppointmentStepInput{ID: last(booked)})
		case 9:
			what = "join"
			var entry *models.WaitlistEntry
			entry, err = m.list.Join(ctx, models.JoinWaitlistInput{
				ContactID: visit.ContactID, ServiceID: *visit.ServiceID,
				Range: &models.DateTimeRange{From: new(m.at(t, "08:00", 1).Add(-time.Duration(random.IntN(1e6)) * time.Microsecond)), To: new(m.at(t, "10:00", 1))},
			})
			if err == nil {
				entries = append(entries, entry.GetID())
			}
		case 10:
			what = "leave"
			if random.IntN(2) > 0 {
				what = "decline"
				_, err = m.list.Decline(ctx, models.WaitlistOfferInput{ID: m.anyOffer(ctx, t, last(entries))})
			} else {
				_, err = m.list.Leave(ctx, models.LeaveWaitlistInput{ID: last(entries)})
			}
		case 11:
			what = "accept"
			made, _, err = m.list.Accept(ctx, models.WaitlistOfferInput{ID: m.anyOffer(ctx, t, last(entries))})
		}
		if made != nil {
			booked = append(booked, made.GetID())
		}
		if !m.wrong(t, asked, err) {
			m.done[what].Add(1)
		}
	}
}

// anyOffer is an entry to which something is offered, anybody's, so that many take the
// same; or else the given one.
func (m *morning) anyOffer(ctx context.Context, t *testing.T, otherwise string) string {
	t.Helper()
	var ids []uuid.UUID
	rows, err := m.sql.Query(context.WithoutCancel(ctx), "SELECT id FROM waitlist_entries WHERE offer_expires_at > clock_timestamp() ORDER BY id LIMIT 1")
	if err == nil {
		for rows.Next() {
			var id uuid.UUID
			if err = rows.Scan(&id); err == nil {
				ids = append(ids, id)
			}
		}
		rows.Close()
	}
	if err != nil {
		t.Error(err)
	}
	if len(ids) == 0 {
		return otherwise
	}
	return models.KindWaitlistEntry.Global(ids[0])
}

func (m *morning) judge(t *testing.T) {
	t.Helper()
	require.Zero(t, m.doubleBookings(t))
	require.Positive(t, m.Count(t, "SELECT count(*) FROM appointments WHERE status NOT IN ('cancelado', 'faltou')"))
	require.Zero(t, m.bookedOverHolds(t), "nobody books what is held")
	require.Zero(t, m.Count(t, `SELECT count(*) FROM appointments a JOIN appointments b ON a.clinic_id = b.clinic_id AND a.contact_id = b.contact_id AND a.id < b.id
		WHERE a.starts_at < b.ends_at AND b.starts_at < a.ends_at AND a.status NOT IN ('cancelado', 'faltou') AND b.status NOT IN ('cancelado', 'faltou')`), "no contact is in two places")
	for _, one := range m.inTheWay {
		id, err := models.KindSlotHold.Parse(one.hold)
		require.NoError(t, err)
		require.Zero(t, m.Count(t, "SELECT count(*) FROM watched_holds WHERE id = $1 AND expires < $2", id, one.asked), "a hold was in the way after its time")
	}

	accepted := int(m.done["accept"].Load())
	require.Equal(t, accepted, m.Count(t, "SELECT count(*) FROM waitlist_offers WHERE outcome = 'accepted'"))
	require.Equal(t, accepted, m.Count(t, "SELECT count(DISTINCT appointment_id) FROM waitlist_offers"))
	require.Equal(t, accepted, m.Count(t, "SELECT count(*) FROM waitlist_entries WHERE status = 'agendado'"))
	require.Zero(t, m.Count(t, `SELECT count(*) FROM waitlist_offers o LEFT JOIN watched_bookings b ON b.id = o.appointment_id AND b.span = tstzrange(o.starts_at, o.ends_at) AND b.practitioner = o.practitioner_id
		WHERE o.outcome = 'accepted' AND (b.id IS NULL OR o.ended_at > o.expires_at + interval '5 seconds')`), "what was accepted was booked as it was offered")
	require.Zero(t, m.Count(t, "SELECT count(*) FROM watched_holds a JOIN watched_holds b ON a.practitioner = b.practitioner AND a.span && b.span AND a.id < b.id WHERE a.began < least(b.expires, coalesce(b.ended, 'infinity')) AND b.began < least(a.expires, coalesce(a.ended, 'infinity'))"),
		"two hold the same time")
	require.Eventually(t, func() bool {
		return m.Count(t, "SELECT count(*) FROM slot_holds WHERE expires_at > clock_timestamp()") == 0
	}, 10*time.Second, 50*time.Millisecond)
	var told []string
	for what, times := range m.done {
		told = append(told, fmt.Sprint(what, " ", times.Load()))
	}
	t.Logf("%s; refused for a hold %d times, waited too long %d times, %d deadlocks; %d offers, %d of them accepted", strings.Join(told, ", "), len(m.inTheWay), m.busy.Load(),
		m.Count(t, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"),
		m.Count(t, "SELECT count(*) FROM waitlist_offers"), accepted)

	// Nobody is left in line, and then all of it can be booked but for what is booked.
	m.Exec(t, "UPDATE contacts SET deceased_on = '2026-11-20'")
	m.attend(t)
	require.Zero(t, m.Count(t, "SELECT count(*) FROM waitlist_work WHERE due_at <= clock_timestamp()"))
	require.Zero(t, m.Count(t, "SELECT count(*) FROM waitlist_offers WHERE outcome IS NULL"))
	for n := range 8 {
		visit := m.visit(m.at(t, "08:00", 1).Add(time.Duration(n) * 15 * time.Minute))
		if _, _, err := m.diary.Schedule(m.as(t, models.RoleReceptionist), visit); err != nil {
			for _, mistake := range mistakesOf(t, err) {
				for _, id := range mistake.EntityIds {
					require.Contains(t, id, "appointment_")
				}
			}
		}
	}
}
