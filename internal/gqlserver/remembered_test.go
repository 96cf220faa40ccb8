package gqlserver_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/gqlserver"
)

// echo answers every operation with the document and the variables that it has.
func (f *fixture) echo() *fixture {
	f.schema.answer = func(ctx context.Context) *graphql.Response {
		op := graphql.GetOperationContext(ctx)
		text, err := json.Marshal(map[string]any{"name": op.Operation.Name, "variables": op.Variables})
		if err != nil {
			panic(err)
		}
		return &graphql.Response{Data: text}
	}
	return f
}

// asks is a cache that keeps nothing and notes what it was asked.
type asks struct {
	gqlserver.Uncached

	mu        sync.Mutex
	questions []string
}

func (a *asks) Answer(ctx context.Context, q *gqlserver.Question, compute gqlserver.Compute) gqlserver.CacheAnswer {
	a.mu.Lock()
	a.questions = append(a.questions, q.Name+string(q.Print[:])+string(q.Variables))
	a.mu.Unlock()
	computed := compute(ctx)
	return gqlserver.CacheAnswer{Computed: &computed}
}

const dayQuery = `query Day($filter: AppointmentFilter, $first: Int = 7) { appointments(filter: $filter, first: $first) { nodes { id } } }`

func TestRemembered_TheSameBytesMeanTheSameEachTime(t *testing.T) {
	t.Parallel()
	var cache asks
	f := newFixture(t, func(c *gqlserver.Config) { c.Cache = &cache }).echo()
	variables := `{"filter":{"status":"SCHEDULED","range":{"from":"2026-11-23T00:00:00Z","to":"2026-11-24T00:00:00Z"}}}`
	first := f.post("OWNER", dayQuery, variables)
	require.Equal(t, http.StatusOK, first.Code, first.Body.String())
	require.Contains(t, first.Body.String(), `"first":7`, "the default")
	require.Contains(t, first.Body.String(), `"status":["SCHEDULED"]`, "coerced")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if got := f.post("OWNER", dayQuery, variables); got.Body.String() != first.Body.String() {
					t.Errorf("%s, and first %s", got.Body, first.Body)
				}
			}
		})
	}
	all.Wait()
	for _, question := range cache.questions {
		require.Equal(t, cache.questions[0], question, "the cache is asked the same")
	}
	values := url.Values{"query": {dayQuery}, "variables": {variables}}
	for range 3 {
		got := f.do(request{method: http.MethodGet, url: "/graphql?" + values.Encode(), headers: map[string]string{"Accept": "application/graphql-response+json"}})
		require.Equal(t, first.Body.String(), got.Body.String(), "by GET")
	}

	// Others differ, however little.
	for range 2 {
		other := f.post("OWNER", dayQuery, strings.Replace(variables, "24T", "25T", 1))
		require.Contains(t, other.Body.String(), "2026-11-25T")
		require.Contains(t, f.post("OWNER", dayQuery, `{"first":3}`).Body.String(), `"first":3`)
		require.Contains(t, f.post("OWNER", strings.Replace(dayQuery, "Day", "Other", 1), variables).Body.String(), `"Other"`)
	}
}

func TestRemembered_WhoMayIsAskedEachTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil).echo()
	const query = `query($id: ID!) { contact(id: $id) { medicalRecords { nodes { body } } } }`
	for range 3 {
		require.Equal(t, http.StatusOK, f.post("OWNER", query, `{"id":"contact_01h455vb4pex5vsknk084sn02q"}`).Code)
		refused := f.post("FINANCE", query, `{"id":"contact_01h455vb4pex5vsknk084sn02q"}`)
		require.NotEqual(t, http.StatusOK, refused.Code, "the same bytes")
		require.Contains(t, refused.Body.String(), "FORBIDDEN")
		require.Equal(t, http.StatusUnauthorized, f.post("expired", query, `{"id":"contact_01h455vb4pex5vsknk084sn02q"}`).Code)
	}
}

func TestRemembered_WhatIsRefusedIsRefusedEachTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil).echo()
	for _, body := range []string{
		`{"query":"{ nothing }"}`,
		`{"query":"query($first: Int!) { contacts(first: $first) { nodes { id } } }"}`,
		`{"query":"query($first: Int!) { contacts(first: $first) { nodes { id } } }","variables":{"first":"x"}}`,
		`{"query":"{ contacts { nodes { id } } }","variables":[]}`,
		`{"query":"{ contacts { nodes { id } } }","operationName":"Other"}`,
		`[]`,
	} {
		first := f.do(request{body: body, headers: map[string]string{"X-Request-Id": "r"}})
		require.Contains(t, first.Body.String(), `"errors"`)
		for range 2 {
			again := f.do(request{body: body, headers: map[string]string{"X-Request-Id": "r"}})
			require.Equal(t, first.Code, again.Code, body)
			require.Equal(t, first.Body.String(), again.Body.String(), body)
		}
	}
}

// named gives documents by a name that a test gives another meaning.
type named struct {
	mu   sync.Mutex
	text string
}

func (n *named) Resolve(context.Context, string, string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text, nil
}

func (n *named) Admitted(context.Context, string, string) {}

func TestRemembered_ANameMayComeToMeanAnotherDocument(t *testing.T) {
	t.Parallel()
	documents := &named{text: dayQuery}
	f := newFixture(t, func(c *gqlserver.Config) { c.Documents = documents }).echo()
	ask := func() string {
		return f.do(request{body: `{"documentId":"day","variables":{"first":3,"offset":5}}`}).Body.String()
	}
	for range 3 {
		require.JSONEq(t, `{"data":{"name":"Day","variables":{"first":3}}}`, ask())
	}
	for range 3 {
		documents.text = `query Today($first: Int, $after: String = "x") { contacts(first: $first, after: $after) { nodes { id } } }`
		require.JSONEq(t, `{"data":{"name":"Today","variables":{"first":3,"after":"x"}}}`, ask())
		documents.text = dayQuery
		require.JSONEq(t, `{"data":{"name":"Day","variables":{"first":3}}}`, ask())
	}
}
