package devstack_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
)

// helperHome, if set, makes the test binary a process that runs a stack on
// that home until it is signalled: something to kill.
const helperHome = "DEVSTACK_TEST_HOME"

func TestMain(m *testing.M) {
	if home := os.Getenv(helperHome); home != "" {
		if err := runHelper(home); err != nil {
			_, _ = fmt.Fprintln(os.Stdout, "failed", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runHelper(home string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	opts := devstack.FromEnv(os.Getenv)
	opts.Home = home
	s, err := devstack.Start(ctx, opts)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(os.Stdout, "ready", s.OwnerURL(devstack.Database), s.RedisURL()); err != nil {
		return err
	}
	<-ctx.Done()
	return s.Stop(context.WithoutCancel(ctx))
}

func start(t *testing.T, home string) *devstack.Stack {
	t.Helper()
	opts := devstack.FromEnv(os.Getenv)
	opts.Home = home
	s, err := devstack.Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Stop(context.WithoutCancel(t.Context()))) })
	return s
}

// newHome makes a home that the servers' user can reach, whoever that is.
func newHome(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for _, dir := range []string{home, filepath.Dir(home)} {
		require.NoError(t, os.Chmod(dir, 0o711))
	}
	return home
}

func exec1(t *testing.T, dsn, sql string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	_, err = conn.Exec(t.Context(), sql)
	return err
}

// redisSays sends commands to Redis and returns the last line of its answer.
func redisSays(t *testing.T, dsn string, commands ...string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", u.Host)
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	password, _ := u.User.Password()
	_, err = fmt.Fprintf(conn, "AUTH %s\r\n%s\r\nQUIT\r\n", password, strings.Join(commands, "\r\n"))
	require.NoError(t, err)
	var lines []string
	for scanner := bufio.NewScanner(conn); scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	require.GreaterOrEqual(t, len(lines), 2)
	return lines[len(lines)-2] // the last one answers QUIT
}

func TestStart_KeepsItsDataOverARestart(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	first := start(t, home)
	require.NoError(t, exec1(t, first.OwnerURL(devstack.Database), "CREATE TABLE kept AS SELECT 42 AS answer"))
	require.Equal(t, "+OK", redisSays(t, first.RedisURL(), "SET kept 42"))
	wanted := []string{first.OwnerURL("x"), first.AppURL("x"), first.SuperuserURL("x"), first.RedisURL()}
	require.NoError(t, first.Stop(t.Context()))

	began := time.Now()
	second := start(t, home)
	took := time.Since(began)
	assert.Equal(t, wanted, []string{second.OwnerURL("x"), second.AppURL("x"), second.SuperuserURL("x"), second.RedisURL()},
		"ports and passwords stay the same while the ports are free")
	require.NoError(t, exec1(t, second.OwnerURL(devstack.Database), "SELECT 1 / (answer - 41) FROM kept"))
	assert.Equal(t, "42", redisSays(t, second.RedisURL(), "GET kept"))
	assert.Less(t, took, 10*time.Second, "a second start has nothing to make")
	t.Logf("second start: %s", took)
}

func TestStart_TakesAnotherPortIfItsOwnIsTaken(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	first := start(t, home)
	require.NoError(t, first.Stop(t.Context()))
	before, err := url.Parse(first.AppURL("x"))
	require.NoError(t, err)
	var config net.ListenConfig
	squatter, err := config.Listen(t.Context(), "tcp4", before.Host)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, squatter.Close()) })

	after, err := url.Parse(start(t, home).AppURL("x"))
	require.NoError(t, err)
	assert.NotEqual(t, before.Host, after.Host)
}

func TestStart_RefusesAHomeThatIsInUse(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	start(t, home)
	_, err := devstack.Start(t.Context(), devstack.Options{Home: home})
	require.ErrorIs(t, err, devstack.ErrInUse)
	assert.NotContains(t, err.Error(), "\n")
	assert.Contains(t, err.Error(), fmt.Sprint(os.Getpid()))
}

