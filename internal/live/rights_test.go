package live_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// newKey makes a partner's key by the API.
func newKey(t *testing.T, owner *api.Client) (id, secret string) {
	t.Helper()
	var made struct {
		CreateAPIKey struct {
			APIKey *struct{ ID string }
			Secret string
		}
	}
	owner.Must(t, `mutation { createApiKey(input: {name: "Site", role: PARTNER}) { apiKey { id } secret } }`, nil, &made)
	return made.CreateAPIKey.APIKey.ID, made.CreateAPIKey.Secret
}

// heard follows a socket in the background: when it last heard something, and how it ended.
type heard struct {
	last  atomic.Int64
	count atomic.Int64
	ended time.Time
	code  websocket.StatusCode
}

func (h *heard) follow(s socket) {
	for {
		_, text, err := s.Read(s.t.Context())
		if err != nil {
			h.ended, h.code = time.Now(), websocket.CloseStatus(err)
			return
		}
		if len(text) > 0 {
			h.last.Store(time.Now().UnixNano())
			h.count.Add(1)
		}
	}
}

// A key that was revoked is silent on every socket and stream of every instance within a
// second; another key's, and a member's, go on hearing.
func TestRevoked_IsSilentEverywhereWithinASecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.one.As(t, w.clinic, models.RoleOwner)
	id, secret := newKey(t, owner)
	_, other := newKey(t, owner)
	var wg sync.WaitGroup
	var revoked, control []*heard
	for _, server := range []*api.Server{w.one, w.two} {
		for n, client := range []*api.Client{server.WithToken(w.clinic, secret), server.WithToken(w.clinic, other), server.As(t, w.clinic, models.RoleOwner)} {
			for range 10 {
				s := open(t, server, client)
				s.subscribe("a", changed, map[string]any{"after": w.after})
				h := &heard{}
				if n == 0 {
					revoked = append(revoked, h)
				} else {
					control = append(control, h)
				}
				wg.Go(func() { h.follow(s) })
			}
		}
	}
	streams := map[*events]bool{}
	for _, server := range []*api.Server{w.one, w.two} {
		e := stream(t, server.WithToken(w.clinic, secret), server, body(changed, map[string]any{"after": w.after}))
		require.Equal(t, 200, e.status)
		streams[e] = true
	}
	stop, written := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(written)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				w.contact(t, w.clinic, names(n))
			}
		}
	}()
	for _, h := range append(append([]*heard{}, revoked...), control...) {
		require.Eventually(t, func() bool { return h.count.Load() > 3 }, patience, time.Millisecond)
	}
	owner.Must(t, `mutation($id: ID!) { revokeApiKey(input: {id: $id}) { apiKey { id } userErrors { code } } }`, map[string]any{"id": id}, nil)
	at := time.Now()
	var over sync.WaitGroup
	for e := range streams {
		over.Go(func() {
			var last event
			for {
				next, ok := e.next()
				if !ok {
					break
				}
				if next.Event == "next" {
					last = next
				}
			}
			assert.Contains(t, last.Data, "UNAUTHENTICATED", "a stream says why it ends")
			assert.Less(t, time.Since(at), time.Second+slack)
		})
	}
	over.Wait()
	require.Eventually(t, func() bool {
		for _, h := range control {
			if time.Unix(0, h.last.Load()).Sub(at) < 2*time.Second {
				return false
			}
		}
		return true
	}, patience, 5*time.Millisecond, "the others go on hearing")
	var worst, closed time.Duration
	for _, h := range revoked {
		worst = max(worst, time.Unix(0, h.last.Load()).Sub(at))
		assert.EqualValues(t, 4403, h.code)
		closed = max(closed, h.ended.Sub(at))
	}
	assert.Less(t, worst, time.Second)
	t.Logf("%d sockets of a revoked key: the last heard something %s after the revocation was acknowledged, and the last was closed after %s; %d others go on", len(revoked), worst, closed, len(control))
	close(stop)
	<-written
	for _, h := range control {
		require.Zero(t, h.code)
	}
}

