package live_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// subscriber hears over sockets that it opens and cuts at random, now of one instance and
// now of the other, and goes on after the last change that it has seen.
type subscriber struct {
	after string
	told  []change
	cuts  int
	// foreign is what it was told of another clinic.
	foreign []string
}

func (s *subscriber) run(ctx context.Context, t *testing.T, clients []*api.Client, servers []*api.Server, dice *rand.Rand, enough func(last int64) bool) {
	t.Helper()
	for ctx.Err() == nil {
		at := dice.IntN(len(servers))
		s.hear(ctx, t, clients[at], servers[at], dice, enough)
		if len(s.told) > 0 && enough(s.told[len(s.told)-1].Position) {
			return
		}
		s.cuts++
	}
}

func (s *subscriber) hear(ctx context.Context, t *testing.T, client *api.Client, server *api.Server, dice *rand.Rand, enough func(last int64) bool) {
	t.Helper()
	ctx, done := context.WithTimeout(ctx, time.Duration(200+dice.IntN(3000))*time.Millisecond)
	defer done()
	conn, _, err := dial(t, server, nil)
	if !assert.NoError(t, err) { //nolint:testifylint // beside the test, where require may not end it
		return
	}
	defer func() { _ = conn.CloseNow() }()
	for _, m := range []any{
		map[string]any{"type": "connection_init", "payload": credentials(t, client)},
		map[string]any{"type": "subscribe", "id": "a", "payload": body(changed, map[string]any{"after": s.after})},
	} {
		text, err := json.Marshal(m)
		assert.NoError(t, err) //nolint:testifylint // beside the test, where require may not end it
		if conn.Write(ctx, websocket.MessageText, text) != nil {
			return
		}
	}
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return
		}
		var m message
		if assert.NoError(t, json.Unmarshal(text, &m)); m.Type != "next" { //nolint:testifylint // beside the test, where require may not end it
			if m.Type == "error" { // a busy machine: it is asked again
				assert.Contains(t, string(m.Payload), "UNAVAILABLE")
				return
			}
			continue
		}
		a := m.answer(t)
		if !assert.Empty(t, a.Errors) || a.Data.Changed == nil {
			return
		}
		s.told, s.after = append(s.told, *a.Data.Changed), a.Data.Changed.ID
		if entity := a.Data.Changed.Entity; entity == nil || entity.Name == canary {
			s.foreign = append(s.foreign, string(m.Payload))
		}
		if enough(a.Data.Changed.Position) {
			return
		}
	}
}

// canary is the name of every contact of the other clinic.
const canary = "Canário Estrangeiro"

// Many writers, long transactions and some that are given up, on two instances: whoever
// stops and starts at random ends with the same list as changes, and hears nothing of the
// clinic beside, whose writers are as busy (promise I5).
func TestSubscribe_EndsWithTheSameListAsChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.d.NewClinic(t, "boreal")
	begins := w.d.Count(t, "SELECT last FROM counters WHERE clinic_id = $1 AND name = 'changes'", w.clinic.ID)
	writers, transactions := testkit.Commits(t, 800)
	servers := []*api.Server{w.one, w.two}
	var clients []*api.Client
	for _, server := range servers {
		clients = append(clients, server.As(t, w.clinic, models.RoleOwner))
	}
	var mu sync.Mutex
	end := int64(-1)
	enough := func(last int64) bool {
		mu.Lock()
		defer mu.Unlock()
		return end >= 0 && last >= end
	}
	subscribers := []*subscriber{{after: w.after}, {after: w.after}, {after: w.after}}
	var hearing, writing sync.WaitGroup
	for n, s := range subscribers {
		hearing.Go(func() { s.run(t.Context(), t, clients, servers, rand.New(rand.NewPCG(7, uint64(n))), enough) })
	}
	stop := make(chan struct{})
	var beside sync.WaitGroup
	beside.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				w.contact(t, other, canary)
			}
		}
	})
	for n := range writers {
		conn := w.d.Connect(t, w.d.SuperuserURL)
		writing.Go(func() {
			racer := testkit.Racer{Clinic: w.clinic.ID, Name: names}
			assert.NoError(t, racer.Write(t.Context(), conn, transactions/writers, rand.New(rand.NewPCG(11, uint64(n)))))
		})
	}
	writing.Wait()
	close(stop)
	beside.Wait()
	w.latest(t, w.clinic)
	conn := w.d.Connect(t, w.d.SuperuserURL)
	rows, err := conn.Query(t.Context(), "SELECT id, position FROM changes WHERE clinic_id = $1 AND position > $2 ORDER BY position", w.clinic.ID, begins)
	require.NoError(t, err)
	type row struct {
		ID       [16]byte
		Position int64
	}
	want, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	require.NoError(t, err)
	require.NotEmpty(t, want)
	mu.Lock()
	end = want[len(want)-1].Position
	mu.Unlock()
	hearing.Wait()
	for n, s := range subscribers {
		require.Empty(t, s.foreign)
		require.Len(t, s.told, len(want), "subscriber %d", n)
		for i, told := range s.told {
			require.Equal(t, want[i].Position, told.Position)
			require.Equal(t, models.KindChange.Global(want[i].ID), told.ID)
		}
		t.Logf("subscriber %d: %d changes, %d times cut and gone on", n, len(s.told), s.cuts)
	}
}
