package gqlserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/gqlserver"
)

const (
	plain    = "application/json"
	response = "application/graphql-response+json"
)

func TestStatus_IsWhatTheSpecificationSays(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, token, query, variables string
		plain, response               int
		code                          string
	}{
		{"data", "OWNER", `{ clinic { id } }`, "", 200, 200, ""},
		{"not parsed", "OWNER", `{`, "", 200, 400, "GRAPHQL_PARSE_FAILED"},
		{"not valid", "OWNER", `{ nothing }`, "", 200, 400, "GRAPHQL_VALIDATION_FAILED"},
		{"a variable of another type", "OWNER", `query($id: ID!) { contact(id: $id) { id } }`, `{"id": null}`, 200, 400, "BAD_USER_INPUT"},
		{"a page too large", "OWNER", `{ contacts(first: 101) { totalCount } }`, "", 200, 400, "BAD_USER_INPUT"},
		{"too dear", "OWNER", `{ contacts(first: 100) { nodes { appointments(first: 100) { nodes { contact { appointments(first: 100) { totalCount } } } } } } }`, "", 200, 400, "COST_LIMIT"},
		{"not allowed", "FINANCE", `{ medicalRecord(id: "x") { title } }`, "", 200, 403, "FORBIDDEN"},
		{"no token", "", `{ clinic { id } }`, "", 401, 401, "UNAUTHENTICATED"},
		{"an old token", "expired", `{ __schema { types { name } } }`, "", 401, 401, "UNAUTHENTICATED"},
		{"another clinic", "stranger", `{ clinic { id } }`, "", 403, 403, "FORBIDDEN"},
		{"keys that cannot be had", "down", `{ clinic { id } }`, "", 503, 503, "UNAVAILABLE"},
		{"an authenticator that breaks", "broken", `{ clinic { id } }`, "", 500, 500, "INTERNAL"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil).always(`{"clinic":{"id":"c1"}}`)
			body := `{"query":` + quote(c.query) + `}`
			if c.variables != "" {
				body = `{"query":` + quote(c.query) + `,"variables":` + c.variables + `}`
			}
			for media, status := range map[string]int{plain: c.plain, response: c.response} {
				out := f.do(request{body: body, headers: map[string]string{"Accept": media, "Authorization": bearer(c.token)}})
				assert.Equal(t, status, out.Code, media)
				assert.Equal(t, media+"; charset=utf-8", out.Header().Get("Content-Type"))
				kept := "no-store"
				if c.code == "" {
					kept = "private, no-cache"
				}
				assert.Equal(t, kept, out.Header().Get("Cache-Control"))
				assert.Equal(t, "nosniff", out.Header().Get("X-Content-Type-Options"))
				if c.code == "" {
					assert.Equal(t, len(`{"data":{"clinic":{"id":"c1"}}}`), out.Body.Len())
					assert.Contains(t, out.Body.String(), `{"clinic":{"id":"c1"}}`, "the bytes as they came")
					continue
				}
				assert.Equal(t, c.code, code(t, out))
				assert.NotContains(t, out.Body.String(), `"data"`, "a request error has none")
				assert.NotContains(t, out.Body.String(), "unexpected EOF", "a cause is for the log")
				if status == http.StatusUnauthorized {
					assert.Contains(t, out.Header().Get("WWW-Authenticate"), `Bearer realm="taskmed"`)
					assert.Equal(t, c.token != "", strings.Contains(out.Header().Get("WWW-Authenticate"), "invalid_token"))
				}
			}
			executed := int64(0)
			if c.code == "" {
				executed = 2
			}
			assert.Equal(t, executed, f.schema.executed.Load(), "what is refused does not run")
		})
	}
}

func TestMediaType_IsNegotiated(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil).always(`{}`)
	for accept, want := range map[string]string{
		"":                                 plain,
		"*/*":                              plain,
		"application/*":                    plain,
		plain:                              plain,
		response:                           response,
		plain + ", " + response:            response,
		response + ";q=0.5, " + plain:      plain,
		response + ", " + plain + ";q=0.9": response,
		response + ";q=0, */*;q=0.1":       plain,
		"text/html, " + response + ";q=0.9, */*;q=0.8":        response,
		"multipart/mixed;deferSpec=20220824, " + plain:        plain,
		response + ";charset=utf-8":                           response,
		response + ";charset=latin1, " + plain:                plain,
		"APPLICATION/JSON":                                    plain,
		"application/graphql+json, application/json;q=0.1, ,": plain,
	} {
		out := f.do(request{body: `{"query":"{ __typename }"}`, headers: map[string]string{"Accept": accept}})
		assert.Equal(t, http.StatusOK, out.Code, accept)
		assert.Equal(t, want+"; charset=utf-8", out.Header().Get("Content-Type"), accept)
	}
	for _, accept := range []string{"text/html", "image/png, text/*", plain + ";q=0", plain + ";charset=utf-16", plain + ";q=nonsense"} {
		out := f.do(request{body: `{"query":"{ __typename }"}`, headers: map[string]string{"Accept": accept}})
		assert.Equal(t, http.StatusNotAcceptable, out.Code, accept)
		assert.Equal(t, "BAD_USER_INPUT", code(t, out))
	}
}

