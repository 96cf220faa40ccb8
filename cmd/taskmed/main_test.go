package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

func TestMain(m *testing.M) {
	// The tests' own binary stands for taskmed where a shell is to find it.
	if os.Getenv(asCommand) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	testkit.Main(m)
}

// asCommand is the variable that has the tests' binary be taskmed.
const asCommand = "TASKMED_TEST_AS_COMMAND"

// outcome is what a command did.
type outcome struct {
	status   int
	out, err string
}

func taskmed(ctx context.Context, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	status := run(ctx, args, &stdout, &stderr)
	return outcome{status: status, out: stdout.String(), err: stderr.String()}
}

func TestRun_TellsAMisuseFromAFailure(t *testing.T) {
	t.Parallel()
	assert.Equal(t, exitOK, taskmed(t.Context(), "--help").status)
	misuse := taskmed(t.Context(), "token", "--role", "EMPEROR", "--clinic", "x")
	assert.Equal(t, exitUsage, misuse.status)
	assert.Contains(t, misuse.err, "EMPEROR")
	assert.Equal(t, exitUsage, taskmed(t.Context(), "fly").status)
	failure := taskmed(t.Context(), "migrate", "--owner-database-url", "postgres://taskmed_owner@127.0.0.1:1/x", "status")
	assert.Equal(t, exitFailure, failure.status)
	assert.Contains(t, failure.err, "taskmed: ")
}

func TestServe_HelpListsEveryVariable(t *testing.T) {
	t.Parallel()
	help := taskmed(t.Context(), "serve", "--help")
	require.Equal(t, exitOK, help.status)
	for _, variable := range []string{"DATABASE_URL", "TASKMED_ADDR", "TASKMED_ADMIN_ADDR", "TASKMED_JWKS_URL", "TASKMED_SECRET"} {
		assert.Contains(t, help.out, "\n    "+variable+" ", "one to a line")
	}
}

func TestServe_NamesEveryFaultOfTheEnvironment(t *testing.T) {
	for _, variable := range []string{"DATABASE_URL", "TASKMED_SECRET", "TASKMED_JWKS_URL"} {
		t.Setenv(variable, "")
	}
	refused := taskmed(t.Context(), "serve")
	assert.Equal(t, exitFailure, refused.status)
	for _, variable := range []string{"DATABASE_URL", "TASKMED_SECRET", "TASKMED_JWKS_URL"} {
		assert.Contains(t, refused.err, variable)
	}
}

func TestMigrate_GoesDownAndUpAgain(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	migrate := func(args ...string) string {
		done := taskmed(t.Context(), append([]string{"migrate", "--owner-database-url", d.OwnerURL}, args...)...)
		require.Equal(t, exitOK, done.status, done.err)
		return done.out
	}
	files := strings.Count(migrate("status"), "\n")
	require.Positive(t, files)
	assert.Equal(t, "nothing to do\n", migrate("up"), "a test's database is up to date")
	assert.Equal(t, files, strings.Count(migrate("status"), "applied"))

	assert.Equal(t, 1, strings.Count(migrate("down"), "took back"), "one step without --to")
	assert.Equal(t, 1, strings.Count(migrate("status"), "pending"))
	assert.Equal(t, files-1, strings.Count(migrate("down", "--to", "0"), "took back"))
	assert.Equal(t, files, strings.Count(migrate("status"), "pending"))
	assert.Equal(t, "nothing to do\n", migrate("down"))
	assert.Equal(t, files, strings.Count(migrate("up"), "applied"))
}

// TestMigrate_ManyServersAtOnce is a deployment of several replicas that all
// migrate when they start.
func TestMigrate_ManyServersAtOnce(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	require.Equal(t, exitOK, taskmed(t.Context(), "migrate", "--owner-database-url", d.OwnerURL, "down", "--to", "0").status)
	const replicas = 3
	done := make(chan outcome, replicas)
	for range replicas {
		go func() { done <- taskmed(t.Context(), "migrate", "--owner-database-url", d.OwnerURL, "up") }()
	}
	applied := 0
	for range replicas {
		one := <-done
		assert.Equal(t, exitOK, one.status, one.err)
		applied += strings.Count(one.out, "applied")
	}
	status := taskmed(t.Context(), "migrate", "--owner-database-url", d.OwnerURL, "status")
	assert.Equal(t, strings.Count(status.out, "\n"), applied, "each migration ran once: %s", status.out)
}

