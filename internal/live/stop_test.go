package live_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// Promise F7 with connections that stay: each socket gets its close frame, each stream
// ends, and the process exits long before its deadline though a client never reads.
func TestStop_SendsAllAwayThoughOneNeverReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret := newKey(t, w.one.As(t, w.clinic, models.RoleOwner))
	key, err := auth.LoadOrCreateDevKey(filepath.Join(t.TempDir(), "dev-key.pem"))
	require.NoError(t, err)
	i := start(t, w.d, key, "127.0.0.1:0")
	server := &api.Server{URL: "http://" + i.address}
	client := server.WithToken(w.clinic, secret)
	var sockets []socket
	for range 20 {
		s := open(t, server, client)
		s.subscribe("a", changed, nil)
		sockets = append(sockets, s)
	}
	e := stream(t, client, server, body(changed, nil))
	deaf, _ := deafSocket(t, server, client)
	mute := mustDial(t, server)
	began := time.Now()
	i.stop()
	for _, s := range append(sockets, mute) {
		require.EqualValues(t, 1012, s.closed())
	}
	_, more := e.next()
	require.False(t, more, "a stream ends without complete, so that its client comes again")
	require.NoError(t, <-i.ended)
	took := time.Since(began)
	t.Logf("22 sockets, one of which never reads, and a stream: exit after %s", took.Round(time.Millisecond))
	require.Less(t, took, 5*time.Second+slack)
	require.NoError(t, deaf.Close())
}

// Who does not read what is written is cut, and others do not wait for it meanwhile.
func TestSlow_IsCutAndNotQueued(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.one.As(t, w.clinic, models.RoleOwner)
	w.d.Exec(t, "UPDATE contacts SET notes = repeat('x', 9000) WHERE id = $1", w.clinic.Contacts[0])
	var many strings.Builder
	for n := range 10 {
		fmt.Fprintf(&many, "n%d: notes ", n)
	}
	text, err := json.Marshal(body("subscription($after: String) { changed(after: $after) { entity { ... on Contact { "+many.String()+"} } } }", map[string]any{"after": w.after}))
	require.NoError(t, err)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.one.URL, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4<<10))
	r := owner.Request(t, "")
	_, err = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nX-Clinic-Id: %s\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		r.Header.Get("Authorization"), r.Header.Get("X-Clinic-Id"), len(text), text)
	require.NoError(t, err)
	w.d.Exec(t, `INSERT INTO outbox (clinic_id, event, entity_kind, entity_id) SELECT $1, 'contact.updated', 'contact', $2 FROM generate_series(1, 400)`, w.clinic.ID, w.clinic.Contacts[0])
	beside := open(t, w.one, owner)
	beside.subscribe("a", changed, map[string]any{"after": w.after})
	for range 100 {
		require.Equal(t, "next", beside.hear().Type)
	}
	require.NoError(t, beside.CloseNow())
	began := time.Now()
	require.Eventually(t, func() bool {
		return strings.Contains(metrics(t, w.one), `taskmed_live_ended_total{kind="stream",why="slow"} 1`)
	}, patience, 50*time.Millisecond)
	t.Logf("cut %s after the other had 100", time.Since(began).Round(time.Millisecond))
}

func metrics(t *testing.T, server *api.Server) string {
	t.Helper()
	out := httptest.NewRecorder()
	server.App.Admin().ServeHTTP(out, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	return out.Body.String()
}

// One connection more than there may be is told to come again.
func TestConnections_AreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(settings *config.Config, _ *app.Options) { settings.LiveConnections, settings.LiveClinic = 4, 2 })
	owner := w.one.As(t, w.clinic, models.RoleOwner)
	first, second := open(t, w.one, owner), open(t, w.one, owner)
	first.subscribe("a", changed, nil)
	second.subscribe("a", changed, nil)
	third := mustDial(t, w.one)
	third.say("connection_init", "", credentials(t, owner))
	require.EqualValues(t, 1013, third.closed(), "one of the clinic too many")
	e := stream(t, owner, w.one, body(changed, nil))
	require.Equal(t, http.StatusServiceUnavailable, e.status)
	_, _ = mustDial(t, w.one), mustDial(t, w.one)
	require.Eventually(t, func() bool {
		_, response, err := dial(t, w.one, nil)
		return err != nil && response != nil && response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "1"
	}, patience, 10*time.Millisecond, "one of all too many")
	require.NoError(t, first.CloseNow())
	require.Eventually(t, func() bool {
		s, _, err := dial(t, w.one, nil)
		if err != nil {
			return false
		}
		s.say("connection_init", "", credentials(t, owner))
		m, err := s.read(patience)
		_ = s.CloseNow()
		return err == nil && m.Type == "connection_ack"
	}, patience, 10*time.Millisecond, "a place that is given up is another's")
}

// Nothing of this package's or the protocols' runs on once servers and sockets are gone.
func TestClose_LeavesNothingRunning(t *testing.T) { //nolint:paralleltest // others' goroutines would be counted
	if testing.Short() {
		t.Log("runs alone")
	}
	w := newWorld(t)
	key, err := auth.LoadOrCreateDevKey(filepath.Join(t.TempDir(), "dev-key.pem"))
	require.NoError(t, err)
	_, secret := newKey(t, w.one.As(t, w.clinic, models.RoleOwner))
	before := running()
	i := start(t, w.d, key, "127.0.0.1:0")
	server := &api.Server{URL: "http://" + i.address}
	client := server.WithToken(w.clinic, secret)
	for range 10 {
		s := open(t, server, client)
		s.subscribe("a", changed, nil)
		e := stream(t, client, server, body(changed, nil))
		require.Equal(t, http.StatusOK, e.status)
		if s.say("ping", "", nil); true {
			require.Equal(t, "pong", s.hear().Type)
		}
		e.close()
		require.NoError(t, s.CloseNow())
	}
	assert.Greater(t, running(), before)
	i.stop()
	require.NoError(t, <-i.ended)
	require.Eventually(t, func() bool { return running() <= before }, patience, 10*time.Millisecond, "goroutines are left")
}

// running counts goroutines of the hub and of connections that stay.
func running() int {
	stacks := make([]byte, 8<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	n := 0
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if bytes.Contains(stack, []byte("internal/live.(")) || bytes.Contains(stack, []byte("gqlserver/streams.")) {
			n++
		}
	}
	return n
}
