package touched_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/people/guesses"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/graph"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// world is a clinic with a little of everything, in which the same few rows are
// read and written again and again.
type world struct {
	*testkit.Database
	clinic *testkit.Clinic
	ctx    context.Context // the clinic's owner's
	now    time.Time
	dice   *rand.Rand

	graph  *graph.Graph
	people *people.Directory
	diary  *scheduling.Diary
	raised *raises
	// forgets is a family of tags that reads are taken not to have declared.
	forgets string

	// psql is a writer past the API; it hears the notifications, too.
	psql                              *pgx.Conn
	contacts, practitioners, services []uuid.UUID
}

// raises is a Coherence that keeps the tags of transactions.
type raises struct {
	mu       sync.Mutex
	tags     []touched.Tag
	outcomes []touched.Outcome
}

func (r *raises) Raise(_ context.Context, _ uuid.UUID, tags []touched.Tag) (func(context.Context, touched.Outcome), error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tags = append(r.tags, tags...)
	return func(_ context.Context, outcome touched.Outcome) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.outcomes = append(r.outcomes, outcome)
	}, nil
}

func (*raises) AwaitNotified(context.Context, string) error { return nil }

// taken gives what was raised since the last time.
func (r *raises) taken() []touched.Tag {
	r.mu.Lock()
	defer r.mu.Unlock()
	tags := r.tags
	r.tags = nil
	return tags
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	d := testkit.NewDatabase(t)
	w := &world{
		Database: d, clinic: d.NewClinic(t, "aurora"), now: time.Now().Truncate(time.Hour),
		dice: rand.New(rand.NewPCG(seed, 0)), raised: &raises{}, psql: d.Connect(t, d.SuperuserURL),
	}
	w.ctx = w.clinic.As(t.Context(), models.RoleOwner)
	db, err := database.Open(t.Context(), database.Config{URL: d.AppURL, MaxConns: 4, Coherence: w.raised})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	clock := func() time.Time { return w.now }
	w.graph = graph.New(t, db, d.Cursors, clock)
	w.people, w.diary = people.New(db, w.graph.Entities, d.Cursors, clock, guesses.Alone{}), scheduling.New(db, clock)
	w.contacts, w.practitioners, w.services = w.clinic.Contacts, w.clinic.Practitioners, w.clinic.Services
	w.exec(t, "SELECT set_config('app.clinic', $1, false)", w.clinic.ID.String())
	w.exec(t, "LISTEN "+database.NotifyChannel)
	w.notified(t)
	return w
}

func (w *world) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	_, err := w.psql.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// payload is a notification of a write past the API.
type payload struct {
	Clinic *uuid.UUID    `json:"c"`
	Tags   []touched.Tag `json:"t"`
	Token  string        `json:"k"`
}

// notified gives the tags of all writes past the API since the last time. It
// writes itself and waits until it hears that, since Postgres keeps the order.
func (w *world) notified(t testing.TB) []touched.Tag {
	t.Helper()
	mark := uuid.NewString()
	w.exec(t, "SELECT pg_notify($1, $2)", database.NotifyChannel, `{"k": "`+mark+`"}`)
	var tags []touched.Tag
	for {
		ctx, done := context.WithTimeout(t.Context(), 10*time.Second)
		heard, err := w.psql.WaitForNotification(ctx)
		done()
		require.NoError(t, err)
		var p payload
		require.NoError(t, json.Unmarshal([]byte(heard.Payload), &p))
		switch {
		case p.Token == mark:
			return tags
		case p.Clinic == nil || (*p.Clinic == w.clinic.ID && p.Tags == nil):
			tags = append(tags, touched.Everything)
		case *p.Clinic == w.clinic.ID:
			tags = append(tags, p.Tags...)
		}
	}
}

func one[T any](w *world, of []T) T { return of[w.dice.IntN(len(of))] }

func perhaps[T any](w *world, value T) *T {
	if w.dice.IntN(2) == 0 {
		return nil
	}
	return &value
}
