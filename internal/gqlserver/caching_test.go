package gqlserver_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/models"
)

// shelfCache keeps answers for ever, and what it was asked.
type shelfCache struct {
	gqlserver.Uncached

	mu       sync.Mutex
	kept     map[string]gqlserver.Computed
	asked    []gqlserver.Question
	computes []gqlserver.Compute
}

func (c *shelfCache) Answer(ctx context.Context, q *gqlserver.Question, compute gqlserver.Compute) gqlserver.CacheAnswer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, *q)
	c.computes = append(c.computes, compute)
	subject := ""
	if q.Caching.Scope == operation.ScopePrivate {
		subject = q.Scope.Subject
	}
	key := fmt.Sprint(q.Scope.ClinicID, q.Scope.Role, subject, q.Name, q.Print, string(q.Variables))
	if kept, ok := c.kept[key]; ok && !q.Afresh {
		return gqlserver.CacheAnswer{Data: kept.Data, Digest: kept.Digest, Hit: true, Tier: "process", Age: 7 * time.Second}
	}
	computed := compute(ctx)
	if computed.Unfit == "" {
		if c.kept == nil {
			c.kept = map[string]gqlserver.Computed{}
		}
		c.kept[key] = computed
	}
	return gqlserver.CacheAnswer{Computed: &computed, Reason: "first seen", Stored: computed.Unfit == ""}
}

const clinicData = `{"clinic":{"name":"Aurora"}}`

func newCachedFixture(t *testing.T) (*fixture, *shelfCache) {
	t.Helper()
	cache := &shelfCache{}
	f := newFixture(t, func(c *gqlserver.Config) { c.Cache = cache }).always(clinicData)
	return f, cache
}

// requireText compares byte by byte: it is not enough that both mean the same.
func requireText(t *testing.T, want, got string) {
	t.Helper()
	if want != got {
		t.Fatalf("want %s, got %s", want, got)
	}
}

func TestCache_AHitIsTheSameBytesAndRunsNothing(t *testing.T) {
	t.Parallel()
	f, _ := newCachedFixture(t)
	const query = "query Clinic { clinic { name } }"
	first := f.post("OWNER", query, "")
	require.Equal(t, `taskmed; fwd=miss; detail="first seen"`, first.Header().Get("Cache-Status"))
	require.Empty(t, first.Header().Get("Age"))
	for how, again := range map[string]*httptest.ResponseRecorder{
		"POST":                 f.post("OWNER", query, ""),
		"GET":                  f.get(query, map[string]string{"Accept": "application/graphql-response+json"}),
		"laid out differently": f.post("OWNER", "query  Clinic{clinic{name}} # again", ""),
	} {
		assert.Equal(t, "taskmed; hit", again.Header().Get("Cache-Status"), how)
		assert.Equal(t, "7", again.Header().Get("Age"), how)
		assert.Equal(t, first.Body.String(), again.Body.String(), how)
		assert.Equal(t, first.Header().Get("ETag"), again.Header().Get("ETag"), how)
		assert.Equal(t, "private, no-cache", again.Header().Get("Cache-Control"), how)
		assert.Equal(t, first.Header().Get("Content-Type"), again.Header().Get("Content-Type"), how)
	}
	assert.LessOrEqual(t, len(f.post("OWNER", query, "").Header()), 8, "more make net/http's map grow")
	require.EqualValues(t, 1, f.schema.executed.Load())
	requireText(t, `{"data":`+clinicData+`}`, first.Body.String())

	f.post("OWNER", "query Other { clinic { name } }", "")
	f.post("FINANCE", query, "")
	require.EqualValues(t, 3, f.schema.executed.Load(), "another name or role is another question")
}