func TestBody_ThatIsNoRequestIsRefusedWithoutAnEcho(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *gqlserver.Config) { c.Limits.BodyBytes = 2000 }).always(`{}`)
	cases := []struct {
		name, body, contentType, encoding string
		status                            int
	}{
		{"nothing", ``, plain, "", 400},
		{"white space", " \n\t", plain, "", 400},
		{"cut off", `{"query": "CANARY`, plain, "", 400},
		{"no JSON", `CANARY`, plain, "", 400},
		{"a batch", `[{"query":"{ __typename }"}]`, plain, "", 400},
		{"a text", `"CANARY"`, plain, "", 400},
		{"null", `null`, plain, "", 400},
		{"two values", `{"query":"{ __typename }"} {"query":"CANARY"}`, plain, "", 400},
		{"no query", `{"qeury":"{ CANARY }"}`, plain, "", 400},
		{"an empty query", `{"query":" "}`, plain, "", 400},
		{"a query that is no text", `{"query":{"CANARY":1}}`, plain, "", 400},
		{"an operation name that is no text", `{"query":"{ __typename }","operationName":["CANARY"]}`, plain, "", 400},
		{"variables that are no object", `{"query":"{ __typename }","variables":["CANARY"]}`, plain, "", 400},
		{"variables in a text", `{"query":"{ __typename }","variables":"{}"}`, plain, "", 400},
		{"extensions that are no object", `{"query":"{ __typename }","extensions":"CANARY"}`, plain, "", 400},
		{"not UTF-8", "{\"query\":\"{ __typename }\",\"x\":\"CANARY\xff\"}", plain, "", 400},
		{"too large", `{"query":"{ __typename }","x":"` + strings.Repeat("CANARY", 400) + `"}`, plain, "", 413},
		{"no type", `{"query":"{ CANARY }"}`, "", "", 415},
		{"a form", `query=%7B__typename%7D`, "application/x-www-form-urlencoded", "", 415},
		{"plain text", `{"query":"{ CANARY }"}`, "text/plain", "", 415},
		{"a multipart form", "--x\r\n\r\n--x--", "multipart/form-data; boundary=x", "", 415},
		{"graphql", `{ CANARY }`, "application/graphql", "", 415},
		{"another charset", `{"query":"{ CANARY }"}`, plain + "; charset=latin1", "", 415},
		{"compressed", `CANARY`, plain, "gzip", 415},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := f.do(request{body: c.body, headers: map[string]string{"Content-Type": c.contentType, "Content-Encoding": c.encoding}})
			assert.Equal(t, c.status, out.Code)
			assert.Equal(t, "BAD_USER_INPUT", code(t, out))
			assert.NotContains(t, out.Body.String(), "CANARY")
		})
	}
	for _, good := range []string{
		`{"query":"{ __typename }"}`,
		` {"query":"query A { __typename } query B { __typename }","operationName":"B","variables":null,"extensions":null} `,
		`{"query":"{ __typename }","operationName":null,"variables":{},"extensions":{"a":1},"id":"more"}`,
	} {
		out := f.do(request{body: good, headers: map[string]string{"Content-Type": "application/json; charset=UTF-8"}})
		assert.Equal(t, http.StatusOK, out.Code, "%s: %s", good, out.Body)
	}
}

func TestGet_RunsQueriesAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil).always(`{"clinic":null}`)
	query := url.Values{
		"query":         {`query A($id: ID!) { contact(id: $id) { id } } query B { clinic { id } }`},
		"operationName": {"A"}, "variables": {`{"id":"x"}`}, "extensions": {`{}`},
	}
	out := f.do(request{method: http.MethodGet, url: "/graphql?" + query.Encode()})
	assert.Equal(t, http.StatusOK, out.Code, out.Body.String())
	assert.Equal(t, int64(1), f.schema.executed.Load())

	for _, token := range []string{"OWNER", "FINANCE"} {
		out = f.get(`mutation { archiveContact(input: {id: "x"}) { contact { id } } }`, map[string]string{"Authorization": bearer(token)})
		assert.Equal(t, http.StatusMethodNotAllowed, out.Code)
		assert.Equal(t, "POST, OPTIONS", out.Header().Get("Allow"))
	}
	for _, bad := range []string{"", "?query=", "?query=%7B__typename%7D&query=x", "?query=%7B__typename%7D&variables=%5B%5D", "?query=%7B__typename%7D&extensions=1", "?query=%zz", "?query=%ff"} {
		out = f.do(request{method: http.MethodGet, url: "/graphql" + bad})
		assert.Equal(t, http.StatusBadRequest, out.Code, bad)
		assert.Equal(t, "BAD_USER_INPUT", code(t, out))
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodPatch} {
		out = f.do(request{method: method})
		assert.Equal(t, http.StatusMethodNotAllowed, out.Code, method)
		assert.Equal(t, "GET, POST, OPTIONS", out.Header().Get("Allow"))
	}
	assert.Equal(t, int64(1), f.schema.executed.Load(), "nothing else ran")
}

