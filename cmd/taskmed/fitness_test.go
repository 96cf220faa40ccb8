package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
)

// soon is "within a few seconds", on a machine that is busy with other tests.
const soon = 15 * time.Second

// as makes a role that may do what the application's may, and gives the address
// of the database as it.
func as(t *testing.T, d *testkit.Database, options string) (role, address string) {
	t.Helper()
	role = "serving_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	d.Exec(t, fmt.Sprintf("CREATE ROLE %[1]s LOGIN PASSWORD 'secret' %[2]s; GRANT taskmed_app TO %[1]s", role, options))
	t.Cleanup(func() {
		d.Exec(t, fmt.Sprintf("REASSIGN OWNED BY %[1]s TO postgres; DROP OWNED BY %[1]s; DROP ROLE %[1]s", role))
	})
	parsed, err := url.Parse(d.AppURL)
	require.NoError(t, err)
	parsed.User = url.UserPassword(role, "secret")
	return role, parsed.String()
}

// serving sets the environment of a `taskmed serve`.
func serving(t *testing.T, address string) {
	t.Helper()
	for variable, value := range map[string]string{
		"DATABASE_URL": address, "TASKMED_ADDR": "127.0.0.1:0", "TASKMED_ADMIN_ADDR": "127.0.0.1:0",
		"TASKMED_SECRET": strings.Repeat("5ec2e7", 11), "TASKMED_JWKS_URL": "http://127.0.0.1:1/", "TASKMED_JWT_ISSUER": "http://127.0.0.1:1/",
		"TASKMED_JWT_AUDIENCE": "taskmed", "TASKMED_LOG_LEVEL": "info", "REDIS_URL": "",
	} {
		t.Setenv(variable, value)
	}
}

// server is a `taskmed serve` that goes on until the test ends.
type server struct{ public, admin string }

