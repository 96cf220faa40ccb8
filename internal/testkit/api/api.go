// Package api gives tests the whole server over HTTP, on a database of its
// own, and a client per role.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/dialling"
	"github.com/taskmed/taskmed/internal/telemetry/metrics"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/webhooks"
	"github.com/taskmed/taskmed/models"
)

// Secret is every test server's TASKMED_SECRET.
const Secret = testkit.Secret

// Server is a running server and what its tokens are signed with.
type Server struct {
	URL string
	App *app.App
	key *auth.DevKey
	now func() time.Time
}

// Option changes how a server is put together.
type Option func(*config.Config, *app.Options)

// At sets the server's clock.
func At(now time.Time) Option {
	return func(_ *config.Config, options *app.Options) { options.Now = func() time.Time { return now } }
}

// Clock gives the server a clock that the test moves.
func Clock(now func() time.Time) Option {
	return func(_ *config.Config, options *app.Options) { options.Now = now }
}

// WithLog sets where the server writes its log.
func WithLog(log *slog.Logger) Option {
	return func(_ *config.Config, options *app.Options) { options.Log = log }
}

// WithoutCache has every query run: for tests of how it does.
func WithoutCache() Option {
	return func(settings *config.Config, _ *app.Options) { settings.Cache = false }
}

// WithRedis shares what is kept with the other servers of the test that do.
func WithRedis(d *testkit.Database) Option {
	return func(settings *config.Config, _ *app.Options) {
		// A machine that is busy with tests is no reason to go on without Redis.
		settings.RedisURL, settings.RedisTimeout = d.RedisURL, 5*time.Second
	}
}

// Attending has the server attend to the waiting lists.
func Attending() Option {
	return func(settings *config.Config, _ *app.Options) { settings.Waitlist = true }
}

// WithOutbox has what happens get its position.
func WithOutbox() Option {
	return func(settings *config.Config, _ *app.Options) { settings.Outbox = true }
}

// WithWebhooks has what happens get its position and be told to endpoints at this machine,
// as a sender is configured.
func WithWebhooks(sending webhooks.SenderConfig) Option {
	return func(settings *config.Config, options *app.Options) {
		settings.Outbox, settings.PrivateWebhooks = true, true
		options.Sending = sending
	}
}

// WithResolver has names of endpoints be looked up by it; whatever comes out, nobody but
// this machine is dialled.
func WithResolver(resolver dialling.Resolver) Option {
	return func(_ *config.Config, options *app.Options) { options.Webhooks.Dialling.Resolver = resolver }
}

// public has every name lead to one address of the Internet's.
type public struct{}

// LookupNetIP implements dialling.Resolver.
func (public) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("93.184.215.14")}, nil
}

