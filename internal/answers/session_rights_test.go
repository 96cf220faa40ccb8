package answers_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/testkit"
)

// promote has two instances' readers look at what Ana is while she is promoted
// again and again, and gives what they saw that was older than a write that had
// been acknowledged.
func promote(t *testing.T, clinic *testkit.Clinic, instances []*instance, writes int) (stale []string) {
	t.Helper()
	var acknowledged atomic.Int64
	var mu sync.Mutex
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var readers sync.WaitGroup
	for _, i := range instances {
		i.kept(t, ana)
		for range 3 {
			readers.Go(func() {
				for ctx.Err() == nil {
					least := acknowledged.Load()
					text, err := i.of(context.WithoutCancel(ctx), ana)
					var seen int64
					if err == nil {
						_, _ = fmt.Sscanf(text[strings.Index(text, "["):], "[p%d]", &seen)
					}
					if err == nil && seen < least {
						mu.Lock()
						stale = append(stale, fmt.Sprintf("%d after %d", seen, least))
						mu.Unlock()
						return
					}
				}
			})
		}
	}
	for n := 1; n <= writes; n++ {
		require.NoError(t, instances[n%len(instances)].write(t.Context(), clinic, promotion(n)))
		acknowledged.Store(int64(n))
		mu.Lock()
		found := len(stale) > 0
		mu.Unlock()
		if found {
			break
		}
	}
	stop()
	readers.Wait()
	return stale
}

func TestSession_NobodySeesRightsOlderThanAnAcknowledgedWrite(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	member(t, d, clinic, ana, "owner")
	d.Exec(t, "UPDATE memberships SET permissions = '{p0}' WHERE subject = $1", ana)
	instances := func(without answers.Protections) []*instance {
		config := answers.Config{RedisURL: d.RedisURL, Prefix: prefix(t), ListenURL: d.AppURL}
		return []*instance{newInstance(t, d, config, without), newInstance(t, d, config, without)}
	}
	require.NotEmpty(t, promote(t, clinic, instances(answers.Protections{Mirror: true}), 100), "without the mirror")
	d.Exec(t, "UPDATE memberships SET permissions = '{p0}' WHERE subject = $1", ana)
	require.Empty(t, promote(t, clinic, instances(answers.Protections{}), 300))
}

func TestSession_RedisKilledBetweenLeavesNoOldRights(t *testing.T) {
	t.Parallel()
	d, server := testkit.NewDatabase(t), newRedis(t)
	clinic := d.NewClinic(t, "aurora")
	member(t, d, clinic, ana, "owner")
	config := answers.Config{RedisURL: server.url(), Prefix: prefix(t), ListenURL: d.AppURL}
	instances := []*instance{newInstance(t, d, config, answers.Protections{}), newInstance(t, d, config, answers.Protections{})}
	for _, i := range instances {
		require.Contains(t, i.kept(t, ana), "OWNER")
	}
	server.kill(t)
	require.NoError(t, instances[0].write(t.Context(), clinic, "UPDATE memberships SET role = 'finance' WHERE subject = ? AND clinic_id = app_clinic()", ana))
	for _, i := range instances {
		require.Contains(t, i.know(t, ana), "FINANCE", "right after the write")
	}
	server.start(t)
	for _, i := range instances {
		ready(t, i.cache)
		require.Contains(t, i.know(t, ana), "FINANCE")
		require.Contains(t, i.kept(t, ana), "FINANCE")
	}
	require.NoError(t, instances[1].write(t.Context(), clinic, "UPDATE memberships SET revoked_at = now() WHERE subject = ? AND clinic_id = app_clinic()", ana))
	for _, i := range instances {
		require.Empty(t, i.know(t, ana))
	}
}

func TestSession_ListenLostLeavesNoOldRights(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	for name, config := range map[string]answers.Config{
		"with Redis":    {RedisURL: d.RedisURL, ListenURL: d.AppURL},
		"without Redis": {ListenURL: d.AppURL},
	} {
		subject := name
		member(t, d, clinic, subject, "owner")
		revoke := func() {
			d.Exec(t, "UPDATE memberships SET revoked_at = now() WHERE subject = $1", subject)
		}
		i := newInstance(t, d, config, answers.Protections{})
		require.Contains(t, i.kept(t, subject), "OWNER")
		limit := func(n int) {
			d.Exec(t, fmt.Sprintf("DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I CONNECTION LIMIT %d', current_database()); END $$", n))
		}
		limit(0)
		require.Eventually(t, func() bool {
			d.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'taskmed cache' AND datname = current_database()")
			return !i.cache.Listening()
		}, 20*time.Second, 5*time.Millisecond)
		revoke()
		require.Empty(t, i.know(t, subject), name)
		limit(-1)
		ready(t, i.cache)
		require.Empty(t, i.know(t, subject), name)
	}
	// Where nobody ever listens the same revocation goes unnoticed.
	deaf := newInstance(t, d, answers.Config{}, answers.Protections{})
	member(t, d, clinic, "deaf", "owner")
	require.Contains(t, deaf.kept(t, "deaf"), "OWNER")
	d.Exec(t, "UPDATE memberships SET revoked_at = now() WHERE subject = 'deaf'")
	require.Contains(t, deaf.know(t, "deaf"), "OWNER")
}
