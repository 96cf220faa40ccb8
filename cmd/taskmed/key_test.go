package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// shell runs taskmed on a database and a home of its own, where no taskmed
// dev runs.
type shell struct {
	t    *testing.T
	d    *testkit.Database
	home string
}

func newShell(t *testing.T) shell {
	t.Helper()
	return shell{t: t, d: testkit.NewDatabase(t), home: t.TempDir()}
}

func (s shell) run(command string, args ...string) (status int, out, complaint string) {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	args = append(append(strings.Fields(command), "--home", s.home, "--owner-database-url", s.d.OwnerURL), args...)
	status = run(s.t.Context(), args, &stdout, &stderr)
	return status, strings.TrimSpace(stdout.String()), stderr.String()
}

// check asks who somebody is, as a server with the home's development key would.
func (s shell) check(bearer string) (*auth.Grant, error) {
	s.t.Helper()
	key, err := auth.LoadOrCreateDevKey(filepath.Join(s.home, "dev-key.pem"))
	require.NoError(s.t, err)
	store := auth.NewStore(s.d.DB)
	a, err := auth.New(auth.Config{Memberships: store, Keys: store, DevKey: key})
	require.NoError(s.t, err)
	defer a.Close()
	return a.Check(s.t.Context(), auth.Credentials{Authorization: "Bearer " + bearer})
}

func TestKey_IsMadeUsedAndRevoked(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	clinic, other := s.d.NewClinic(t, "aurora"), s.d.NewClinic(t, "horizonte")
	status, key, complaint := s.run("key create --clinic aurora --role RECEPTIONIST --ttl 1h", "--name", "Agenda externa")
	require.Equal(t, exitOK, status, complaint)
	grant, err := s.check(key)
	require.NoError(t, err)
	require.Equal(t, clinic.ID, grant.Scope.ClinicID)
	require.Equal(t, models.RoleReceptionist, grant.Scope.Role)
	require.False(t, grant.ExpiresAt.IsZero())
	id := strings.TrimPrefix(grant.Scope.Subject, "key:")
	require.Contains(t, complaint, id)

	status, _, complaint = s.run("key revoke --clinic "+other.Slug, id)
	require.Equal(t, exitFailure, status)
	require.Contains(t, complaint, "horizonte has no key")
	_, err = s.check(key)
	require.NoError(t, err)
	status, _, complaint = s.run("key revoke --clinic aurora", id)
	require.Equal(t, exitOK, status, complaint)
	_, err = s.check(key)
	require.Error(t, err)
}

func TestKey_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.d.NewClinic(t, "aurora")
	for want, args := range map[string][]string{
		"no such clinic":    {"key create --clinic nowhere", "--name", "k"},
		"Give the key":      {"key create --clinic aurora", "--name", " "},
		"in the past":       {"key create --clinic aurora --ttl=-1h", "--name", "k"},
		"must be one of":    {"key create --clinic aurora --role ROOT", "--name", "k"},
		"is no key's id":    {"key revoke --clinic aurora", "contact_01h455vb4pex5vsknk084sn02q"},
		"aurora has no key": {"key revoke --clinic aurora", models.KindAPIKey.Global(models.NewID())},
	} {
		status, out, complaint := s.run(args[0], args[1:]...)
		require.NotEqual(t, exitOK, status, want)
		require.Empty(t, out, want)
		require.Contains(t, complaint, want)
	}
	require.Zero(t, s.d.Count(t, "SELECT count(*) FROM api_keys"))
}

func TestToken_IsForTheRoleAskedFor(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	clinic := s.d.NewClinic(t, "aurora")
	for _, role := range models.AllRole {
		status, token, complaint := s.run("token --clinic aurora --ttl 5m --role " + string(role))
		require.Equal(t, exitOK, status, complaint)
		grant, err := s.check(token)
		require.NoError(t, err)
		require.Equal(t, clinic.ID, grant.Scope.ClinicID)
		require.Equal(t, role, grant.Scope.Role)
		require.Equal(t, seed.Subject("aurora", strings.ToLower(string(role))), grant.Scope.Subject)
	}
	status, token, complaint := s.run("token --clinic aurora --role FINANCE --subject ana@example.org")
	require.Equal(t, exitOK, status)
	require.Contains(t, complaint, "made ana@example.org a member of aurora as FINANCE")
	grant, err := s.check(token)
	require.NoError(t, err)
	require.Equal(t, "ana@example.org", grant.Scope.Subject)

	status, out, complaint := s.run("token --clinic nowhere --role FINANCE")
	require.Equal(t, exitFailure, status)
	require.Empty(t, out)
	require.Contains(t, complaint, "no such clinic")
}

func TestToken_NeedsADatabase(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{
		"token", "--clinic", "aurora", "--role", "OWNER", "--home", t.TempDir(), "--owner-database-url", "",
	}, &stdout, &stderr)
	require.Equal(t, exitFailure, status)
	require.Contains(t, stderr.String(), "OWNER_DATABASE_URL")
	require.Empty(t, stdout.String())
}
