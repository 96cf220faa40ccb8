package fitness_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/fitness"
	"github.com/taskmed/taskmed/internal/testkit"
)

// soon is "within a few seconds", on a machine that is busy with other tests.
const soon = 15 * time.Second

func watch(t *testing.T, address string) (*fitness.Watcher, error) {
	t.Helper()
	w := fitness.Watch(t.Context(), fitness.Config{URL: address, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	t.Cleanup(w.Close)
	return w, w.Await(t.Context())
}

func becomes(t *testing.T, w *fitness.Watcher, fit bool, what string) {
	t.Helper()
	require.Eventually(t, func() bool { return (w.Fit() == nil) == fit }, soon, 5*time.Millisecond, what)
}

func TestWatch_NoticesWhatIsSpoiledAndMendedMeanwhile(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	listening := d.Connect(t, d.AppURL)
	_, err := listening.Exec(t.Context(), "LISTEN "+database.NotifyChannel)
	require.NoError(t, err)
	w, err := watch(t, d.AppURL)
	require.NoError(t, err)
	require.NoError(t, w.Fit())
	d.Exec(t, "ALTER TABLE invoices DISABLE ROW LEVEL SECURITY")
	becomes(t, w, false, "row-level security is off")
	unfit, ok := errors.AsType[*fitness.UnfitError](w.Fit())
	require.True(t, ok)
	require.Len(t, unfit.Findings, 1)
	require.Equal(t, "row-level security of invoices is switched off", unfit.Findings[0].What)
	d.Exec(t, "ALTER TABLE invoices ENABLE ROW LEVEL SECURITY; ALTER TABLE contacts DISABLE TRIGGER cache_tags_update")
	require.Eventually(t, func() bool {
		err := w.Fit()
		return err != nil && strings.Contains(err.Error(), "contacts does not announce")
	}, soon, 5*time.Millisecond)

	// What was written meanwhile was not told: all that is kept goes.
	d.Exec(t, "ALTER TABLE contacts ENABLE TRIGGER cache_tags_update")
	becomes(t, w, true, "all is mended")
	ctx, done := context.WithTimeout(t.Context(), soon)
	defer done()
	heard, err := listening.WaitForNotification(ctx)
	require.NoError(t, err)
	require.JSONEq(t, `{"c": null}`, heard.Payload)
}

func TestWatch_RefusesToBeginWithAnUnfitDatabase(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	_, err := watch(t, d.OwnerURL)
	unfit, ok := errors.AsType[*fitness.UnfitError](err)
	require.True(t, ok)
	require.Contains(t, unfit.Error(), "taskmed_owner of DATABASE_URL owns the database")
	_, err = watch(t, d.SuperuserURL)
	require.EqualError(t, err, "this database must not be served:\n"+
		"- the role postgres of DATABASE_URL is a superuser: row-level security does not bind it, so one clinic could be answered with another's rows.\n"+
		"  To mend it: set DATABASE_URL to a role that owns nothing and is a member of nothing, as migrations/roles.sql makes taskmed_app")
}

// One lost connection is no reason to stop serving.
func TestWatch_StaysFitWhereItsConnectionIsCut(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	w, err := watch(t, d.AppURL)
	require.NoError(t, err)
	const its = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'taskmed fitness'"
	before := d.Count(t, "SELECT pid "+its)
	d.Exec(t, "SELECT pg_terminate_backend(pid) "+its)
	require.Eventually(t, func() bool {
		require.NoError(t, w.Fit())
		return d.Count(t, "SELECT coalesce((SELECT pid "+its+"), 0)") != before && d.Count(t, "SELECT count(*) "+its) == 1
	}, soon, 20*time.Millisecond, "it has another")
	d.Exec(t, "DROP POLICY tenant ON refunds")
	becomes(t, w, false, "and sees by it")
}

// A server may begin before its Postgres; what it then reaches is looked at
// before anything is served, and may be unfit.
func TestWatch_LooksAtFirstContact(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	for _, right := range []bool{true, false} {
		address := d.AppURL
		if !right {
			address = d.OwnerURL
		}
		parsed, err := url.Parse(address)
		require.NoError(t, err)
		to := parsed.Host
		gone, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		parsed.Host = gone.Addr().String()
		require.NoError(t, gone.Close())
		w, err := watch(t, parsed.String())
		require.NoError(t, err, "it does not wait for Postgres")
		require.ErrorIs(t, w.Fit(), fitness.ErrUnknown)
		require.ErrorContains(t, w.Fit(), "refused", "the reason is there for operators")
		relay(t, parsed.Host, to)
		if right {
			becomes(t, w, true, "Postgres is there")
			continue
		}
		require.Eventually(t, func() bool {
			_, unfit := errors.AsType[*fitness.UnfitError](w.Fit())
			return unfit
		}, soon, 5*time.Millisecond)
	}
}

// A verdict stands for a while where nobody answers, and no longer.
func TestWatch_AVerdictLapses(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	parsed, err := url.Parse(d.AppURL)
	require.NoError(t, err)
	to := parsed.Host
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	parsed.Host = listener.Addr().String()
	cut := pass(t, listener, to)
	w, err := watch(t, parsed.String())
	require.NoError(t, err)
	cut()
	require.NoError(t, w.Fit(), "requests reach Postgres yet, or fail by themselves")
	require.Eventually(t, func() bool { return errors.Is(w.Fit(), fitness.ErrUnknown) }, 30*time.Second, 20*time.Millisecond)
	relay(t, parsed.Host, to)
	becomes(t, w, true, "Postgres is back")
}

// relay listens at an address and passes on what comes, until the test's end.
func relay(t *testing.T, at, to string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", at)
	require.NoError(t, err)
	pass(t, listener, to)
}

func pass(t *testing.T, listener net.Listener, to string) (cut func()) {
	t.Helper()
	var mu sync.Mutex
	var open []net.Conn
	var relays sync.WaitGroup
	relays.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), "tcp", to)
			if err != nil {
				_ = from.Close()
				continue
			}
			mu.Lock()
			open = append(open, from, server)
			mu.Unlock()
			for a, b := range map[net.Conn]net.Conn{from: server, server: from} {
				relays.Go(func() {
					_, _ = io.Copy(a, b)
					_ = a.Close()
				})
			}
		}
	})
	cut = func() {
		_ = listener.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range open {
			_ = conn.Close()
		}
	}
	t.Cleanup(func() {
		cut()
		relays.Wait()
	})
	return cut
}

// Postgres' own words are for operators, the password for nobody.
func TestWatch_TellsNoPassword(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	config, err := pgx.ParseConfig(d.AppURL)
	require.NoError(t, err)
	for _, address := range []string{
		"postgres://taskmed_app:hunter2hunter2@127.0.0.1:1/x", "postgres://taskmed_app:hunter2hunter2@[", strings.Replace(d.AppURL, config.Password, "hunter2hunter2", 1),
	} {
		w, err := watch(t, address)
		require.NoError(t, err)
		require.Error(t, w.Fit())
		require.NotContains(t, w.Fit().Error(), "hunter2")
	}
}