func startServe(t *testing.T, address string) server {
	t.Helper()
	serving(t, address)
	ctx, stop := context.WithCancel(t.Context())
	out, log := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve"}, io.Discard, log)
		_ = log.Close()
	}()
	var s server
	lines := bufio.NewScanner(out)
	for s.admin == "" && lines.Scan() {
		var line struct {
			Msg, Addr string
			Admin     string `json:"admin_addr"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line), lines.Text())
		if line.Msg == "serving" {
			s = server{"http://" + line.Addr, "http://" + line.Admin}
		}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, out)
	}()
	t.Cleanup(func() {
		stop()
		require.Equal(t, exitOK, <-ended)
		<-drained
	})
	require.NotEmpty(t, s.admin, "it serves")
	return s
}

func ask(t *testing.T, method, address, body string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

// query is answered with 401 by a server that serves: it has no token.
func (s server) query(t *testing.T) (int, string) {
	t.Helper()
	return ask(t, http.MethodPost, s.public+"/graphql", `{"query":"{ __typename }"}`)
}

func (s server) becomes(t *testing.T, status int, what string) {
	t.Helper()
	require.Eventually(t, func() bool {
		now, _ := ask(t, http.MethodGet, s.admin+"/readyz", "")
		return now == status
	}, soon, 10*time.Millisecond, what)
}

func TestServe_RefusesADatabaseThatMustNotBeServed(t *testing.T) {
	for name, c := range map[string]struct {
		options string
		// spoil is SQL of a superuser, with the role for {role}.
		spoil string
		said  []string
	}{
		"as a superuser":           {options: "SUPERUSER", said: []string{"is a superuser"}},
		"with BYPASSRLS":           {options: "BYPASSRLS", said: []string{"has BYPASSRLS"}},
		"as a table's owner":       {spoil: "ALTER TABLE consents OWNER TO {role}", said: []string{"owns the table consents"}},
		"as a member of the owner": {spoil: "GRANT taskmed_owner TO {role}", said: []string{"is a member of taskmed_owner, which owns the database"}},

		"as a member of the owner that does not inherit":      {options: "NOINHERIT", spoil: "GRANT taskmed_owner TO {role}", said: []string{"is a member of taskmed_owner, which owns the database"}},
		"as a member of the role that looks into all clinics": {spoil: "GRANT taskmed_lookup TO {role}", said: []string{"is a member of taskmed_lookup, which sees more by the policy lookup on attachment_removals"}},

		"not migrated": {spoil: "DELETE FROM goose_db_version WHERE version_id = 12", said: []string{"lacks the migrations 12", "taskmed migrate up"}},
		"too new":      {spoil: "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true); COMMENT ON TABLE goose_db_version IS 'oldest binary: 99999'", said: []string{"at migration 99999", "migrate down --to"}},

		"with several faults, all at once": {
			spoil: "ALTER TABLE contacts DISABLE ROW LEVEL SECURITY; ALTER TABLE invoices DISABLE TRIGGER cache_tags_delete; ALTER TABLE refunds OWNER TO {role}",
			said:  []string{"row-level security of contacts is switched off", "invoices does not announce to the cache what delete changes in it", "owns the table refunds"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := testkit.NewDatabase(t)
			role, address := as(t, d, c.options)
			if c.spoil != "" {
				d.Exec(t, strings.ReplaceAll(c.spoil, "{role}", role))
			}
			serving(t, address)
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			defer cancel()
			refused := taskmed(ctx, "serve")
			require.Equal(t, exitFailure, refused.status)
			require.Contains(t, refused.err, "taskmed: this database must not be served:")
			for _, said := range c.said {
				require.Contains(t, refused.err, said)
			}
			require.NotContains(t, refused.err, "secret")
		})
	}
}

// The same role without any of that serves, on this schema and on a newer one
// that only adds; what goes wrong later is noticed and, mended, forgiven.
func TestServe_IsReadyOnlyWhileTheDatabaseMayBeServed(t *testing.T) {
	d := testkit.NewDatabase(t)
	d.Exec(t, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
	role, address := as(t, d, "")
	s := startServe(t, address)
	s.becomes(t, http.StatusOK, "a right set-up")
	status, _ := s.query(t)
	require.Equal(t, http.StatusUnauthorized, status)
	for _, c := range []struct{ spoil, mend, said string }{
		{"ALTER ROLE " + role + " BYPASSRLS", "ALTER ROLE " + role + " NOBYPASSRLS", "has BYPASSRLS"},
		{"ALTER ROLE " + role + " SUPERUSER", "ALTER ROLE " + role + " NOSUPERUSER", "is a superuser"},
		{"ALTER TABLE messages DISABLE ROW LEVEL SECURITY", "ALTER TABLE messages ENABLE ROW LEVEL SECURITY", "row-level security of messages is switched off"},
		{"ALTER TABLE messages DISABLE TRIGGER ALL", "ALTER TABLE messages ENABLE TRIGGER ALL", "messages does not announce to the cache what insert, update, delete, truncate changes"},
	} {
		d.Exec(t, c.spoil)
		s.becomes(t, http.StatusServiceUnavailable, c.said)
		_, reason := ask(t, http.MethodGet, s.admin+"/readyz", "")
		require.Contains(t, reason, c.said)
		_, reason = ask(t, http.MethodGet, s.public+"/readyz", "")
		require.Equal(t, "not ready\n", reason, "the reason is the operators'")
		status, answer := s.query(t)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Contains(t, answer, `"code":"UNAVAILABLE"`)
		require.Contains(t, answer, "the service is not ready, try again in a moment")
		require.NotContains(t, answer, "messages")
		d.Exec(t, c.mend)
		s.becomes(t, http.StatusOK, "mended")
		status, _ = s.query(t)
		require.Equal(t, http.StatusUnauthorized, status)
	}
}

func TestServe_IsNotReadyWhereTheDatabaseIsMigratedDown(t *testing.T) {
	d := testkit.NewDatabase(t)
	s := startServe(t, d.AppURL)
	s.becomes(t, http.StatusOK, "a right set-up")
	require.Equal(t, exitOK, taskmed(t.Context(), "migrate", "--owner-database-url", d.OwnerURL, "down").status)
	s.becomes(t, http.StatusServiceUnavailable, "it lacks a migration")
	status, _ := s.query(t)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, exitOK, taskmed(t.Context(), "migrate", "--owner-database-url", d.OwnerURL, "up").status)
	s.becomes(t, http.StatusOK, "migrated again")
}

// It does not wait for a Postgres that is not there, and answers nobody meanwhile.
func TestServe_BeginsWithoutPostgresAndIsNotReady(t *testing.T) {
	gone, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	s := startServe(t, "postgres://taskmed_app:secret@"+gone.Addr().String()+"/taskmed")
	status, reason := ask(t, http.MethodGet, s.admin+"/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, reason, "whether the database may be served is not known")
	status, _ = s.query(t)
	require.Equal(t, http.StatusServiceUnavailable, status)
}
