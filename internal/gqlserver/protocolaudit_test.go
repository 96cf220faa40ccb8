package gqlserver_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Promise H5: the GraphQL over HTTP audit of the npm package graphql-http, in
// the version that protocolaudit/package-lock.json has, against the real schema.
func TestAudit_OfGraphQLOverHTTP(t *testing.T) {
	t.Parallel()
	installModules(t, "protocolaudit")
	server := httptest.NewServer(newFixture(t, nil).server.Public())
	defer server.Close()

	var faults bytes.Buffer
	run := exec.CommandContext(t.Context(), "node", "audit.mjs")
	run.Dir = "protocolaudit"
	run.Env = append(os.Environ(), "AUDIT_URL="+server.URL+"/graphql", "AUDIT_TOKEN=OWNER")
	run.Stderr = &faults
	out, err := run.Output()
	require.NoError(t, err, faults.String())

	ok := 0
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var line struct{ ID, Name, Status, Reason string }
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line), lines.Text())
		if assert.Equal(t, "ok", line.Status, "%s %s: %s", line.ID, line.Name, line.Reason) {
			ok++
		}
	}
	t.Logf("graphql-http audit: %d ok", ok)
	assert.Equal(t, 61, ok)
}

// installModules fetches a folder's npm packages unless what is there is what
// its lock file says.
func installModules(t *testing.T, folder string) {
	t.Helper()
	wanted, err := os.Stat(filepath.Join(folder, "package-lock.json"))
	require.NoError(t, err)
	installed, err := os.Stat(filepath.Join(folder, "node_modules", ".package-lock.json"))
	if err == nil && !installed.ModTime().Before(wanted.ModTime()) {
		return
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund")
	install.Dir = folder
	out, err := install.CombinedOutput()
	require.NoError(t, err, string(out))
}
