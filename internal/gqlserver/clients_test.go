package gqlserver_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/gqlserver"
)

// Apollo Client's persisted-query link and urql's persisted exchange, in the
// versions that clients/package-lock.json has, against the real schema: the
// first time each sends the hash, is told that it is not known, and sends the
// text; from then on the hash alone will do.
func TestPersisted_ApolloClientAndUrqlAreServed(t *testing.T) {
	t.Parallel()
	installModules(t, "clients")
	documents, _ := newDocuments(t)
	f := newFixture(t, func(c *gqlserver.Config) { c.Documents = documents })
	server := httptest.NewServer(f.server.Public())
	defer server.Close()

	var faults bytes.Buffer
	run := exec.CommandContext(t.Context(), "node", "clients.mjs")
	run.Dir = "clients"
	run.Env = append(os.Environ(), "SERVER_URL="+server.URL+"/graphql", "SERVER_TOKEN=OWNER")
	run.Stderr = &faults
	out, err := run.Output()
	require.NoError(t, err, faults.String())

	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	require.Len(t, lines, 8, "%s", out)
	for i, line := range lines {
		var said struct {
			Client, How, Error string
			Data               map[string]string
			Requests           []struct{ Method, Hash, Query string }
		}
		require.NoError(t, json.Unmarshal(line, &said))
		assert.Empty(t, said.Error, "%s", line)
		assert.Equal(t, "Query", said.Data["__typename"], "%s", line)
		first, get := i%2 == 0, i/2%2 == 1
		if first {
			require.Len(t, said.Requests, 2, "%s", line)
			assert.NotEmpty(t, said.Requests[1].Query)
			assert.Equal(t, said.Requests[0].Hash, said.Requests[1].Hash)
		} else {
			require.Len(t, said.Requests, 1, "%s", line)
		}
		assert.Len(t, said.Requests[0].Hash, 64)
		assert.Empty(t, said.Requests[0].Query)
		method := "POST"
		if get {
			method = "GET"
		}
		assert.Equal(t, method, said.Requests[0].Method, "%s", line)
	}
}
