package main

import (
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestWire_CountsStatementsAndRoundTrips(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	parsed, err := url.Parse(d.SuperuserURL)
	require.NoError(t, err)
	w, err := newWire(t.Context(), parsed.Host)
	require.NoError(t, err)
	t.Cleanup(w.close)
	address, err := through(d.SuperuserURL, w.addr)
	require.NoError(t, err)
	conn := d.Connect(t, address)
	require.Zero(t, w.statements.Load()+w.roundTrips.Load(), "signing in is none")

	batch := func(statements ...string) func() error {
		return func() error {
			var b pgx.Batch
			for _, statement := range statements {
				b.Queue(statement)
			}
			return conn.SendBatch(t.Context(), &b).Close()
		}
	}
	exec := func(statement string, args ...any) func() error {
		return func() error { _, err := conn.Exec(t.Context(), statement, args...); return err }
	}
	for _, each := range []struct {
		name              string
		do                func() error
		statements, trips int64
	}{
		{"unprepared", exec("SELECT $1::int", 1), 1, 2},
		{"prepared", exec("SELECT $1::int", 2), 1, 1},
		{"without the extended protocol", exec("SELECT 1"), 1, 1},
		{"a longer text than one read has", exec("SELECT $1::text", longText()), 1, 2},
		{"a batch, unprepared", batch("SELECT 1, 2", "SELECT 2, 3", "SELECT 3, 4"), 3, 2},
		{"a batch", batch("SELECT 1, 2", "SELECT 2, 3", "SELECT 3, 4"), 3, 1},
	} {
		statements, trips := w.statements.Load(), w.roundTrips.Load()
		require.NoError(t, each.do(), each.name)
		require.Equal(t, each.statements, w.statements.Load()-statements, each.name)
		require.Equal(t, each.trips, w.roundTrips.Load()-trips, each.name)
	}
}

func longText() string {
	text := make([]byte, 1<<20)
	for i := range text {
		text[i] = 'S'
	}
	return string(text)
}

// Not beside other tests: they run in the same process.
func TestCPU_IsWhatTheSystemCounts(t *testing.T) {
	used := func() time.Duration {
		var u syscall.Rusage
		require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before, err := cpuOf(syscall.Getpid())
	require.NoError(t, err)
	began := used()
	for used()-began < 300*time.Millisecond {
		_ = longText()
	}
	after, err := cpuOf(syscall.Getpid())
	require.NoError(t, err)
	// The scheduler brings its count up to date at its ticks.
	require.InDelta(t, 0.3, (after - before).Seconds(), 0.05)
	_, err = cpuOf(1 << 30)
	require.Error(t, err, "no process has this number")
}

func TestCPU_OfAFamilyHasThoseWhoEndedToo(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	conn := d.Connect(t, d.SuperuserURL)
	var backend int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&backend))
	postmaster, err := parentOf(backend)
	require.NoError(t, err)
	before, err := cpuOfFamily(postmaster)
	require.NoError(t, err)
	own, err := cpuOf(backend)
	require.NoError(t, err)
	// Half a second of one that stays and half a second of one that ends.
	const busy = "DO $$ BEGIN WHILE clock_timestamp() < now() + interval '500 ms' LOOP END LOOP; END $$"
	_, err = conn.Exec(t.Context(), busy)
	require.NoError(t, err)
	d.Exec(t, busy)
	stayed, err := cpuOf(backend)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		after, err := cpuOfFamily(postmaster)
		return err == nil && after-before > (stayed-own)+100*time.Millisecond
	}, 20*time.Second, 10*time.Millisecond)
}
