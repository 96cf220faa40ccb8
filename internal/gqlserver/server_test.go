package gqlserver_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// schema is TaskMed's, with a stand-in for what its resolvers would do.
type schema struct {
	graphql.ExecutableSchema

	// answer runs in place of the operation; the generated code runs if it is nil.
	answer   func(ctx context.Context) *graphql.Response
	executed atomic.Int64
}

func (s *schema) Exec(ctx context.Context) graphql.ResponseHandler {
	s.executed.Add(1)
	if s.answer == nil {
		return s.ExecutableSchema.Exec(ctx)
	}
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		return s.answer(ctx)
	}
}

// gate knows a token for each role, "developer", and tokens for what can go wrong.
type gate struct{}

func (gate) Authenticate(_ context.Context, r *http.Request) (*tenant.Scope, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	scope := &tenant.Scope{Subject: "ana", ClinicID: uuid.UUID{1}, Role: models.Role(token)}
	switch {
	case !ok || token == "expired":
		return nil, &models.Error{Code: models.Unauthenticated, Message: "the token has expired"}
	case token == "stranger":
		return nil, &models.Error{Code: models.Forbidden, Message: "no membership of this clinic"}
	case token == "down":
		return nil, &models.Error{Code: models.Unavailable, Message: "the keys cannot be had", Cause: io.ErrUnexpectedEOF}
	case token == "broken":
		return nil, io.ErrUnexpectedEOF
	case token == "developer":
		scope.Role, scope.Permissions = models.RoleOwner, []string{tenant.PermissionDeveloper}
	}
	return scope, nil
}

type fixture struct {
	schema *schema
	log    *testkit.Logbook
	server *gqlserver.Server
}

func newFixture(tb testing.TB, change func(*gqlserver.Config)) *fixture {
	tb.Helper()
	f := &fixture{schema: &schema{ExecutableSchema: generated.NewExecutableSchema(generated.Config{})}, log: &testkit.Logbook{}}
	config := gqlserver.Config{Schema: f.schema, Auth: gate{}, Log: slog.New(slog.NewJSONHandler(f.log, nil))}
	if change != nil {
		change(&config)
	}
	var err error
	f.server, err = gqlserver.New(config)
	require.NoError(tb, err)
	return f
}

// always answers every operation with the same data.
func (f *fixture) always(data string) *fixture {
	f.schema.answer = func(context.Context) *graphql.Response {
		return &graphql.Response{Data: json.RawMessage(data)}
	}
	return f
}

// request is one as a test wants it; headers that are set to "" are left out.
type request struct {
	method, url, body string
	headers           map[string]string
}

func (f *fixture) do(r request) *httptest.ResponseRecorder {
	if r.method == "" {
		r.method = http.MethodPost
	}
	if r.url == "" {
		r.url = "/graphql"
	}
	in := httptest.NewRequest(r.method, r.url, strings.NewReader(r.body))
	headers := map[string]string{"Authorization": "Bearer OWNER"}
	if r.method == http.MethodPost {
		headers["Content-Type"] = "application/json"
	}
	maps.Copy(headers, r.headers)
	for name, value := range headers {
		if value != "" {
			in.Header.Set(name, value)
		}
	}
	out := httptest.NewRecorder()
	f.server.Public().ServeHTTP(out, in)
	return out
}

// post sends a document as application/graphql-response+json clients do.
func (f *fixture) post(token, query, variables string) *httptest.ResponseRecorder {
	body := map[string]any{"query": query}
	if variables != "" {
		body["variables"] = json.RawMessage(variables)
	}
	text, _ := json.Marshal(body)
	return f.do(request{body: string(text), headers: map[string]string{
		"Authorization": "Bearer " + token, "Accept": "application/graphql-response+json",
	}})
}

func (f *fixture) get(query string, headers map[string]string) *httptest.ResponseRecorder {
	return f.do(request{method: http.MethodGet, url: "/graphql?query=" + url.QueryEscape(query), headers: headers})
}

// shown is an answer as clients see it.
type shown struct {
	Errors []struct {
		Message    string
		Path       []any
		Locations  []map[string]int
		Extensions struct{ Code, RequestID string }
	}
	Data       json.RawMessage
	Extensions map[string]map[string]any
}

func read(tb testing.TB, out *httptest.ResponseRecorder) shown {
	tb.Helper()
	var s shown
	require.NoError(tb, json.Unmarshal(out.Body.Bytes(), &s), out.Body.String())
	for _, err := range s.Errors {
		require.Equal(tb, out.Header().Get("X-Request-Id"), err.Extensions.RequestID, "every error names its request")
		require.NotEmpty(tb, err.Extensions.Code, "every error has a code")
		require.NotEmpty(tb, err.Message)
	}
	return s
}

// code is the only error's code.
func code(tb testing.TB, out *httptest.ResponseRecorder) string {
	tb.Helper()
	s := read(tb, out)
	require.Len(tb, s.Errors, 1, out.Body.String())
	return s.Errors[0].Extensions.Code
}

func quote(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted)
}

func bearer(token string) string {
	if token == "" {
		return ""
	}
	return "Bearer " + token
}

func testLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
