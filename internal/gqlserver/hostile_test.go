package gqlserver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/gqlserver/hostile"
)

// Promise H2, whole requests, the test's own client included.
func TestHostileDocuments_AreRefusedByPostAndGet(t *testing.T) {
	f := newFixture(t, nil).always(`{}`)
	for _, document := range hostile.Documents() {
		body := `{"query":` + quote(document.Text) + `}`
		ways := map[string]func() (int, string){
			"POST": func() (int, string) {
				out := f.do(request{body: body, headers: map[string]string{"Accept": response}})
				return out.Code, out.Body.String()
			},
		}
		if document.InURL {
			ways["GET"] = func() (int, string) {
				out := f.get(document.Text, map[string]string{"Accept": response})
				return out.Code, out.Body.String()
			}
		}
		for method, send := range ways {
			t.Run(fmt.Sprintf("%s by %s", document.Name, method), func(t *testing.T) {
				best := time.Hour
				for run := 0; run < 5 || run < 50 && best >= 10*time.Millisecond*slowness; run++ {
					var status int
					var body string
					best = min(best, cpu(func() { status, body = send() }))
					require.GreaterOrEqual(t, status, 400, body)
					require.Less(t, status, 500, body)
					require.Less(t, len(body), 6000, "a refusal is short")
				}
				t.Logf("%v", best)
				assert.Less(t, best, 10*time.Millisecond*slowness)
			})
		}
	}
	assert.Zero(t, f.schema.executed.Load(), "nothing ran")
	assert.Equal(t, http.StatusOK, f.post("OWNER", `{ __typename }`, "").Code, "what is not hostile passes")
}

// Pages out of bounds do not run, whether they are written or sent beside.
func TestHostileVariables_DoNotRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil).always(`{}`)
	ids, err := json.Marshal(strings.Split(strings.Repeat("x,", 100)+"x", ","))
	require.NoError(t, err)
	for variables, query := range map[string]string{
		`{"n":101}`:                       `query($n: Int) { contacts(first: $n) { totalCount } }`,
		`{"n":0}`:                         `query($n: Int) { contacts(first: $n) { totalCount } }`,
		`{"n":99999999}`:                  `query($n: Int) { contacts(last: $n) { totalCount } }`,
		`{"n":1}`:                         `query($n: Int) { contacts(first: $n, last: $n) { totalCount } }`,
		`{"ids":` + string(ids) + `}`:     `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`,
		`{"yes":null}`:                    `query($yes: Boolean = true) { clinic @include(if: $yes) { id } }`,
		`{"n":` + nest("[", "]", 900):     `query($n: Int) { contacts(first: $n) { totalCount } }`,
		`{"n":` + nest(`{"a":`, "}", 900): `query($n: Int) { contacts(first: $n) { totalCount } }`,
	} {
		out := f.post("OWNER", query, variables)
		assert.Equal(t, http.StatusBadRequest, out.Code, out.Body.String())
		assert.Equal(t, "BAD_USER_INPUT", code(t, out))
	}
	assert.Zero(t, f.schema.executed.Load())
}

func nest(open, end string, n int) string {
	return strings.Repeat(open, n) + "1" + strings.Repeat(end, n) + "}"
}
