package live_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// patience is how long a test waits for what is to come at once, on a busy machine.
const patience = 30 * time.Second

// world is a clinic with two servers that share a Redis.
type world struct {
	d        *testkit.Database
	clinic   *testkit.Clinic
	one, two *api.Server
	// after is the last change before the test's own.
	after string
}

func newWorld(t *testing.T, options ...api.Option) world {
	t.Helper()
	d := testkit.NewDatabase(t)
	w := world{d: d, clinic: d.NewClinic(t, "aurora")}
	options = append([]api.Option{api.WithRedis(d), api.WithOutbox()}, options...)
	w.one, w.two = api.NewServer(t, d, options...), api.NewServer(t, d, options...)
	w.after = w.latest(t, w.clinic)
	return w
}

// latest is a clinic's last change, once all that was written has its position.
func (w world) latest(t *testing.T, clinic *testkit.Clinic) string {
	t.Helper()
	require.Eventually(t, func() bool { return w.d.Count(t, "SELECT count(*) FROM outbox") == 0 }, patience, 5*time.Millisecond)
	var id uuid.UUID
	err := w.d.Connect(t, w.d.SuperuserURL).QueryRow(t.Context(), "SELECT id FROM changes WHERE clinic_id = $1 ORDER BY position DESC LIMIT 1", clinic.ID).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return ""
	}
	require.NoError(t, err)
	return models.KindChange.Global(id)
}

// contact inserts one, past the API.
func (w world) contact(t *testing.T, clinic *testkit.Clinic, name string) uuid.UUID {
	t.Helper()
	id := models.NewID()
	w.d.Exec(t, "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, $3)", clinic.ID, id, name)
	return id
}

// message is what is said over a socket.
type message struct {
	ID, Type string
	Payload  json.RawMessage
}

// socket is a WebSocket.
type socket struct {
	*websocket.Conn

	t *testing.T
}

// dial opens one that has not said who it is.
func dial(t *testing.T, server *api.Server, headers http.Header, protocols ...string) (socket, *http.Response, error) {
	t.Helper()
	if protocols == nil {
		protocols = []string{"graphql-transport-ws"}
	}
	conn, response, err := websocket.Dial(t.Context(), strings.Replace(server.URL, "http", "ws", 1)+"/graphql",
		&websocket.DialOptions{Subprotocols: protocols, HTTPHeader: headers})
	if err == nil {
		t.Cleanup(func() { _ = conn.CloseNow() })
		conn.SetReadLimit(1 << 20)
	}
	return socket{conn, t}, response, err
}

func mustDial(t *testing.T, server *api.Server) socket {
	t.Helper()
	s, _, err := dial(t, server, nil)
	require.NoError(t, err)
	return s
}

// open is a socket of a client's that was let in.
func open(t *testing.T, server *api.Server, client *api.Client) socket {
	t.Helper()
	s := mustDial(t, server)
	s.say("connection_init", "", credentials(t, client))
	require.Equal(t, "connection_ack", s.hear().Type)
	return s
}

func credentials(t *testing.T, client *api.Client) map[string]any {
	t.Helper()
	r := client.Request(t, "")
	return map[string]any{"Authorization": r.Header.Get("Authorization"), "x-clinic-id": r.Header.Get("X-Clinic-Id")}
}

func (s socket) say(kind, id string, payload any) {
	s.t.Helper()
	m := map[string]any{"type": kind}
	if id != "" {
		m["id"] = id
	}
	if payload != nil {
		m["payload"] = payload
	}
	text, err := json.Marshal(m)
	require.NoError(s.t, err)
	require.NoError(s.t, s.Write(s.t.Context(), websocket.MessageText, text))
}

func (s socket) subscribe(id, query string, variables any) {
	s.t.Helper()
	s.say("subscribe", id, map[string]any{"query": query, "variables": variables})
}

// read is the next message, or why there is none.
func (s socket) read(wait time.Duration) (m message, err error) {
	ctx, done := context.WithTimeout(s.t.Context(), wait)
	defer done()
	_, text, err := s.Read(ctx)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(text, &m)
}

func (s socket) hear() message {
	s.t.Helper()
	m, err := s.read(patience)
	require.NoError(s.t, err)
	return m
}

// closed waits for the socket's end, and gives its code.
func (s socket) closed() websocket.StatusCode {
	s.t.Helper()
	for {
		if _, err := s.read(patience); err != nil {
			require.NotErrorIs(s.t, err, context.DeadlineExceeded)
			return websocket.CloseStatus(err)
		}
	}
}

// answer is what an event is answered by.
type answer struct {
	Data struct {
		Changed            *change
		AppointmentChanged *struct {
			ID, Status   string
			Practitioner struct{ ID string }
		}
		MessageReceived *struct{ ID, Body string }
	}
	Errors     []api.Error
	Extensions struct{ LastEventID string }
}

type change struct {
	ID, Event, EntityID string
	Position            int64
	Entity              *struct{ Name string }
}

func (m message) answer(t *testing.T) (a answer) {
	t.Helper()
	assert.Equal(t, "next", m.Type, "%s", m.Payload)
	assert.NoError(t, json.Unmarshal(m.Payload, &a), "%s", m.Payload)
	return a
}

const changed = `subscription Changed($events: [WebhookEvent!], $after: String) {
	changed(events: $events, after: $after) { id position event entityId entity { ... on Contact { name } } } }`

// events is a stream of Server-Sent Events.
type events struct {
	t       *testing.T
	status  int
	header  http.Header
	scanner *bufio.Scanner
	close   func()
}

type event struct{ ID, Event, Data string }

// stream asks for events by POST.
func stream(t *testing.T, client *api.Client, server *api.Server, body any, headers ...string) *events {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/graphql", strings.NewReader(string(text)))
	require.NoError(t, err)
	return begin(t, client, r, cancel, headers...)
}

func begin(t *testing.T, client *api.Client, r *http.Request, cancel func(), headers ...string) *events {
	t.Helper()
	client.Authorize(r)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	response, err := (&http.Client{Transport: transport}).Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { cancel(); _ = response.Body.Close() })
	scanner := bufio.NewScanner(response.Body)
	scanner.Buffer(nil, 1<<20)
	return &events{t: t, status: response.StatusCode, header: response.Header, scanner: scanner, close: func() { cancel(); _ = response.Body.Close() }}
}

// next is the next event; false at the end. Comments are passed over.
func (e *events) next() (found event, ok bool) {
	for e.scanner.Scan() {
		name, value, _ := strings.Cut(e.scanner.Text(), ": ")
		switch name {
		case "id":
			found.ID = value
		case "event":
			found.Event = value
		case "data":
			found.Data = value
		case "":
			if found.Event != "" {
				return found, true
			}
		}
	}
	return found, false
}

func (e event) answer(t *testing.T) (a answer) {
	t.Helper()
	require.Equal(t, "next", e.Event, "%+v", e)
	require.NoError(t, json.Unmarshal([]byte(e.Data), &a), "%s", e.Data)
	return a
}

func body(query string, variables any) map[string]any {
	return map[string]any{"query": query, "variables": variables}
}

func names(n int) string { return fmt.Sprint("Contact ", n) }
