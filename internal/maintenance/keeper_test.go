package maintenance

import (
	"bytes"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
)

// leaveExpired gives a clinic 6,000 expired idempotency keys and two that are
// not, and an expired hold and one that is not.
func leaveExpired(t *testing.T, d *testkit.Database, clinic *testkit.Clinic) {
	t.Helper()
	d.Exec(t, `INSERT INTO idempotency_keys (clinic_id, subject, key, request_hash, expires_at)
		SELECT $1, 's', n::text, decode(repeat('00', 32), 'hex'), now() + CASE WHEN n <= 6000 THEN interval '-1 second' ELSE interval '1 hour' END
		FROM generate_series(1, 6002) n`, clinic.ID)
	d.Exec(t, `INSERT INTO slot_holds (clinic_id, id, practitioner_id, subject, starts_at, ends_at, created_at, expires_at)
		SELECT $1, gen_random_uuid(), $2, 's', now() + n * interval '1 hour', now() + (n + 1) * interval '1 hour',
			now() - interval '30 minutes', now() - interval '20 minutes' + (n - 1) * interval '30 minutes'
		FROM generate_series(1, 2) n`, clinic.ID, clinic.Practitioners[0])
}

func nextPartition() string {
	now := time.Now().UTC()
	return "audit_events_" + time.Date(now.Year(), now.Month()+months, 1, 0, 0, 0, 0, time.UTC).Format("2006_01")
}

func TestServers_DoWhatTheirRoleMayAndTellTheRest(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	aurora, horizonte := d.NewClinic(t, "aurora"), d.NewClinic(t, "horizonte")
	leaveExpired(t, d, aurora)
	leaveExpired(t, d, horizonte)
	d.Exec(t, "DROP TABLE "+nextPartition())

	var log bytes.Buffer
	var result Result
	k := &Keeper{config: KeeperConfig{
		URL: d.AppURL, Log: slog.New(slog.NewJSONHandler(&log, nil)),
		Ran: func(done Result, err error) {
			require.NoError(t, err)
			result = done
		},
	}}
	k.attempt(t.Context(), spacing)
	require.False(t, result.Busy || result.NotDue)
	require.EqualValues(t, 12_000, result.Keys, "more than one batch of each clinic's")
	require.EqualValues(t, 2, result.Holds)
	require.Equal(t, 2, result.Clinics)
	require.Equal(t, 4, d.Count(t, "SELECT count(*) FROM idempotency_keys"), "what has not expired stays")
	require.Equal(t, 2, d.Count(t, "SELECT count(*) FROM slot_holds"))
	require.Contains(t, log.String(), `"msg":"maintenance"`)
	require.Contains(t, log.String(), `"expired_keys":12000`)
	require.Contains(t, log.String(), "partitions "+nextPartition())
	require.Contains(t, log.String(), "to take the statistics of ")
	require.Contains(t, log.String(), "TASKMED_MAINTAIN_URL")
	require.NotContains(t, log.String(), aurora.ID.String(), "who the clinics are is not the role's to know")

	// With the owner's address it does the rest, a period later.
	d.Exec(t, "UPDATE maintenance_runs SET began_at = began_at - interval '23 hours'")
	k.config.OwnerURL = d.OwnerURL
	log.Reset()
	k.attempt(t.Context(), spacing)
	require.Equal(t, []string{nextPartition()}, result.Partitions)
	require.NotEmpty(t, result.Analyzed)
	require.Empty(t, result.Left)
	require.NotContains(t, log.String(), "left undone")
}

// The functions' owner is bound, too: nothing but what has expired.
func TestServers_ReachNothingThatHasNotExpired(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	leaveExpired(t, d, clinic)
	conn := d.Connect(t, d.SuperuserURL)
	_, err := conn.Exec(t.Context(), "SET ROLE taskmed_lookup; SET app.clinic = '00000000-0000-0000-0000-000000000000'")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "UPDATE idempotency_keys SET expires_at = now() + interval '1 year'")
	require.ErrorContains(t, err, "row-level security")
	for table, expired := range map[string]int64{"idempotency_keys": 6000, "slot_holds": 1} {
		tag, err := conn.Exec(t.Context(), "DELETE FROM "+table)
		require.NoError(t, err)
		require.Equal(t, expired, tag.RowsAffected(), table)
	}
	// And the application cannot do by itself what the functions do for it.
	app := d.Connect(t, d.AppURL)
	for _, sql := range []string{
		"SELECT * FROM maintenance_runs", "UPDATE maintenance_runs SET began_at = now()", "DELETE FROM maintenance_runs",
		"DELETE FROM idempotency_keys WHERE expires_at < now()",
	} {
		_, err := app.Exec(t.Context(), sql)
		require.Error(t, err, sql)
	}
}

