package calendar_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/calendar"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/graph"
	"github.com/taskmed/taskmed/models"
)

func monday() time.Time { return time.Date(2026, time.November, 23, 11, 0, 0, 0, time.UTC) }

// world is a clinic with a calendar over it.
type world struct {
	d      *testkit.Database
	clinic *testkit.Clinic
	made   func() *calendar.Calendar
}

func newWorld(t *testing.T) *world {
	t.Helper()
	d := testkit.NewDatabase(t)
	w := &world{d: d, clinic: d.NewClinic(t, "aurora")}
	w.made = func() *calendar.Calendar {
		return calendar.New(d.DB, graph.New(t, d.DB, d.Cursors, monday).Entities, d.Cursors, entity.Server{}, monday)
	}
	return w
}

// follower is a client that synchronises and keeps what it was given.
type follower struct {
	practitioner *uuid.UUID
	token        *string
	has          map[string]int // versions by id
}

// step asks once, and forgets what it was told where lose is true, as a client does that
// dies before it has written it down.
func (f *follower) step(ctx context.Context, t *testing.T, c *calendar.Calendar, first int, lose bool) (more bool) {
	t.Helper()
	got, err := c.Changes(ctx, f.practitioner, f.token, &first)
	if failed(t, err) {
		return false
	}
	assert.LessOrEqual(t, len(got.Changed)+len(got.RemovedIds), first)
	if lose {
		return true
	}
	for _, changed := range got.Changed {
		f.has[changed.GetID()] = changed.Version
	}
	for _, id := range got.RemovedIds {
		delete(f.has, id)
	}
	f.token = &got.SyncToken
	return got.HasMore
}

// failed notes an error in a goroutine, where a test cannot end.
func failed(t *testing.T, err error) bool {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	return err != nil
}

func (w *world) truth(t *testing.T, practitioner *uuid.UUID) map[string]int {
	t.Helper()
	rows, err := w.d.Connect(t, w.d.SuperuserURL).Query(t.Context(),
		"SELECT id, version FROM appointments WHERE clinic_id = $1 AND ($2::uuid IS NULL OR practitioner_id = $2)", w.clinic.ID, practitioner)
	require.NoError(t, err)
	all := map[string]int{}
	var id uuid.UUID
	var version int
	_, err = pgx.ForEachRow(rows, []any{&id, &version}, func() error {
		all[models.KindAppointment.Global(id)] = version
		return nil
	})
	require.NoError(t, err)
	return all
}

// write runs transactions of a few writes each, some of them long, some given up.
func (w *world) write(ctx context.Context, t *testing.T, conn *pgx.Conn, shared []uuid.UUID, transactions int, dice *rand.Rand) {
	t.Helper()
	var own []uuid.UUID
	for range transactions {
		tx, err := conn.Begin(ctx)
		if failed(t, err) {
			return
		}
		kept := append([]uuid.UUID(nil), own...)
		for range 1 + dice.IntN(4) {
			practitioner := w.clinic.Practitioners[dice.IntN(2)]
			switch choice := dice.IntN(10); {
			case choice < 4 || len(own) == 0:
				id := models.NewID()
				_, err = tx.Exec(ctx, `INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at, overbooked)
					VALUES ($1, $2, $3, $4, $5, $6, true)`, w.clinic.ID, id, w.clinic.Contacts[0], practitioner, monday(), monday().Add(time.Hour))
				own = append(own, id)
			case choice < 8:
				_, err = tx.Exec(ctx, "UPDATE appointments SET practitioner_id = $3 WHERE clinic_id = $1 AND id = $2", w.clinic.ID, own[dice.IntN(len(own))], practitioner)
			default:
				at := dice.IntN(len(own))
				_, err = tx.Exec(ctx, "DELETE FROM appointments WHERE clinic_id = $1 AND id = $2", w.clinic.ID, own[at])
				own = append(append([]uuid.UUID(nil), own[:at]...), own[at+1:]...)
			}
			failed(t, err)
			if dice.IntN(3) == 0 {
				_, err = tx.Exec(ctx, "SELECT pg_sleep($1)", dice.Float64()/50)
				failed(t, err)
			}
		}
		if dice.IntN(2) == 0 { // the last write: nobody holds one and waits for another
			_, err = tx.Exec(ctx, "UPDATE appointments SET practitioner_id = $3 WHERE clinic_id = $1 AND id = $2",
				w.clinic.ID, shared[dice.IntN(len(shared))], w.clinic.Practitioners[dice.IntN(2)])
			failed(t, err)
		}
		if dice.IntN(4) == 0 {
			own = kept
			failed(t, tx.Rollback(ctx))
			continue
		}
		failed(t, tx.Commit(ctx))
	}
}