// A token that expires ends its subscriptions, though nothing happens.
func TestExpired_EndsItsSubscriptions(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	w := newWorld(t, api.Clock(func() time.Time { return time.Now().Add(time.Duration(later.Load())) }))
	s := open(t, w.one, w.one.As(t, w.clinic, models.RoleOwner))
	s.subscribe("a", changed, nil)
	e := stream(t, w.two.As(t, w.clinic, models.RoleOwner), w.two, body(changed, nil))
	later.Store(int64(2 * time.Hour))
	began := time.Now()
	require.EqualValues(t, 4403, s.closed())
	last, ok := e.next()
	require.True(t, ok)
	require.Contains(t, last.Data, "UNAUTHENTICATED")
	last, ok = e.next()
	require.True(t, ok)
	require.Equal(t, "complete", last.Event)
	t.Logf("both ended %s after the expiry", time.Since(began))
	require.Less(t, time.Since(began), time.Second+slack)
}

// Rights are looked at for each event: who is given another role hears of what that may
// read from then on; who loses the clinic hears nothing; nobody begins who may hear nothing.
func TestRights_AreLookedAtForEachEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.d.LetMembersBeWritten(t)
	s := open(t, w.one, w.one.As(t, w.clinic, models.RolePractitioner))
	const withNotes = `subscription($after: String) { changed(after: $after) { entityId entity { ... on MedicalRecord { id title } } } }`
	s.subscribe("a", withNotes, map[string]any{"after": w.after})
	w.contact(t, w.clinic, "Rita Lobo")
	require.Equal(t, "next", s.hear().Type)
	w.d.Exec(t, "UPDATE memberships SET role = $3 WHERE clinic_id = $1 AND subject = $2", w.clinic.ID, testkit.Subject("aurora", models.RolePractitioner), models.RoleFinance)
	w.contact(t, w.clinic, "Rosa Weber")
	for {
		m := s.hear()
		if m.Type == "next" { // of before
			continue
		}
		require.Equal(t, "error", m.Type, "FINANCE may not select records")
		require.Contains(t, string(m.Payload), "FORBIDDEN")
		break
	}
	// Not told of what the role may not read, and refused where that is all.
	finance := open(t, w.two, w.two.As(t, w.clinic, models.RoleFinance))
	for query, code := range map[string]string{
		`subscription { messageReceived { id } }`:                                     "FORBIDDEN",
		`subscription { changed(events: [RECORD_SIGNED, MESSAGE_RECEIVED]) { id } }`:  "FORBIDDEN",
		`subscription { changed(events: []) { id } }`:                                 "BAD_USER_INPUT",
		`subscription { changed(after: "x") { id } }`:                                 "BAD_USER_INPUT",
		`subscription { changed(after: "change_01h455vb4pex5vsknk084sn02q") { id } }`: "EXPIRED",
		`subscription { appointmentChanged(practitionerId: "x") { id } }`:             "BAD_USER_INPUT",
		`subscription { a: changed { id } b: changed { id } }`:                        "GRAPHQL_VALIDATION_FAILED",
		`subscription { changed @skip(if: false) { id } }`:                            "BAD_USER_INPUT",
		`mutation { createApiKey(input: {name: "x", role: PARTNER}) { secret } }`:     "FORBIDDEN",
	} {
		finance.subscribe("a", query, nil)
		m, err := finance.read(patience)
		require.NoError(t, err, query)
		require.Equal(t, "error", m.Type, query)
		require.Contains(t, string(m.Payload), code, query)
		e := stream(t, w.two.As(t, w.clinic, models.RoleFinance), w.two, body(query, nil))
		require.GreaterOrEqual(t, e.status, 400, query)
	}
	again := open(t, w.two, w.two.As(t, w.clinic, models.RoleAdmin))
	again.subscribe("a", `mutation { createApiKey(input: {name: "x", role: PARTNER}) { secret } }`, nil)
	require.Contains(t, string(again.hear().Payload), "sent by POST")
	again.subscribe("b", changed, nil)
	w.d.Exec(t, "UPDATE memberships SET revoked_at = now() WHERE clinic_id = $1 AND subject = $2", w.clinic.ID, testkit.Subject("aurora", models.RoleAdmin))
	require.EqualValues(t, 4403, again.closed())
}