// Promise C4.
func TestCache_WhatIsNotAWholeAnswerIsNeverKept(t *testing.T) {
	t.Parallel()
	fault := gqlerror.List{{Message: "x", Err: &models.Error{Code: models.Unavailable, Message: "later"}}}
	for _, c := range []struct {
		name, query, status string
		answer              func(context.Context) *graphql.Response
	}{
		{"an error", "{ clinic { name } }", `fwd=miss; detail="has errors"`, func(context.Context) *graphql.Response {
			return &graphql.Response{Data: []byte("null"), Errors: fault}
		}},
		{"a part", "{ clinic { name } }", `fwd=miss; detail="has errors"`, func(context.Context) *graphql.Response {
			return &graphql.Response{Data: []byte(clinicData), Errors: fault}
		}},
		{"the first of several", "{ clinic { name } }", `fwd=miss; detail="comes in parts"`, func(context.Context) *graphql.Response {
			return &graphql.Response{Data: []byte(clinicData), HasNext: new(bool)}
		}},
		{"nothing", "{ clinic { name } }", `fwd=miss; detail="ran out of time"`, func(context.Context) *graphql.Response { return nil }},
		{"a panic", "{ clinic { name } }", `fwd=miss; detail="has errors"`, func(context.Context) *graphql.Response { panic("broken") }},
		{"a mutation", `mutation { archiveContact(input: {id: "x"}) { contact { id } } }`, `fwd=bypass; detail="mutation"`, nil},
		{"introspection", "{ __schema { types { name } } }", `fwd=bypass; detail="not cacheable: introspection"`, nil},
		{"what says nothing", "{ __typename }", `fwd=bypass; detail="not cacheable: nothing in it says for how long"`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, cache := newCachedFixture(t)
			if c.answer != nil {
				f.schema.answer = c.answer
			}
			for range 2 {
				out := f.post("OWNER", c.query, "")
				assert.Equal(t, "taskmed; "+c.status, out.Header().Get("Cache-Status"))
				assert.Equal(t, "no-store", out.Header().Get("Cache-Control"))
				assert.Empty(t, out.Header().Get("ETag"))
			}
			assert.EqualValues(t, 2, f.schema.executed.Load())
			assert.Empty(t, cache.kept)
			if strings.Contains(c.status, "bypass") {
				assert.Empty(t, cache.asked)
			}
		})
	}
}

func TestCache_IsAskedOnlyByWhoMay(t *testing.T) {
	t.Parallel()
	f, cache := newCachedFixture(t)
	const records = `{ medicalRecords(contactId: "x") { nodes { id } } }`
	require.Equal(t, http.StatusOK, f.post("OWNER", records, "").Code)
	require.Len(t, cache.asked, 1)
	for token, status := range map[string]int{"FINANCE": 403, "expired": 401, "stranger": 403} {
		out := f.post(token, records, "")
		require.Equal(t, status, out.Code)
		require.Empty(t, out.Header().Get("Cache-Status"))
	}
	require.Len(t, cache.asked, 1)
}

func TestCache_ClientsMayPassOverWhatIsKept(t *testing.T) {
	t.Parallel()
	f, cache := newCachedFixture(t)
	ask := func(headers map[string]string) *httptest.ResponseRecorder {
		return f.get("{ clinic { name } }", headers)
	}
	ask(nil)
	f.always(`{"clinic":{"name":"Horizonte"}}`)
	require.Contains(t, ask(nil).Body.String(), "Aurora")

	out := ask(map[string]string{"Cache-Control": "no-store"})
	require.Contains(t, out.Body.String(), "Horizonte")
	require.Equal(t, `taskmed; fwd=bypass; detail="no-store asked for"`, out.Header().Get("Cache-Status"))
	require.Equal(t, "no-store", out.Header().Get("Cache-Control"))
	require.Contains(t, ask(nil).Body.String(), "Aurora", "it was not kept")

	out = ask(map[string]string{"Cache-Control": "max-age=0, No-Cache"})
	require.Contains(t, out.Body.String(), "Horizonte")
	require.Equal(t, `taskmed; fwd=request; detail="no-cache asked for"`, out.Header().Get("Cache-Status"))
	require.Contains(t, ask(nil).Body.String(), "Horizonte", "it was kept")

	asked := len(cache.asked)
	ask(map[string]string{"Pragma": "no-cache"})
	require.True(t, cache.asked[asked].Afresh)
	ask(map[string]string{"Pragma": "no-cache", "Cache-Control": "max-age=60"})
	require.False(t, cache.asked[asked+1].Afresh)
}