// race has clients follow while others write, and gives how many appointments they are
// wrong about in the end.
// What they have is compared again for so long, until they are wrong about none: tokens
// that are short see what is committed only once nothing older runs in all of Postgres.
func (w *world) race(t *testing.T, made func() *calendar.Calendar, transactions int, patience time.Duration) (wrong int) {
	t.Helper()
	var shared []uuid.UUID
	for range 5 {
		shared = append(shared, w.d.Appointment(t, w.clinic, 0, 0, monday().Add(time.Duration(len(shared))*time.Hour), 30*time.Minute))
	}
	w.d.Exec(t, "UPDATE appointments SET overbooked = true")
	var writers, readers sync.WaitGroup
	ctx := w.clinic.As(t.Context(), models.RoleReceptionist)
	stop := make(chan struct{})
	for n := range uint64(6) {
		conn := w.d.Connect(t, w.d.SuperuserURL)
		writers.Go(func() { w.write(t.Context(), t, conn, shared, transactions, rand.New(rand.NewPCG(1, n))) })
	}
	followers := []*follower{{has: map[string]int{}}, {has: map[string]int{}, practitioner: &w.clinic.Practitioners[0]}, {has: map[string]int{}, practitioner: &w.clinic.Practitioners[1]}}
	for n, f := range followers {
		readers.Go(func() {
			dice := rand.New(rand.NewPCG(2, uint64(n)))
			c := made()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if dice.IntN(20) == 0 {
					c = made() // the server was restarted
				}
				f.step(ctx, t, c, 1+dice.IntN(20), dice.IntN(5) == 0)
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	c := made()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for last := time.Now().Add(patience); ; <-again.C {
		wrong = w.wrong(ctx, t, c, followers)
		if wrong == 0 || time.Now().After(last) {
			return wrong
		}
	}
}

// wrong lets the followers catch up, and counts the appointments that they are wrong about.
func (w *world) wrong(ctx context.Context, t *testing.T, c *calendar.Calendar, followers []*follower) (wrong int) {
	t.Helper()
	for _, f := range followers {
		// What was under way ends, and then what came after it began.
		for range 2 {
			for f.step(ctx, t, c, 100, false) {
			}
		}
		truth := w.truth(t, f.practitioner)
		for id, version := range truth {
			if f.has[id] != version {
				wrong++
			}
		}
		for id := range f.has {
			if _, there := truth[id]; !there {
				wrong++
			}
		}
	}
	return wrong
}

func TestChanges_MissNothingUnderConcurrentCommits(t *testing.T) {
	t.Parallel()
	// A reader that passes over what is not committed yet is caught.
	caught := 0
	for try := 0; caught == 0 && try < 5; try++ {
		w := newWorld(t)
		caught = w.race(t, func() *calendar.Calendar { return calendar.Hastily(w.made()) }, 40, 0)
	}
	require.Positive(t, caught, "the race is not seen")

	w := newWorld(t)
	assert.Zero(t, w.race(t, w.made, 120, 0))
	w = newWorld(t)
	assert.Zero(t, w.race(t, func() *calendar.Calendar { return calendar.Crowded(w.made()) }, 40, time.Minute), "with tokens too short for all that runs")
}

func TestChanges_SeeALongTransactionOnceItIsCommitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.made()
	ctx := w.clinic.As(t.Context(), models.RoleReceptionist)
	f := &follower{has: map[string]int{}}
	f.step(ctx, t, c, 100, false)
	conn := w.d.Connect(t, w.d.SuperuserURL)
	long, err := conn.Begin(ctx)
	require.NoError(t, err)
	late := models.NewID()
	_, err = long.Exec(ctx, `INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		w.clinic.ID, late, w.clinic.Contacts[0], w.clinic.Practitioners[0], monday(), monday().Add(time.Hour))
	require.NoError(t, err)
	early := w.d.Appointment(t, w.clinic, 1, 1, monday(), time.Hour)
	require.False(t, f.step(ctx, t, c, 100, false))
	assert.Equal(t, map[string]int{models.KindAppointment.Global(early): 1}, f.has)
	for range 3 {
		got, err := c.Changes(ctx, nil, f.token, nil)
		require.NoError(t, err)
		assert.Empty(t, got.Changed, "it is given once, though an older transaction runs")
	}
	require.NoError(t, long.Commit(ctx))
	f.step(ctx, t, c, 100, false)
	assert.Len(t, f.has, 2)
	assert.Contains(t, f.has, models.KindAppointment.Global(late))
}

func TestChanges_TokensEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.clinic.As(t.Context(), models.RoleReceptionist)
	entities := graph.New(t, w.d.DB, w.d.Cursors, monday).Entities
	at := func(d *testkit.Database, now time.Time) *calendar.Calendar {
		return calendar.New(d.DB, entities, d.Cursors, entity.Server{}, func() time.Time { return now })
	}
	code := func(c *calendar.Calendar, practitioner *uuid.UUID, token string) models.Code {
		_, err := c.Changes(ctx, practitioner, &token, nil)
		var known *models.Error
		if err == nil || !assert.ErrorAs(t, err, &known) {
			return ""
		}
		return known.Code
	}
	got, err := at(w.d, monday()).Changes(ctx, nil, nil, nil)
	require.NoError(t, err)
	assert.Empty(t, code(at(w.d, monday().AddDate(0, 0, 30)), nil, got.SyncToken))
	assert.Equal(t, models.Expired, code(at(w.d, monday().AddDate(0, 0, 30).Add(time.Second)), nil, got.SyncToken))
	assert.Equal(t, models.BadUserInput, code(at(w.d, monday()), &w.clinic.Practitioners[0], got.SyncToken), "another list's")
	assert.Equal(t, models.BadUserInput, code(at(w.d, monday()), nil, "x"))
	other := w.d.NewClinic(t, "horizonte")
	_, err = at(w.d, monday()).Changes(other.As(t.Context(), models.RoleOwner), nil, &got.SyncToken, nil)
	var known *models.Error
	require.ErrorAs(t, err, &known)
	assert.Equal(t, models.BadUserInput, known.Code, "another clinic's")

	w.d.DB.Close()
	restored := w.d.Restore(t)
	graphed := graph.New(t, restored.DB, restored.Cursors, monday).Entities
	moved := calendar.New(restored.DB, graphed, restored.Cursors, entity.Server{}, monday)
	assert.Equal(t, models.Expired, code(moved, nil, got.SyncToken), "a restored database's transactions have other numbers")
}