// TestStart_AfterItsParentWasKilled kills a process that runs a stack without
// giving it a chance to stop anything.
func TestStart_AfterItsParentWasKilled(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	helper := exec.CommandContext(t.Context(), os.Args[0])
	helper.Env = append(os.Environ(), helperHome+"="+home)
	out, err := helper.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, helper.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	word := strings.Fields(line)
	require.Equal(t, "ready", word[0], line)
	require.NoError(t, exec1(t, word[1], "CREATE TABLE kept AS SELECT 42 AS answer"))
	oldPostmaster := firstLine(t, filepath.Join(home, "postgres", "data", "postmaster.pid"))

	require.NoError(t, helper.Process.Kill())
	require.Error(t, helper.Wait(), "it was killed")

	s := start(t, home)
	require.NoError(t, exec1(t, s.OwnerURL(devstack.Database), "SELECT 1 / (answer - 41) FROM kept"))
	assert.Equal(t, "+PONG", redisSays(t, s.RedisURL(), "PING"))
	assert.NotEqual(t, oldPostmaster, firstLine(t, filepath.Join(home, "postgres", "data", "postmaster.pid")))
	// A zombie that nobody reaps may remain; it has no command line.
	command, _ := os.ReadFile("/proc/" + oldPostmaster + "/cmdline")
	assert.NotContains(t, string(command), home, "the orphan is gone")
}

// TestStart_IgnoresThePidFileOfSomebodyElse: after a reboot the number in a
// pid file belongs to any program, which must not be killed.
func TestStart_IgnoresThePidFileOfSomebodyElse(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	require.NoError(t, start(t, home).Stop(t.Context()))
	bystander := exec.CommandContext(t.Context(), "sleep", "300")
	require.NoError(t, bystander.Start())
	t.Cleanup(func() {
		_ = bystander.Process.Kill()
		_ = bystander.Wait()
	})
	pid := fmt.Sprintf("%d\n", bystander.Process.Pid)
	require.NoError(t, os.WriteFile(filepath.Join(home, "postgres", "data", "postmaster.pid"), []byte(pid), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(home, "redis", "redis.pid"), []byte(pid), 0o600))

	start(t, home)
	assert.NoError(t, bystander.Process.Signal(syscall.Signal(0)), "it still runs")
}

// TestStart_UnderAFolderThatOthersCannotEnter is a checkout in a private home
// folder. Root's servers are not root, so their data must lie elsewhere.
func TestStart_UnderAFolderThatOthersCannotEnter(t *testing.T) {
	t.Parallel()
	private := t.TempDir()
	require.NoError(t, os.Chmod(private, 0o700))
	home := filepath.Join(private, "checkout", ".taskmed")
	s := start(t, home)
	require.NoError(t, exec1(t, s.OwnerURL(devstack.Database), "CREATE TABLE kept AS SELECT 42 AS answer"))
	require.NoError(t, s.Stop(t.Context()))
	s = start(t, home)
	assert.NoError(t, exec1(t, s.OwnerURL(devstack.Database), "SELECT 1 / (answer - 41) FROM kept"))
	require.NoError(t, s.Stop(t.Context()))
	if elsewhere, err := os.Readlink(filepath.Join(home, "data")); err == nil {
		t.Cleanup(func() { assert.NoError(t, os.RemoveAll(elsewhere)) })
		assert.Zero(t, os.Geteuid(), "only root's data lies elsewhere")
	}
}

func TestStart_EphemeralLeavesNothing(t *testing.T) {
	t.Parallel()
	opts := devstack.FromEnv(os.Getenv)
	opts.Ephemeral = true
	s, err := devstack.Start(t.Context(), opts)
	require.NoError(t, err)
	home := s.Home()
	assert.NoError(t, s.CreateDatabase(t.Context(), "clinic-1"))
	assert.NoError(t, exec1(t, s.OwnerURL("clinic-1"), "CREATE EXTENSION btree_gist; CREATE EXTENSION pg_trgm; CREATE EXTENSION unaccent"))
	require.NoError(t, s.Stop(t.Context()))
	_, err = os.Stat(home)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, s.Stop(t.Context()), "a second Stop does nothing")
	select {
	case err := <-s.Failed():
		assert.NoError(t, err, "a stop is not a failure")
	default:
	}
}

