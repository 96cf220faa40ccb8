package gqlserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/profile"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// failing answers with an error of a resolver.
func failing(err error, data string) func(context.Context) *graphql.Response {
	return func(ctx context.Context) *graphql.Response {
		graphql.AddError(ctx, err)
		return &graphql.Response{Data: json.RawMessage(data)}
	}
}

// Promise H7: what a client is told, and what only the log is.
func TestErrors_AreTranslatedOnce(t *testing.T) {
	t.Parallel()
	secret := errors.New(`pq: duplicate key value violates unique constraint "contacts_tax_id_key" SECRET`)
	cases := []struct {
		name    string
		err     error
		code    string
		message string
		logged  bool
	}{
		{"one that is meant for the client", &models.Error{Code: models.BadUserInput, Message: "the cursor is of another list", Cause: secret}, "BAD_USER_INPUT", "the cursor is of another list", false},
		{"the same, wrapped", fmt.Errorf("contacts: %w", models.BadInput("a Date is such as 2026-11-22")), "BAD_USER_INPUT", "a Date is such as 2026-11-22", false},
		{"forbidden", &models.Error{Code: models.Forbidden, Message: "not yours"}, "FORBIDDEN", "not yours", false},
		{"unknown", secret, "INTERNAL", "internal error", true},
		{"internal by its code", &models.Error{Code: models.Internal, Message: "SECRET"}, "INTERNAL", "internal error", true},
		{"unavailable", &models.Error{Code: models.Unavailable, Message: "the database is busy", Cause: secret}, "UNAVAILABLE", "the database is busy", true},
		{"too late", fmt.Errorf("query: %w", context.DeadlineExceeded), "UNAVAILABLE", "the answer took too long; try again", false},
		{"no scope", fmt.Errorf("contacts: %w", tenant.ErrNoScope), "UNAUTHENTICATED", "send a valid token as Authorization: Bearer", false},
		{"a mistake of the user", models.Refuse("INVALID", "name", "the name is empty"), "BAD_USER_INPUT", "the name is empty", false},
		{"gqlgen's own", &gqlerror.Error{Message: "SECRET", Path: ast.Path{ast.PathName("clinic")}}, "INTERNAL", "internal error", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.schema.answer = failing(c.err, `{"clinic":{"id":"c1"}}`)
			out := f.post("OWNER", `{ clinic { id } }`, "")
			s := read(t, out)
			require.Len(t, s.Errors, 1)
			assert.Equal(t, http.StatusOK, out.Code, "there is data")
			assert.JSONEq(t, `{"clinic":{"id":"c1"}}`, string(s.Data))
			assert.Equal(t, c.code, s.Errors[0].Extensions.Code)
			assert.Equal(t, c.message, s.Errors[0].Message)
			assert.NotContains(t, out.Body.String(), "SECRET")
			logged := 0
			if c.logged {
				logged = 1
			}
			assert.Equal(t, logged, strings.Count(f.log.String(), `"error":`), f.log.String())
			assert.Equal(t, logged+1, strings.Count(f.log.String(), out.Header().Get("X-Request-Id")), "one line for the request, one for the fault")
		})
	}
}

func TestPanic_IsAnInternalErrorAndItsWordsAreNotLogged(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.schema.answer = func(context.Context) *graphql.Response { panic("patient Maria SECRET") }
	out := f.post("OWNER", `{ clinic { id } }`, "")
	assert.Equal(t, http.StatusInternalServerError, out.Code)
	assert.Equal(t, "INTERNAL", code(t, out))
	assert.Contains(t, f.log.String(), "errors_test.go", "the stack is in the log")
	assert.NotContains(t, f.log.String()+out.Body.String(), "SECRET")

	f.schema.answer = func(context.Context) *graphql.Response {
		return &graphql.Response{Data: json.RawMessage(nobody().Message)}
	}
	assert.Equal(t, "INTERNAL", code(t, f.post("OWNER", `{ clinic { id } }`, "")))
	assert.Contains(t, f.log.String(), "nil pointer dereference", "Go's own words hold no data")
}