func TestCache_NotModifiedIsForTheSameScopeAfterAuthentication(t *testing.T) {
	t.Parallel()
	f, _ := newCachedFixture(t)
	const query = "{ clinic { name } }"
	etag := f.get(query, nil).Header().Get("ETag")
	require.Regexp(t, `^"[A-Za-z0-9_-]{22}"$`, etag)
	ask := func(token, match string) *httptest.ResponseRecorder {
		return f.get(query, map[string]string{"Authorization": "Bearer " + token, "If-None-Match": match})
	}
	for _, match := range []string{etag, "W/" + etag, `"x", ` + etag, "*"} {
		out := ask("OWNER", match)
		require.Equal(t, http.StatusNotModified, out.Code, match)
		require.Empty(t, out.Body.String())
		require.Equal(t, etag, out.Header().Get("ETag"))
		require.Equal(t, "private, no-cache", out.Header().Get("Cache-Control"))
		require.NotEmpty(t, out.Header().Get("Vary"))
		require.Equal(t, "taskmed; hit", out.Header().Get("Cache-Status"))
		require.Empty(t, out.Header().Get("Content-Type"))
	}
	require.Equal(t, http.StatusOK, ask("OWNER", `"x"`).Code)
	// The same data, but nobody else may be told so.
	require.Equal(t, http.StatusOK, ask("FINANCE", etag).Code)
	require.NotEqual(t, etag, ask("FINANCE", etag).Header().Get("ETag"))
	require.Equal(t, http.StatusUnauthorized, ask("expired", etag).Code)
	require.Equal(t, http.StatusForbidden, ask("stranger", "*").Code)
	// Another form of the same.
	other := f.get(query, map[string]string{"If-None-Match": etag, "Accept": "application/graphql-response+json"})
	require.Equal(t, http.StatusOK, other.Code)
	// Not by POST, and not for what is refused.
	out := f.do(request{body: `{"query":"{ clinic { name } }"}`, headers: map[string]string{"If-None-Match": etag}})
	require.Equal(t, http.StatusOK, out.Code)
	require.Equal(t, etag, out.Header().Get("ETag"))
	require.NotEqual(t, http.StatusNotModified, f.get("{ nothing }", map[string]string{"If-None-Match": "*"}).Code)

	f.always(`{"clinic":{"name":"Horizonte"}}`)
	f.get(query, map[string]string{"Cache-Control": "no-cache"})
	require.Equal(t, http.StatusOK, ask("OWNER", etag).Code, "it was modified")
}

func TestCache_ServersThatShareASecretGiveTheSameETag(t *testing.T) {
	t.Parallel()
	etag := func(secret string) string {
		f := newFixture(t, func(c *gqlserver.Config) { c.Secret = []byte(secret) }).always(clinicData)
		out := f.get("{ clinic { name } }", nil)
		require.Equal(t, `taskmed; fwd=bypass; detail="off"`, out.Header().Get("Cache-Status"))
		return out.Header().Get("ETag")
	}
	one := etag("one")
	require.Equal(t, one, etag("one"))
	require.NotEqual(t, one, etag("two"))
	random := etag("")
	require.NotEqual(t, random, etag(""))
}

func TestCache_EqualVariablesAreOneQuestion(t *testing.T) {
	t.Parallel()
	f, cache := newCachedFixture(t)
	const query = `query Q($id: ID!, $n: Int = 20, $filter: ContactFilter) {
		contact(id: $id) { appointments(first: $n) { totalCount } } contacts(filter: $filter) { totalCount } }`
	variables := func(given string) string {
		before := len(cache.asked)
		out := f.post("OWNER", query, given)
		require.Len(t, cache.asked, before+1, out.Body.String())
		return string(cache.asked[before].Variables)
	}
	same := variables(`{"id":"a","n":20,"filter":{"status":["ACTIVE"],"tag":"x"}}`)
	requireText(t, `{"filter":{"status":["ACTIVE"],"tag":"x"},"id":"a","n":2e1}`, same)
	require.Equal(t, same, variables(`{"filter":{"tag":"x","status":["ACTIVE"]},"id":"a"}`))
	for _, other := range []string{
		`{"id":"b","filter":{"status":["ACTIVE"],"tag":"x"}}`,
		`{"id":"a","n":21,"filter":{"status":["ACTIVE"],"tag":"x"}}`,
		`{"id":"a","n":2,"filter":{"status":["ACTIVE"],"tag":"x"}}`,
		`{"id":"a","filter":{"status":["ACTIVE","LEAD"],"tag":"x"}}`,
		`{"id":"a","filter":{"status":["ACTIVE"],"tag":"x\",\"y"}}`,
		`{"id":"a","filter":null}`,
		`{"id":"a"}`,
	} {
		require.NotEqual(t, same, variables(other), other)
	}
	require.NotEqual(t, variables(`{"id":"a","filter":null}`), variables(`{"id":"a"}`), "null is not absent")
}

