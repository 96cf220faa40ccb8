package gqlserver_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/taskmed/taskmed/internal/gqlserver"
)

// Promise H6: no body makes the edge panic, answer without an error's form, or
// with a status of 5xx.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"query":"{ __typename }"}`, `{"query":"query A($id: ID!) { contact(id: $id) { id } }","variables":{"id":"x"},"operationName":"A"}`,
		`[]`, `null`, `{"query":null,"variables":[1]}`, `{"query":"{","extensions":{"a":{}}}`, "{\"query\":\"\xff\"}",
		`{"query":"mutation($i: CreateContactInput!) { createContact(input: $i) { contact { id } } }","variables":{"i":{"name":"a","tags":[["b"]]}}}`,
	} {
		f.Add(seed)
	}
	fixture := newFixture(f, func(c *gqlserver.Config) { c.Log = testLog() }).always(`{}`)
	f.Fuzz(func(t *testing.T, body string) {
		out := fixture.do(request{body: body, headers: map[string]string{"Accept": response}})
		var parsed map[string]json.RawMessage
		if json.Unmarshal(out.Body.Bytes(), &parsed) != nil || out.Code >= http.StatusInternalServerError {
			t.Fatalf("%d %s", out.Code, out.Body)
		}
		if (out.Code == http.StatusOK) != (parsed["data"] != nil) {
			t.Fatalf("%d %s", out.Code, out.Body)
		}
	})
}