func TestBrowser_IsSentToThePlayground(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *gqlserver.Config) {
		c.Playground = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("page " + r.URL.Path)) })
	})
	html := map[string]string{"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Authorization": ""}
	out := f.do(request{method: http.MethodGet, url: "/graphql", headers: html})
	assert.Equal(t, http.StatusSeeOther, out.Code)
	assert.Equal(t, "/", out.Header().Get("Location"))
	assert.Equal(t, "page /", f.do(request{method: http.MethodGet, url: "/", headers: html}).Body.String())
	assert.Equal(t, "page /playground/x.js", f.do(request{method: http.MethodGet, url: "/playground/x.js", headers: html}).Body.String())
}

// Promise H3, each refusal beside the same request that is let through.
func TestAnotherSitesPage_CannotSendARequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *gqlserver.Config) { c.Origins = []string{"https://app.example.com"} }).always(`{}`)
	body := `{"query":"mutation { archiveContact(input: {id: \"x\"}) { contact { id } } }"}`
	post := func(headers map[string]string) int { return f.do(request{body: body, headers: headers}).Code }

	assert.Equal(t, 403, post(map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}))
	assert.Equal(t, 403, post(map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "https://other.example.com"}))
	assert.Equal(t, 403, post(map[string]string{"Origin": "https://evil.example"}))
	assert.Equal(t, 403, post(map[string]string{"Origin": "null"}))
	assert.Equal(t, 200, post(map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://example.com"}))
	assert.Equal(t, 200, post(map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://app.example.com"}))
	assert.Equal(t, 200, post(nil))
	// What a form can send, even with another header that a page may set freely.
	for _, simple := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "text/plain; a=application/json"} {
		assert.Equal(t, 415, post(map[string]string{"Content-Type": simple, "Accept-Language": "pt"}), simple)
	}
	get := func(headers map[string]string) int { return f.get("{ __typename }", headers).Code }
	assert.Equal(t, 403, get(map[string]string{"Authorization": ""}))
	assert.Equal(t, 403, get(map[string]string{"Authorization": "", "Accept": plain, "Content-Type": "text/plain", "Cookie": "a=b"}))
	for _, header := range []string{"GraphQL-Require-Preflight", "X-Requested-With", "Apollo-Require-Preflight", "apollographql-client-name"} {
		assert.Equal(t, 401, get(map[string]string{"Authorization": "", header: "1"}), "%s lets it through to the next check", header)
	}
	assert.Equal(t, 200, get(nil))
}

func TestCORS_OnlyForAllowedOrigins(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *gqlserver.Config) { c.Origins = []string{"https://app.example.com"} }).always(`{}`)
	preflight := func(origin string) http.Header {
		out := f.do(request{method: http.MethodOptions, headers: map[string]string{
			"Authorization": "", "Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization",
		}})
		require.Equal(t, http.StatusNoContent, out.Code)
		return out.Header()
	}
	good := preflight("https://app.example.com")
	assert.Equal(t, "https://app.example.com", good.Get("Access-Control-Allow-Origin"))
	assert.Equal(t, "GET, POST", good.Get("Access-Control-Allow-Methods"))
	for _, header := range []string{"x-clinic-id", "x-taskmed-explain"} {
		assert.Contains(t, strings.Split(good.Get("Access-Control-Allow-Headers"), ", "), header)
	}
	assert.Empty(t, good.Get("Access-Control-Allow-Credentials"))
	for _, origin := range []string{"https://evil.example", "null", "", "https://app.example.com.evil.example", "http://app.example.com"} {
		assert.Empty(t, preflight(origin).Get("Access-Control-Allow-Origin"), origin)
	}

	out := f.do(request{body: `{"query":"{"}`, headers: map[string]string{"Origin": "https://app.example.com"}})
	assert.Equal(t, "https://app.example.com", out.Header().Get("Access-Control-Allow-Origin"), "errors must be readable as well")
	assert.Contains(t, out.Header().Get("Access-Control-Expose-Headers"), "X-Request-Id")

	_, err := gqlserver.New(gqlserver.Config{Schema: f.schema, Auth: gate{}, Log: testLog(), Origins: []string{"app.example.com"}})
	require.ErrorContains(t, err, "allowed origin")
}

func TestRequestID_ComesBackOrIsMade(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil).always(`{}`)
	out := f.do(request{body: `{"query":"{"}`, headers: map[string]string{"X-Request-Id": "front-7"}})
	assert.Equal(t, "front-7", out.Header().Get("X-Request-Id"))
	assert.Equal(t, "front-7", read(t, out).Errors[0].Extensions.RequestID)
	out = f.do(request{body: `{"query":"{"}`, headers: map[string]string{"X-Request-Id": "a b\"c"}})
	assert.Len(t, out.Header().Get("X-Request-Id"), 36)
	assert.Contains(t, f.log.String(), `"request_id":"front-7"`)
}