func TestSeed_MakesClinicsOnce(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	args := []string{
		"seed", "--owner-database-url", d.OwnerURL, "--clinics", "1", "--contacts", "20", "--practitioners", "2",
		"--appointments", "30", "--records", "10", "--today", "2026-11-22",
	}
	made := taskmed(t.Context(), args...)
	require.Equal(t, exitOK, made.status, made.err)
	assert.Contains(t, made.out, "made clinica-aurora")
	again := taskmed(t.Context(), args...)
	assert.Equal(t, exitFailure, again.status)
	assert.Contains(t, again.err, "clinica-aurora")
	skipped := taskmed(t.Context(), append(args, "--skip-existing")...)
	assert.Equal(t, exitOK, skipped.status, skipped.err)
	assert.Equal(t, exitFailure, taskmed(t.Context(), append(args, "--today", "2026-02-30")...).status)
}

func TestToken_NeedsARunningServerOrADatabase(t *testing.T) {
	t.Setenv("OWNER_DATABASE_URL", "")
	refused := taskmed(t.Context(), "token", "--home", t.TempDir(), "--clinic", "clinica-aurora", "--role", "OWNER")
	assert.Equal(t, exitFailure, refused.status)
	assert.Contains(t, refused.err, "no taskmed dev runs")
}

