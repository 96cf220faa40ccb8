package chaos_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
	"github.com/taskmed/taskmed/internal/load"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// TestCoherence looks for stale answers of whole server processes that share a
// Postgres and a Redis, through every fault of any of them (promises C6, C8, C9,
// K1, K2). TASKMED_CHAOS=10m makes the run with faults so long, at the rate of
// promise P3, with more kinds of them, and wants a hit rate, too.
func TestCoherence(t *testing.T) {
	p := newWorld(t)
	t.Run("no stale answer through every fault", p.chaos)
	t.Run("contacts are linearizable", p.linearizable)
	t.Run("instances that do not share Redis are not stale either", p.unshared)
	t.Run("writes that nobody announces are caught", p.unannounced)
}

// world is what the processes of servers need, and the clinics in it.
type world struct {
	binary   string
	provider *provider
	stack    *devstack.Stack
	clinics  []load.Clinic
}

func newWorld(t testing.TB) *world {
	t.Helper()
	p := &world{binary: build(t), provider: newProvider(t)}
	options := devstack.FromEnv(os.Getenv)
	// It keeps its data: what was acknowledged must survive that Postgres is killed.
	options.Home = t.TempDir()
	for _, folder := range []string{options.Home, filepath.Dir(options.Home)} {
		require.NoError(t, os.Chmod(folder, 0o711)) // Postgres' user may be another
	}
	var err error
	p.stack, err = devstack.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.stack.Stop(context.WithoutCancel(t.Context()))) })
	owner := p.stack.OwnerURL(devstack.Database)
	require.NoError(t, testkit.Migrate(t.Context(), owner))
	made, err := seed.Run(t.Context(), owner, seed.Options{
		Clinics: 2, Contacts: 1000, Practitioners: 10, Appointments: 12_000, Records: 2000, Seed: 3, Today: seed.Today(time.Now()),
	}, nil)
	require.NoError(t, err)
	for _, clinic := range made.Clinics {
		p.clinics = append(p.clinics, load.Clinic{
			ID:        models.KindClinic.Global(clinic.ID),
			Reception: p.provider.token(t, seed.Subject(clinic.Slug, "receptionist")), Practitioner: p.provider.token(t, seed.Subject(clinic.Slug, "practitioner")),
		})
	}
	return p
}

// fleet are two servers and the Redis that each reaches.
type fleet struct {
	*world

	redis     []*redisProcess
	links     []*link
	instances []*served
}

// newFleet starts two servers with one Redis, or with one each.
func (p *world) newFleet(t *testing.T, redises int) *fleet {
	t.Helper()
	f := &fleet{world: p}
	for range redises {
		f.redis = append(f.redis, startRedis(t))
	}
	for n := range 2 {
		f.links = append(f.links, newLink(t, "127.0.0.1:"+f.redis[n%redises].port))
		f.instances = append(f.instances, p.serve(t, f.links[n].url()))
	}
	return f
}

func (f *fleet) urls() []string { return []string{f.instances[0].url(), f.instances[1].url()} }

func (f *fleet) load(ctx context.Context, t *testing.T, options load.Options) *load.Report {
	t.Helper()
	options.URLs, options.Clinics = f.urls(), f.clinics
	report, err := load.Run(ctx, options)
	require.NoError(t, err)
	var text strings.Builder
	require.NoError(t, report.Write(&text))
	t.Log(text.String())
	return report
}

// brief is a load that a busy machine can bear.
func brief(seed uint64, span time.Duration) load.Options {
	return load.Options{Clients: 60, Rate: 120, Duration: span, Writes: 8, Seed: seed, Timeout: 10 * time.Second}
}

// unshared gives each instance a Redis of its own, which the second must not use.
func (p *world) unshared(t *testing.T) {
	f := p.newFleet(t, 2)
	report := f.load(t.Context(), t, brief(7, 5*time.Second))
	assert.Zero(t, report.Stale, "stale answers: %v", report.Findings)
	assert.Equal(t, porcupine.Ok, f.contend(t.Context(), t, 3*time.Second).judge(t))
}

// unannounced is a control: the triggers that name what a write changes do
// nothing while instances and Redis come and go. They are there all the same, for
// without them no instance would serve.
func (p *world) unannounced(t *testing.T) {
	const silence = "IF TG_OP = ''UPDATE'' THEN RETURN NULL; END IF;"
	for _, table := range []string{"contacts", "appointments"} {
		rewrite := func(from, to string) {
			p.exec(t, "DO $do$ BEGIN EXECUTE replace(pg_get_functiondef('cache_tags_"+table+"()'::regprocedure), '"+from+"', '"+to+"'); END $do$")
		}
		rewrite("BEGIN", "BEGIN "+silence)
		defer rewrite("BEGIN "+silence, "BEGIN")
	}
	f := p.newFleet(t, 1)
	// A busy machine is given the time to show it.
	const most = 5
	stale, inSessions := 0, 0
	for n := uint64(0); n < most && (stale == 0 || inSessions == 0); n++ {
		oracle := load.NewOracle()
		options := brief(8+n, 6*time.Second)
		options.Oracle = oracle
		c := &chaos{fleet: f, oracle: oracle}
		ended, wait := make(chan struct{}), begun(t, &options)
		go func() {
			defer close(ended)
			wait()
			c.pause(t, 4*time.Second)
			c.run(t, c.instanceKilled(t, 0))
		}()
		report := f.load(t.Context(), t, options)
		<-ended
		stale += report.Stale
		inSessions += report.Faults["older than the session wrote"] + report.Faults["older than the session read"]
	}
	assert.Positive(t, stale, "the oracle notices")
	assert.Positive(t, inSessions, "also within sessions")
	var result porcupine.CheckResult
	for n := 0; n < most && result != porcupine.Illegal; n++ {
		result = f.contend(t.Context(), t, 3*time.Second).judge(t)
	}
	assert.Equal(t, porcupine.Illegal, result, "no order explains it")
}
