package live_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/gqlserver/hostile"
	"github.com/taskmed/taskmed/internal/gqlserver/streams"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// Promise H4: what the protocol forbids closes the socket with its code.
func TestSocket_ClosesOnWhatIsForbidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.one.As(t, w.clinic, models.RoleOwner)
	// The server reads one byte more than its limit, and so all of this: what it left unread
	// would make the close a reset.
	long := bytes.Repeat([]byte("x"), int(streams.Limits{}.WithDefaults().MessageBytes)+1)
	for name, c := range map[string]struct {
		do   func(s socket)
		code websocket.StatusCode
	}{
		"subscribe before init": {func(s socket) { s.subscribe("a", changed, nil) }, 4401},
		"complete before init":  {func(s socket) { s.say("complete", "a", nil) }, 4401},
		"init twice":            {func(s socket) { s.say("connection_init", "", credentials(t, owner)); s.say("connection_init", "", nil) }, 4429},
		"no credentials":        {func(s socket) { s.say("connection_init", "", nil) }, 4403},
		"a forged token":        {func(s socket) { s.say("connection_init", "", map[string]any{"Authorization": "Bearer " + forged}) }, 4403},
		"another clinic": {func(s socket) {
			s.say("connection_init", "", credentials(t, owner.In(models.KindClinic.Global(models.NewID()))))
		}, 4403},
		"credentials of no text": {func(s socket) { s.say("connection_init", "", map[string]any{"Authorization": 7}) }, 4403},
		"no message":             {func(s socket) { require.NoError(t, s.Write(t.Context(), websocket.MessageText, []byte(`{"type":`))) }, 4400},
		"an unknown message":     {func(s socket) { s.say("start", "a", nil) }, 4400},
		"binary":                 {func(s socket) { require.NoError(t, s.Write(t.Context(), websocket.MessageBinary, []byte(`{}`))) }, 4400},
		"too long":               {func(s socket) { require.NoError(t, s.Write(t.Context(), websocket.MessageText, long)) }, 1009},
		"not too long":           {func(s socket) { require.NoError(t, s.Write(t.Context(), websocket.MessageText, long[1:])) }, 4400},
		"no id": {func(s socket) {
			s.say("connection_init", "", credentials(t, owner))
			s.say("subscribe", "", map[string]any{"query": changed})
		}, 4400},
		"an id twice": {func(s socket) {
			s.say("connection_init", "", credentials(t, owner))
			s.subscribe("a", changed, nil)
			s.subscribe("a", changed, nil)
		}, 4409},
	} {
		s := mustDial(t, w.one)
		c.do(s)
		assert.Equal(t, c.code, s.closed(), name)
	}
	s, _, err := dial(t, w.one, nil, "graphql-ws")
	require.NoError(t, err)
	require.EqualValues(t, 4406, s.closed(), "the protocol of old")

	_, response, err := dial(t, w.one, http.Header{"Origin": {"https://elsewhere.example"}})
	require.Error(t, err)
	require.Equal(t, http.StatusForbidden, response.StatusCode)
	s, _, err = dial(t, w.one, http.Header{"Origin": {w.one.URL}})
	require.NoError(t, err)
	s.say("connection_init", "", credentials(t, owner))
	require.Equal(t, "connection_ack", s.hear().Type)
	// A header that the upgrade carries does as well, where a client can send it.
	r := owner.Request(t, "")
	s, _, err = dial(t, w.one, http.Header{"Authorization": r.Header["Authorization"], "X-Clinic-Id": r.Header["X-Clinic-Id"]})
	require.NoError(t, err)
	s.say("connection_init", "", nil)
	require.Equal(t, "connection_ack", s.hear().Type)
}

// forged says that its holder is an owner, and nobody has signed it.
const forged = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJPV05FUkBhdXJvcmEudGVzdCIsImV4cCI6NDEwMjQ0NDgwMCwicm9sZSI6Ik9XTkVSIn0."