// TestDev is a developer's day: everything from nothing, a look through the
// API, Ctrl-C, and everything as it was in the afternoon.
func TestDev(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "home")
	first := startDev(t, home)
	info, err := os.Stat(devFilePath(home))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Len(t, first.file.Clinics, 2)
	assert.Equal(t, "clinica-aurora", first.file.Clinics[0].Slug)
	assert.Equal(t, "clinica-horizonte", first.file.Clinics[1].Slug)
	for _, clinic := range first.file.Clinics {
		id, err := models.KindClinic.Parse(clinic.ID)
		require.NoError(t, err)
		assert.Equal(t, id.String(), clinic.UUID)
		for _, role := range models.AllRole {
			// A partner's role comes from its key as well; who holds it may ask all the same.
			assert.Equal(t, string(role)+" "+clinic.ID, first.viewer(t, clinic.Tokens[string(role)]), "the token's role and clinic")
		}
	}
	assert.Equal(t, http.StatusOK, first.get(t, first.file.AdminURL+"/readyz"))
	assert.Equal(t, http.StatusOK, first.get(t, first.file.URL+"/webhooks"))
	began := first.endpoints(t)
	require.Len(t, began, 1)

	token := taskmed(t.Context(), "token", "--home", home, "--clinic", "clinica-horizonte", "--role", "FINANCE", "--subject", "new@example.org")
	require.Equal(t, exitOK, token.status, token.err)
	assert.Equal(t, "FINANCE "+first.file.Clinics[1].ID, first.viewer(t, strings.TrimSpace(token.out)))

	busy := taskmed(t.Context(), "dev", "--home", home, "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	assert.Equal(t, exitFailure, busy.status)
	assert.Contains(t, busy.err, "already runs")
	assert.Equal(t, 1, strings.Count(busy.err, "\n"), busy.err)

	stopped := first.stop(t)
	assert.Equal(t, exitOK, stopped.status, stopped.err)
	assert.Contains(t, stopped.out, "Webhooks    "+first.file.URL+"/webhooks\n")
	_, err = os.Stat(devFilePath(home))
	require.ErrorIs(t, err, os.ErrNotExist, "nothing runs, so nothing says where")

	second := startDev(t, home)
	assert.Equal(t, first.file.DatabaseURL, second.file.DatabaseURL)
	assert.Equal(t, "FINANCE "+second.file.Clinics[1].ID, second.viewer(t, strings.TrimSpace(token.out)), "the data and the key are still there")
	assert.Equal(t, began, second.endpoints(t), "the webhooks' endpoint is taken on")

	// A database that must not be served is not, here either.
	owner, err := pgx.Connect(t.Context(), second.file.OwnerDatabaseURL)
	require.NoError(t, err)
	_, err = owner.Exec(t.Context(), "ALTER TABLE contacts DISABLE ROW LEVEL SECURITY")
	require.NoError(t, err)
	require.NoError(t, owner.Close(t.Context()))
	assert.Eventually(t, func() bool { return second.get(t, second.file.AdminURL+"/readyz") == http.StatusServiceUnavailable }, 15*time.Second, 10*time.Millisecond)
	assert.NotContains(t, second.stop(t).err, "made the demo clinic")
	refused := taskmed(t.Context(), "dev", "--home", home, "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	assert.Equal(t, exitFailure, refused.status)
	assert.Contains(t, refused.err, "row-level security of contacts is switched off")
}

// devRun is a `taskmed dev` that is ready.
type devRun struct {
	file   devFile
	cancel context.CancelFunc
	done   chan outcome
}

func startDev(t *testing.T, home string) *devRun {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	d := &devRun{cancel: cancel, done: make(chan outcome, 1)}
	go func() {
		d.done <- taskmed(ctx, "dev", "--home", home, "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	}()
	t.Cleanup(func() {
		cancel()
		if data, err := os.Readlink(filepath.Join(home, "data")); err == nil {
			assert.NoError(t, os.RemoveAll(data)) // a home that the servers' user could not reach
		}
	})
	deadline := time.After(3 * time.Minute)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case ended := <-d.done:
			require.Fail(t, "it ended", "%d %s", ended.status, ended.err)
		case <-deadline:
			require.Fail(t, "it does not get ready")
		case <-look.C:
			var err error
			if d.file, err = readDevFile(home); err == nil {
				return d
			}
		}
	}
}

func (d *devRun) stop(t *testing.T) outcome {
	t.Helper()
	d.cancel()
	select {
	case ended := <-d.done:
		return ended
	case <-time.After(time.Minute):
		require.Fail(t, "it does not stop")
		return outcome{}
	}
}

// viewer asks who a token is, and answers with the role and the clinic.
func (d *devRun) viewer(t *testing.T, token string) string {
	t.Helper()
	var viewer struct {
		Viewer struct {
			Role   string
			Clinic struct{ ID string }
		}
	}
	d.ask(t, token, "{ viewer { role clinic { id } } }", &viewer)
	return viewer.Viewer.Role + " " + viewer.Viewer.Clinic.ID
}

// endpoints are the ids of the first clinic's webhook endpoints at this machine.
func (d *devRun) endpoints(t *testing.T) []string {
	t.Helper()
	var list struct{ WebhookEndpoints []struct{ ID, URL string } }
	d.ask(t, d.file.Clinics[0].Tokens[string(models.RoleOwner)], "{ webhookEndpoints { id url } }", &list)
	ids := []string{}
	for _, endpoint := range list.WebhookEndpoints {
		if strings.HasPrefix(endpoint.URL, "http://127.0.0.1:") {
			ids = append(ids, endpoint.ID)
		}
	}
	return ids
}

// ask runs a query.
func (d *devRun) ask(t *testing.T, token, query string, into any) {
	t.Helper()
	body := strings.NewReader(`{"query":"` + query + `"}`)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.file.URL+"/graphql", body)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { assert.NoError(t, response.Body.Close()) }()
	var answer struct {
		Data   json.RawMessage
		Errors []any
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	require.Empty(t, answer.Errors)
	require.NoError(t, json.Unmarshal(answer.Data, into))
}

func (d *devRun) get(t *testing.T, url string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { assert.NoError(t, response.Body.Close()) }()
	return response.StatusCode
}