func TestCache_MayAskAgainAfterTheRequest(t *testing.T) {
	t.Parallel()
	f, cache := newCachedFixture(t)
	f.post("OWNER", "query Clinic { clinic { name } }", "")
	f.always(`{"clinic":{"name":"Horizonte"}}`)
	computed := cache.computes[0](context.Background())
	require.JSONEq(t, `{"clinic":{"name":"Horizonte"}}`, string(computed.Data))
	require.Empty(t, computed.Unfit)
	require.NotEmpty(t, computed.Digest)
	require.EqualValues(t, 2, f.schema.executed.Load())
}

func TestCache_DevelopersSeeItsReasons(t *testing.T) {
	t.Parallel()
	f, _ := newCachedFixture(t)
	query := "/graphql?query=" + url.QueryEscape("{ clinic { name } }")
	seen := func(match string) (*httptest.ResponseRecorder, map[string]any) {
		out := f.do(request{method: http.MethodGet, url: query, headers: map[string]string{"Authorization": "Bearer developer", "If-None-Match": match}})
		if out.Code == http.StatusNotModified {
			return out, nil
		}
		cache, _ := read(t, out).Extensions["taskmed"]["cache"].(map[string]any)
		return out, cache
	}
	first, cache := seen("")
	require.Equal(t, map[string]any{
		"hit": false, "status": `taskmed; fwd=miss; detail="first seen"`, "reason": "first seen", "stored": true,
		"maxAge": 86400.0, "scope": "TENANT",
	}, cache)
	again, cache := seen("")
	require.Equal(t, map[string]any{
		"hit": true, "status": "taskmed; hit", "tier": "process", "ageMs": 7000.0, "maxAge": 86400.0, "scope": "TENANT",
	}, cache)
	// What differs from one to the next beside the data makes it a weak one.
	require.Equal(t, first.Header().Get("ETag"), again.Header().Get("ETag"))
	require.True(t, strings.HasPrefix(again.Header().Get("ETag"), `W/"`))
	out, _ := seen(again.Header().Get("ETag"))
	require.Equal(t, http.StatusNotModified, out.Code)
}

func TestCache_ReasonsAreHeaderStrings(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *gqlserver.Config) { c.Cache = says{reason: `a "tag" \ é` + "\r\nX: y"} }).always(clinicData)
	require.Equal(t, `taskmed; fwd=miss; detail="a \"tag\" \\ ???X: y"`, f.get("{ clinic { name } }", nil).Header().Get("Cache-Status"))
}

// says is a cache that has only a reason.
type says struct {
	gqlserver.Uncached

	reason string
}

func (s says) Answer(ctx context.Context, _ *gqlserver.Question, compute gqlserver.Compute) gqlserver.CacheAnswer {
	computed := compute(ctx)
	return gqlserver.CacheAnswer{Computed: &computed, Reason: s.reason}
}

// deaf is a cache whose answer did not come in time.
type deaf struct{ gqlserver.Uncached }

func (deaf) Answer(context.Context, *gqlserver.Question, gqlserver.Compute) gqlserver.CacheAnswer {
	return gqlserver.CacheAnswer{Reason: "could not wait"}
}

func TestCache_WithoutAnAnswerTheOperationRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *gqlserver.Config) { c.Cache = deaf{} }).always(clinicData)
	out := f.post("OWNER", "{ clinic { name } }", "")
	requireText(t, `{"data":`+clinicData+`}`, out.Body.String())
	require.Equal(t, `taskmed; fwd=miss; detail="could not wait"`, out.Header().Get("Cache-Status"))
}