// What channels' providers have posted goes after its time, given up or done with; what
// somebody is still to understand stays, however old it is.
func TestServers_DeleteWhatProvidersPostedLongAgo(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	for _, slug := range []string{"aurora", "horizonte"} {
		clinic := d.NewClinic(t, slug)
		d.Exec(t, "INSERT INTO channel_accounts (clinic_id, id, channel, name, address, settings) VALUES ($1, gen_random_uuid(), 'web', 'n', 'a', 'sealed')", clinic.ID)
		d.Exec(t, `INSERT INTO channel_events (clinic_id, id, account_id, reference, payload, due_at, failure, created_at)
			SELECT $1, gen_random_uuid(), (SELECT id FROM channel_accounts WHERE clinic_id = $1), concat_ws(' ', state, age), CASE state WHEN 'done' THEN NULL ELSE 'canary'::bytea END,
				CASE state WHEN 'waits' THEN now() END, CASE state WHEN 'given up' THEN 'x' END, now() - make_interval(days => age)
			FROM unnest(ARRAY['done', 'given up', 'waits']) state, unnest(ARRAY[29, 31, 400]) age`, clinic.ID)
	}
	var result Result
	k := &Keeper{config: KeeperConfig{URL: d.AppURL, Log: slog.New(slog.DiscardHandler), Ran: func(done Result, err error) {
		require.NoError(t, err)
		result = done
	}}}
	k.attempt(t.Context(), spacing)
	require.EqualValues(t, 2*4, result.Posts)
	require.Equal(t, 2*5, d.Count(t, "SELECT count(*) FROM channel_events"))
	require.Equal(t, 2*2, d.Count(t, "SELECT count(*) FROM channel_events WHERE reference IN ('done 29', 'given up 29')"))
	require.Equal(t, 2*3, d.Count(t, "SELECT count(*) FROM channel_events WHERE reference LIKE 'waits %'"))
	_, err := d.Connect(t, d.AppURL).Exec(t.Context(), "SELECT channel_prune('7 days', 10)")
	require.ErrorContains(t, err, "eight days", "providers repeat themselves for seven")
	// Nor can the functions' owner delete what is not old enough, or waits.
	conn := d.Connect(t, d.SuperuserURL)
	_, err = conn.Exec(t.Context(), "SET ROLE taskmed_lookup; SET app.clinic = '00000000-0000-0000-0000-000000000000'")
	require.NoError(t, err)
	tag, err := conn.Exec(t.Context(), "DELETE FROM channel_events WHERE due_at IS NOT NULL OR created_at > now() - interval '8 days'")
	require.NoError(t, err)
	require.Zero(t, tag.RowsAffected())
}