// here connects to this machine and to no other.
func here(ctx context.Context, network, address string) (net.Conn, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	if !at.Addr().IsLoopback() {
		return nil, fmt.Errorf("tests dial nobody, nor %s", address)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// NewServer starts a server over a test's database and stops it after the test.
func NewServer(t testing.TB, d *testkit.Database, changes ...Option) *Server {
	t.Helper()
	key, err := auth.LoadOrCreateDevKey(filepath.Join(t.TempDir(), "dev-key.pem"))
	require.NoError(t, err)
	settings, err := config.Development(nil, d.AppURL, Secret)
	require.NoError(t, err)
	// A machine that is busy with tests is no reason to refuse.
	settings.AcquireTimeout = 20 * time.Second
	// Off is its default; tests look at what is harder.
	settings.Cache = true
	// What a server does by itself it would do between a test's questions.
	settings.Waitlist = false
	// What happened gets its position by itself, some time: tests that want it say so.
	settings.Outbox = false
	settings.Attachments.Dir = t.TempDir()
	options := app.Options{DevKey: key, Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	options.Webhooks.Dialling = dialling.Seams{Resolver: public{}, Connect: here}
	for _, change := range changes {
		change(&settings, &options)
	}
	a, err := app.New(t.Context(), settings, options)
	require.NoError(t, err)
	t.Cleanup(a.Close)
	// On a busy machine the first look at the database may have taken too long.
	require.Eventually(t, func() bool { return a.Fit() == nil }, time.Minute, 10*time.Millisecond)
	listener := httptest.NewServer(a.Handler())
	t.Cleanup(listener.Close)
	t.Cleanup(func() { reasonsAreKnown(t, a) })
	return &Server{URL: listener.URL, App: a, key: key, now: options.Now}
}

// reasonsAreKnown is whether the metrics tell apart why answers were no hits, whatever a
// test has come across: metrics.CacheReasons lists what begins how.
func reasonsAreKnown(t testing.TB, a *app.App) {
	t.Helper()
	out := httptest.NewRecorder()
	a.Admin().ServeHTTP(out, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/metrics", http.NoBody))
	for line := range strings.Lines(out.Body.String()) {
		if strings.HasPrefix(line, "taskmed_cache_answers_total{") && strings.Contains(line, `reason="`+metrics.Other+`"`) {
			t.Errorf("an answer was no hit for a reason that metrics.CacheReasons does not list: %s", line)
		}
	}
}

// Client calls the API as one subject in one clinic.
type Client struct {
	server *Server
	token  string
	clinic string
}

// As is a client of a clinic's member who has a role.
func (s *Server) As(t testing.TB, clinic *testkit.Clinic, role models.Role) *Client {
	t.Helper()
	return s.AsSubject(t, clinic, testkit.Subject(clinic.Slug, role))
}

// AsSubject is a client of any subject.
func (s *Server) AsSubject(t testing.TB, clinic *testkit.Clinic, subject string) *Client {
	t.Helper()
	return s.AsNamed(t, clinic, subject, "")
}

// AsNamed is a client of any subject, whose token tells a name; "" for none.
func (s *Server) AsNamed(t testing.TB, clinic *testkit.Clinic, subject, name string) *Client {
	t.Helper()
	token, err := s.key.Sign(auth.DevClaims{Subject: subject, Name: name, IssuedAt: s.now(), TTL: time.Hour})
	require.NoError(t, err)
	return &Client{server: s, token: token, clinic: models.KindClinic.Global(clinic.ID)}
}

// WithToken is a client that sends a token or a key of a clinic's.
func (s *Server) WithToken(clinic *testkit.Clinic, token string) *Client {
	return &Client{server: s, token: token, clinic: models.KindClinic.Global(clinic.ID)}
}

// Error is a GraphQL error as clients see it.
type Error struct {
	Message    string
	Path       []any
	Extensions struct {
		Code      string
		RequestID string
	}
}

// Response is an answer of the API.
type Response struct {
	Status     int
	Header     http.Header
	Body       []byte
	Data       json.RawMessage
	Errors     []Error
	Extensions struct {
		TaskMed struct {
			Cost       int64
			Statements int64
			RoundTrips int64
			Cache      map[string]any
		}
	}
}

// Authorize makes a request the client's.
func (c *Client) Authorize(r *http.Request) {
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("X-Clinic-Id", c.clinic)
}

// In is the same client asking for another clinic, by its id as clients have it.
func (c *Client) In(clinic string) *Client {
	other := *c
	other.clinic = clinic
	return &other
}

// Do posts an operation, with further headers: a name, a value, a name, …
func (c *Client) Do(t testing.TB, query string, variables any, headers ...string) *Response {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.server.URL+"/graphql", bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	return c.send(t, request, headers)
}

// Get asks by GET. A 304 has no body.
func (c *Client) Get(t testing.TB, query string, variables any, headers ...string) *Response {
	t.Helper()
	encoded, err := json.Marshal(variables)
	require.NoError(t, err)
	values := url.Values{"query": {query}, "variables": {string(encoded)}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.server.URL+"/graphql?"+values.Encode(), http.NoBody)
	require.NoError(t, err)
	return c.send(t, request, headers)
}

// Request is a POST with this body, to be handed to a handler.
func (c *Client) Request(t testing.TB, body string) *http.Request {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("X-Clinic-Id", c.clinic)
	return request
}

func (c *Client) send(t testing.TB, request *http.Request, headers []string) *Response {
	t.Helper()
	c.Authorize(request)
	// Errors name the request; the same name each time keeps answers comparable.
	request.Header.Set("X-Request-Id", "test")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	response := &Response{Status: answer.StatusCode, Header: answer.Header, Body: text}
	if len(text) > 0 || answer.StatusCode != http.StatusNotModified {
		require.NoError(t, json.Unmarshal(text, response), "%s", text)
	}
	return response
}

// Must posts an operation that may not have errors, reads its data into a
// value, unless that is nil, and gives the whole answer.
func (c *Client) Must(t testing.TB, query string, variables, into any) *Response {
	t.Helper()
	response := c.Do(t, query, variables)
	require.Empty(t, response.Errors, "%s", response.Body)
	if into != nil {
		require.NoError(t, json.Unmarshal(response.Data, into), "%s", response.Data)
	}
	return response
}