func TestHandlerPanic_IsAnswered(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *gqlserver.Config) {
		c.Playground = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("SECRET") })
	})
	out := f.do(request{method: http.MethodGet, url: "/"})
	assert.Equal(t, http.StatusInternalServerError, out.Code)
	assert.Equal(t, "INTERNAL", code(t, out))
	assert.NotContains(t, f.log.String()+out.Body.String(), "SECRET")
}

func nobody() *models.Error { return nil }

func TestResolverPanic_SparesTheOtherFields(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil) // The generated code without resolvers panics in each root field.
	out := f.post("OWNER", `query Panics { contact(id: "x") { id } __typename }`, "")
	s := read(t, out)
	assert.Equal(t, http.StatusOK, out.Code)
	assert.JSONEq(t, `{"contact":null,"__typename":"Query"}`, string(s.Data))
	assert.Equal(t, "INTERNAL", s.Errors[0].Extensions.Code)
	assert.Equal(t, []any{"contact"}, s.Errors[0].Path)
	assert.Contains(t, f.log.String(), `"operation":"Panics"`)
}

// A scalar's own check runs with the field, not before: its error must still
// be the client's, and nothing may have run.
func TestScalar_ThatDoesNotExistIsBadInput(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for query, variables := range map[string]string{
		`{ appointments(filter: {range: {from: "2026-02-30T00:00:00Z"}}) { totalCount } }`:                      "",
		`query($r: DateTimeRange!) { appointments(filter: {range: $r}) { totalCount } }`:                        `{"r":{"to":"SECRET"}}`,
		`mutation { createContact(input: {name: "Ana", birthDate: "2026-13-01"}) { contact { id } } }`:          "",
		`mutation($i: CreateContactInput!) { createContact(input: $i) { contact { id } } }`:                     `{"i":{"name":"Ana","birthDate":5}}`,
		`query($f: DateTime) { practitioner(id: "x") { timeOff(range: {from: $f}) { id } } a: __typename }`:     `{"f":"SECRET"}`,
		`query($r: DateTimeRange!) { availability(serviceId: "s", range: $r) { startsAt } b: clinic { name } }`: `{"r":{"from":["SECRET"]}}`,
	} {
		out := f.post("OWNER", query, variables)
		s := read(t, out)
		require.NotEmpty(t, s.Errors, out.Body.String())
		for _, err := range s.Errors {
			assert.Equal(t, "BAD_USER_INPUT", err.Extensions.Code, out.Body.String())
			assert.Empty(t, err.Path, "no field has run: %s", out.Body.String())
		}
		assert.NotContains(t, out.Body.String(), "SECRET")
	}
}

func TestPresenter_TakesAnArgumentsFaultForInput(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.schema.answer = func(ctx context.Context) *graphql.Response {
		field := &graphql.FieldContext{Field: graphql.CollectedField{Field: &ast.Field{Alias: "contacts"}}}
		ctx = graphql.WithFieldContext(ctx, field)
		input := graphql.WithPathContext(ctx, graphql.NewPathWithField("orderBy"))
		graphql.AddError(ctx, graphql.ErrorOnPath(input, errors.New("SECRET is not a valid ContactOrder")))
		graphql.AddError(ctx, errors.New("SECRET"))
		return &graphql.Response{Data: json.RawMessage(`null`)}
	}
	s := read(t, f.post("OWNER", `{ clinic { id } }`, ""))
	require.Len(t, s.Errors, 2)
	assert.Equal(t, "BAD_USER_INPUT", s.Errors[0].Extensions.Code)
	assert.Equal(t, "a value is not of its type", s.Errors[0].Message)
	assert.Equal(t, "INTERNAL", s.Errors[1].Extensions.Code)
}