// Promise H4: sockets that do not say who they are, have nothing to do, or do not read, end
// within ten seconds.
func TestSocket_EndsWithinTenSecondsWithoutUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.one.As(t, w.clinic, models.RoleOwner)
	within := func(name string, code websocket.StatusCode, s socket, began time.Time) {
		assert.Equal(t, code, s.closed(), name)
		assert.Less(t, time.Since(began), 10*time.Second+slack, name)
		t.Logf("%s: closed with %d after %s", name, code, time.Since(began).Round(time.Millisecond))
	}
	began := time.Now()
	mute, idle := mustDial(t, w.one), open(t, w.one, owner)
	busy := open(t, w.one, owner)
	busy.subscribe("a", changed, map[string]any{"after": w.after})
	told := make(chan message, 10)
	go func() {
		for {
			m, err := busy.read(patience)
			if err != nil {
				return
			}
			told <- m
		}
	}()
	// One that takes nothing from the wire: no frame of it comes, not even a pong.
	deaf, left := deafSocket(t, w.one, owner)
	within("mute", 4408, mute, began)
	within("idle", 1000, idle, began)
	select {
	case <-left:
		t.Logf("deaf: cut after %s", time.Since(began).Round(time.Millisecond))
	case <-time.After(patience):
		t.Error("a socket that never reads is still open")
	}
	assert.Less(t, time.Since(began), 10*time.Second+slack)
	_ = deaf.Close()
	w.contact(t, w.clinic, "Rita Lobo")
	select {
	case m := <-told:
		require.Equal(t, "next", m.Type, "one with something to do stays")
	case <-time.After(patience):
		t.Fatal("a socket with something to do hears nothing")
	}
}

// slack is what a busy machine may take for itself.
const slack = 3 * time.Second

// deafSocket subscribes and then never reads; left is closed once the server has cut it.
func deafSocket(t *testing.T, server *api.Server, client *api.Client) (net.Conn, <-chan struct{}) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n")
	require.NoError(t, err)
	for _, m := range []any{
		map[string]any{"type": "connection_init", "payload": credentials(t, client)},
		map[string]any{"type": "subscribe", "id": "a", "payload": map[string]any{"query": changed}},
	} {
		text, err := json.Marshal(m)
		require.NoError(t, err)
		_, err = conn.Write(frame(text))
		require.NoError(t, err)
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		for { // writing finds out that the other side is gone, without a read
			if _, err := conn.Write(frame([]byte(`{"type":"pong"}`))); err != nil {
				return
			}
			select {
			case <-t.Context().Done():
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return conn, left
}

// frame is a masked text frame; the mask is zero.
func frame(text []byte) []byte {
	head := []byte{0x81}
	switch n := len(text); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	default:
		head = append(head, 0x80|126, byte(n>>8), byte(n))
	}
	return append(append(head, 0, 0, 0, 0), text...)
}

// Promises H2 and H4: ten thousand subscriptions on one socket are fifty, and documents
// that are dear to answer are refused as by POST.
func TestSocket_BoundsWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.one.As(t, w.clinic, models.RoleOwner)
	s := open(t, w.one, owner)
	// So many are under way that the server is never ahead of one who reads.
	underWay := make(chan struct{}, 500)
	go func() {
		for n := range 10_000 {
			select {
			case underWay <- struct{}{}:
			case <-t.Context().Done():
				return
			}
			text, _ := json.Marshal(map[string]any{"type": "subscribe", "id": fmt.Sprint(n), "payload": body(changed, map[string]any{"after": w.after})})
			if s.Write(context.WithoutCancel(t.Context()), websocket.MessageText, text) != nil {
				return
			}
		}
	}()
	// On a machine that is busy some are refused for that.
	refused, busy := 0, 0
	count := func(m message) {
		<-underWay
		if refused++; !strings.Contains(string(m.Payload), "RATE_LIMITED") {
			require.Contains(t, string(m.Payload), "UNAVAILABLE")
			busy++
		}
	}
	for refused < 10_000-50 {
		m := s.hear()
		require.Equal(t, "error", m.Type)
		count(m)
	}
	require.Less(t, busy, 1000)
	w.contact(t, w.clinic, "Rita Lobo")
	told := map[string]bool{}
	for len(told) < 10_000-refused {
		m := s.hear()
		if m.Type == "error" {
			count(m)
			continue
		}
		require.Equal(t, "next", m.Type, "%s", m.Payload)
		told[m.ID] = true
	}
	require.NoError(t, s.CloseNow())

	for _, document := range hostile.Documents() {
		name, query := document.Name, document.Text
		answer := owner.Do(t, query, nil)
		if len(answer.Errors) == 0 {
			continue
		}
		s := open(t, w.one, owner)
		text, err := json.Marshal(map[string]any{"type": "subscribe", "id": "a", "payload": body(query, nil)})
		require.NoError(t, err)
		_ = s.Write(t.Context(), websocket.MessageText, text) // one that is too long is not taken whole
		m, err := s.read(patience)
		if err != nil {
			assert.EqualValues(t, 1009, websocket.CloseStatus(err), name)
			continue
		}
		var errs []api.Error
		require.Equal(t, "error", m.Type, name)
		require.NoError(t, json.Unmarshal(m.Payload, &errs))
		assert.Equal(t, answer.Errors[0].Extensions.Code, errs[0].Extensions.Code, name)
		assert.Equal(t, answer.Errors[0].Message, errs[0].Message, name)
	}
}