// Of many instances at once one runs; which, Postgres decides.
func TestKeepers_RunOnceBetweenThem(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	leaveExpired(t, d, d.NewClinic(t, "aurora"))
	ran := func(period time.Duration) (did, not int) {
		var mu sync.Mutex
		var running sync.WaitGroup
		for range 6 {
			k := &Keeper{config: KeeperConfig{URL: d.AppURL, Log: slog.New(slog.DiscardHandler), Ran: func(result Result, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if result.Busy || result.NotDue {
					not++
				} else {
					did++
				}
			}}}
			running.Go(func() { k.attempt(t.Context(), period) })
		}
		running.Wait()
		return did, not
	}
	for range 3 {
		// The lock goes with its connection, whose end Postgres may notice a moment later.
		require.Eventually(t, func() bool {
			return d.Count(t, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == 0
		}, time.Minute, 10*time.Millisecond)
		did, not := ran(spacing)
		require.Equal(t, 1, did)
		require.Equal(t, 5, not)
		d.Exec(t, "UPDATE maintenance_runs SET began_at = began_at - interval '23 hours'")
	}
	// Without the period the lock alone is between them, and several come one after the other.
	k := &Keeper{config: KeeperConfig{URL: d.AppURL, Log: slog.New(slog.DiscardHandler)}}
	again := 0
	k.config.Ran = func(result Result, _ error) {
		if !result.NotDue && !result.Busy {
			again++
		}
	}
	// The lock goes with its connection, whose end Postgres may notice a moment later.
	require.Eventually(t, func() bool {
		k.attempt(t.Context(), 0)
		return again == 2
	}, 30*time.Second, 10*time.Millisecond, "or the test would not notice two runs")
}

// setClock is a clock that tests set.
type setClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *setClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *setClock) add(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// However the instance's clock jumps, the work is done once in a period of Postgres'.
func TestKeeper_RunsOnceThoughTheClockJumps(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	d.NewClinic(t, "aurora")
	clock := &setClock{now: time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)}
	attempts := make(chan Result, 100)
	k := NewKeeper(KeeperConfig{
		URL: d.AppURL, Hour: 3, Log: slog.New(slog.DiscardHandler), Now: clock.Now, Look: 5 * time.Millisecond,
		Ran: func(result Result, err error) {
			if err != nil {
				t.Error(err)
			}
			attempts <- result
		},
	})
	defer k.Close()
	attempted := func(what string) Result {
		select {
		case result := <-attempts:
			return result
		case <-time.After(30 * time.Second):
			require.Fail(t, "nothing was tried", what)
			return Result{}
		}
	}
	// Postgres may not have let go of the last try's lock when the next one comes.
	idle := func(result Result) bool { return result.NotDue || result.Busy }
	clock.add(16 * time.Minute)
	first := attempted("soon after it began")
	require.False(t, first.NotDue || first.Busy, "nothing ran before")
	for n, jump := range []time.Duration{24 * time.Hour, 72 * time.Hour, 24 * time.Hour} {
		clock.add(jump)
		require.True(t, idle(attempted(fmt.Sprint("jump ", n))), "jump %d", n)
	}
	// Back: it does not wait for the night that it had in view.
	clock.add(-200 * 24 * time.Hour)
	require.Eventually(t, func() bool {
		clock.add(12 * time.Hour)
		return len(attempts) > 0
	}, 30*time.Second, 100*time.Millisecond)
	require.True(t, idle(attempted("a jump back")))
	require.True(t, clock.Now().Before(time.Date(2026, time.November, 20, 0, 0, 0, 0, time.UTC)))
	for settled := false; !settled; { // What was tried while the clock still ran.
		select {
		case result := <-attempts:
			require.True(t, idle(result))
		case <-time.After(200 * time.Millisecond):
			settled = true
		}
	}
	// A day of Postgres' later it is due, and so it is if Postgres' own clock was put back.
	for _, since := range []string{"- interval '23 hours'", "+ interval '400 days'"} {
		d.Exec(t, "UPDATE maintenance_runs SET began_at = now() "+since)
		// On a busy machine a try from before may be told first.
		due := false
		for tries := 0; tries < 10 && !due; tries++ {
			clock.add(24 * time.Hour)
			due = !attempted(since).NotDue
		}
		require.True(t, due, since)
	}
}

func TestNext_IsTheNextNight(t *testing.T) {
	t.Parallel()
	k := &Keeper{config: KeeperConfig{Hour: 3, Minute: 30}}
	zone, err := time.LoadLocation("America/Sao_Paulo")
	require.NoError(t, err)
	for now, night := range map[string]string{
		"2026-11-22 03:29": "2026-11-22 03:30", "2026-11-22 03:30": "2026-11-23 03:30", "2026-11-22 03:36": "2026-11-23 03:30", "2026-12-31 23:00": "2027-01-01 03:30",
	} {
		at, err := time.ParseInLocation("2006-01-02 15:04", now, zone)
		require.NoError(t, err)
		want, err := time.ParseInLocation("2006-01-02 15:04", night, zone)
		require.NoError(t, err)
		for range 50 {
			next := k.next(at)
			require.False(t, next.Before(want), now)
			require.Less(t, next.Sub(want), jitter, now)
		}
	}
}

func TestKeeper_ClosesAtOnceAndSaysWhatFails(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	k := NewKeeper(KeeperConfig{URL: "postgres://nobody@127.0.0.1:1/none?connect_timeout=1", Log: slog.New(slog.NewJSONHandler(&log, nil))})
	k.Close()
	k.attempt(t.Context(), spacing)
	require.Contains(t, log.String(), "maintenance failed")
}