func TestDeadline_IsAClear503(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *gqlserver.Config) { c.Limits.Request = 20 * time.Millisecond })
	f.schema.answer = func(ctx context.Context) *graphql.Response {
		<-ctx.Done()
		graphql.AddError(ctx, fmt.Errorf("select: %w", ctx.Err()))
		return &graphql.Response{Data: json.RawMessage(`{"contact":null}`)}
	}
	out := f.post("OWNER", `{ contact(id: "x") { id } }`, "")
	assert.Equal(t, http.StatusServiceUnavailable, out.Code)
	assert.Equal(t, "UNAVAILABLE", code(t, out))
	assert.Equal(t, "1", out.Header().Get("Retry-After"))
}

// counter counts statements.
type counter func(ctx context.Context) (context.Context, func() (int64, int64))

func (c counter) Count(ctx context.Context) (context.Context, func() (int64, int64)) { return c(ctx) }

func (counter) Explain(context.Context, uuid.UUID, []*profile.Statement) {}

func TestDeveloper_SeesWhatARequestCost(t *testing.T) {
	t.Parallel()
	type key struct{}
	f := newFixture(t, func(c *gqlserver.Config) {
		c.Statements = counter(func(ctx context.Context) (context.Context, func() (int64, int64)) {
			var n int64
			return context.WithValue(ctx, key{}, &n), func() (int64, int64) { return n, n }
		})
	})
	f.schema.answer = func(ctx context.Context) *graphql.Response {
		if n, ok := ctx.Value(key{}).(*int64); ok {
			*n = 3
		}
		return &graphql.Response{Data: json.RawMessage(`{"contacts":{"nodes":[]}}`)}
	}
	const query = `{ contacts { nodes { id } } }`
	s := read(t, f.post("developer", query, ""))
	assert.InDelta(t, 21, s.Extensions["taskmed"]["cost"], 0)
	assert.InDelta(t, 3, s.Extensions["taskmed"]["statements"], 0)
	assert.Contains(t, s.Extensions["taskmed"], "durationMs")
	assert.NotContains(t, f.post("OWNER", query, "").Body.String(), "extensions")
}

func TestIntrospection_CanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	const hidden = `{ clinic { id } ...F } fragment F on Query { ... { __type(name: "Contact") { name } } }`
	on := newFixture(t, nil)
	assert.Contains(t, on.post("PARTNER", `{ __type(name: "Contact") { name } }`, "").Body.String(), `"name":"Contact"`)

	off := newFixture(t, func(c *gqlserver.Config) { c.Operations.NoIntrospection = true }).always(`{}`)
	for _, query := range []string{hidden, `{ __schema { types { name } } }`} {
		out := off.post("OWNER", query, "")
		assert.Equal(t, "GRAPHQL_VALIDATION_FAILED", code(t, out))
	}
	assert.Equal(t, http.StatusOK, off.post("OWNER", `{ __typename }`, "").Code)
}

// recorder is an extension with every hook that there is.
type recorder struct{ calls *[]string }

func (recorder) ExtensionName() string                   { return "Recorder" }
func (recorder) Validate(graphql.ExecutableSchema) error { return nil }
func (r recorder) MutateOperationContext(context.Context, *graphql.OperationContext) *gqlerror.Error {
	*r.calls = append(*r.calls, "operation context")
	return nil
}

func (r recorder) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	*r.calls = append(*r.calls, "operation")
	return next(ctx)
}

func (r recorder) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	*r.calls = append(*r.calls, "response")
	return next(ctx)
}

func (r recorder) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	*r.calls = append(*r.calls, "field")
	return next(ctx)
}

func TestExtensions_GetEveryHook(t *testing.T) {
	t.Parallel()
	var calls []string
	f := newFixture(t, func(c *gqlserver.Config) { c.Extensions = []graphql.HandlerExtension{recorder{&calls}} })
	f.post("OWNER", `{ __type(name: "Contact") { name } }`, "")
	assert.Equal(t, []string{"operation context", "operation", "response", "field"}, calls[:4])
}