// TestStart_SweepsWhatKilledTestsLeft: a test binary that ran out of time is
// killed and leaves its cluster behind.
func TestStart_SweepsWhatKilledTestsLeft(t *testing.T) {
	t.Setenv("TMPDIR", newHome(t))
	abandoned := filepath.Join(os.TempDir(), "taskmed-stack-1")
	young := filepath.Join(os.TempDir(), "taskmed-stack-2")
	for _, dir := range []string{abandoned, young} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "postgres"), 0o700))
	}
	long := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(abandoned, long, long))
	opts := devstack.FromEnv(os.Getenv)
	opts.Ephemeral = true
	running, err := devstack.Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, running.Stop(context.WithoutCancel(t.Context()))) })
	_, err = os.Stat(abandoned)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = os.Stat(young)
	require.NoError(t, err, "it may be about to be locked")

	require.NoError(t, os.Chtimes(running.Home(), long, long))
	second, err := devstack.Start(t.Context(), opts)
	require.NoError(t, err)
	require.NoError(t, second.Stop(t.Context()))
	_, err = os.Stat(running.Home())
	require.NoError(t, err, "somebody runs on it")
}

func TestRoles_AreAsTheTenancyNeedsThem(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t))
	conn, err := pgx.Connect(t.Context(), s.SuperuserURL(devstack.Database))
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	for role, login := range map[string]bool{"taskmed_owner": true, "taskmed_app": true, "taskmed_lookup": false} {
		var super, bypass, canLogin, createRole bool
		err := conn.QueryRow(t.Context(), "SELECT rolsuper, rolbypassrls, rolcanlogin, rolcreaterole FROM pg_roles WHERE rolname = $1", role).
			Scan(&super, &bypass, &canLogin, &createRole)
		require.NoError(t, err, role)
		assert.Equal(t, []bool{false, false, login, false}, []bool{super, bypass, canLogin, createRole}, role)
	}
	// The owner can hand a function over; the app cannot make a table.
	require.NoError(t, exec1(t, s.OwnerURL(devstack.Database), `
		GRANT CREATE ON SCHEMA public TO taskmed_lookup;
		CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
		ALTER FUNCTION f() OWNER TO taskmed_lookup`))
	var refused *pgconn.PgError
	require.ErrorAs(t, exec1(t, s.AppURL(devstack.Database), "CREATE TABLE mine (id int)"), &refused)
	assert.Equal(t, "42501", refused.Code)
}

// TestServers_WantAPassword: other users of the machine can reach loopback.
func TestServers_WantAPassword(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t))
	for _, dsn := range []string{s.SuperuserURL("postgres"), s.OwnerURL(devstack.Database), s.AppURL(devstack.Database)} {
		u, err := url.Parse(dsn)
		require.NoError(t, err)
		u.User = url.UserPassword(u.User.Username(), "wrong")
		_, err = pgx.Connect(t.Context(), u.String())
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, "28P01", refused.Code)
	}
	u, err := url.Parse(s.RedisURL())
	require.NoError(t, err)
	assert.NotEqual(t, "6379", u.Port())
	u.User = url.UserPassword("default", "wrong")
	assert.Contains(t, redisSays(t, u.String(), "PING"), "NOAUTH")
	info, err := os.Stat(filepath.Join(s.Home(), "stack.json"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestFailed_TellsOfAServerThatEnded(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t))
	pid, err := strconv.Atoi(firstLine(t, filepath.Join(s.Home(), "redis", "redis.pid")))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	select {
	case err := <-s.Failed():
		require.ErrorContains(t, err, "Redis ended")
		require.ErrorContains(t, err, "killed")
	case <-time.After(20 * time.Second):
		t.Error("nothing was told")
	}
}

func TestStart_SaysWhatToInstall(t *testing.T) {
	t.Parallel()
	_, err := devstack.Start(t.Context(), devstack.Options{Home: newHome(t), PostgresBin: t.TempDir()})
	require.ErrorContains(t, err, "TASKMED_POSTGRES_BIN")
	assert.NotContains(t, err.Error(), "\n")

	// Data of a version that is not there must not be touched.
	home := newHome(t)
	cluster := filepath.Join(home, "postgres", "data")
	require.NoError(t, os.MkdirAll(cluster, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(cluster, "PG_VERSION"), []byte("9\n"), 0o600))
	_, err = devstack.Start(t.Context(), devstack.Options{Home: home})
	require.ErrorContains(t, err, "PostgreSQL 9")
	assert.NotContains(t, err.Error(), "\n")
}

func firstLine(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
