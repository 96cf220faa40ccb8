package chaos_test

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/taskmed/taskmed/internal/devstack"
	"github.com/taskmed/taskmed/internal/load"
)

// chaos breaks what a fleet needs, and tells the oracle.
type chaos struct {
	*fleet

	oracle *load.Oracle
	// saved is what Redis had a while ago.
	saved []byte
}

// trouble is something that goes wrong and is mended.
type trouble struct {
	name string
	// stale is whether Redis or Postgres are away meanwhile: what others write may
	// then be missed.
	stale bool
	do    func()
}

// after is how long after a trouble is mended it may still be felt.
const after = time.Second

// chaos plays the clinic's mix against two servers while they, Redis and Postgres
// are killed and come back, and somebody writes with psql.
func (p *world) chaos(t *testing.T) {
	f := p.newFleet(t, 1)
	c := &chaos{fleet: f, oracle: load.NewOracle()}
	options, gap, every := brief(1, 15*time.Second), 500*time.Millisecond, 300*time.Millisecond
	long, _ := time.ParseDuration(chaosSpan())
	troubles := []trouble{c.instanceKilled(t, 0), c.redisKilled(t), c.postgresKilled(t), c.redisFlushed(t), c.redisRestored(t), c.redisFailsOver(t)}
	if long > 0 {
		options, gap, every = load.Options{Clients: 500, Rate: 500, Duration: long, Seed: 1}, long/15, 3*time.Second
		troubles = append(troubles, c.instanceCutOff(t, 1), c.instanceStopped(t, 1), c.redisHung(t), c.instanceFrozen(t, 0), c.connectionsEnded(t), c.bothKilled(t))
	}
	options.Oracle = c.oracle

	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	var lags []time.Duration
	// Asked for now: who restarts Postgres writes down where it is.
	postgres := p.stack.SuperuserURL(devstack.Database)
	others.Go(func() { lags = c.writeOutside(ctx, t, postgres, every) })
	ended, wait := make(chan struct{}), begun(t, &options)
	go func() {
		defer close(ended)
		wait()
		var err error
		c.saved, err = f.redis[0].snapshot()
		assert.NoError(t, err)
		until := time.Now().Add(options.Duration)
		for n := 0; n < len(troubles) || long > 0; n++ {
			c.pause(t, gap)
			// Every kind once; in a long run again and again, but not to the very end.
			if long > 0 && time.Until(until) < gap {
				return
			}
			c.run(t, troubles[n%len(troubles)])
		}
	}()
	report := f.load(t.Context(), t, options)
	<-ended
	stop()
	others.Wait()

	if slices.Sort(lags); len(lags) > 0 {
		t.Logf("%d writes with psql, shown by the API after %s (median), %s (99 of 100), %s at most",
			len(lags), lags[len(lags)/2], lags[len(lags)*99/100], lags[len(lags)-1])
	}
	assert.Zero(t, report.Stale, "stale answers: %v", report.Findings)
	assert.Zero(t, report.Foreign, "foreign answers")
	// How many were answered at all is the machine's matter, and the faults'.
	assert.Greater(t, report.CheckedReads, (report.Requests-report.Errors)/2, "most answers say something that can be checked")
	assert.Greater(t, report.CheckedReads, 200, "there were answers")
	assert.Positive(t, report.Hits, "answers came from the cache")
	if long > 0 {
		// A brief run shares its machine with other tests, whose load makes errors, too.
		assert.Less(t, report.Errors-report.Excused, max(report.Requests/100, 1), "only faults make errors: %v", report.Failures)
		assert.Greater(t, report.CalmHitRate, 0.9, "also while it fills again and again")
	}
}

// chaosSpan is how long a run with faults is wanted; "" for a brief one.
func chaosSpan() string { return os.Getenv("TASKMED_CHAOS") }

// begun has a load tell when it begins, and gives a wait for that.
func begun(t *testing.T, options *load.Options) (wait func()) {
	t.Helper()
	began := make(chan struct{})
	options.Begun = func() { close(began) }
	return func() {
		select {
		case <-began:
		case <-t.Context().Done():
		}
	}
}

func (c *chaos) pause(t *testing.T, span time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
	case <-time.After(span):
	}
}

// run makes trouble, waits until the servers are ready again and a while longer.
func (c *chaos) run(t *testing.T, it trouble) {
	t.Helper()
	began := time.Now()
	end := c.oracle.Outage(it.stale)
	defer end()
	it.do()
	assert.Eventually(t, func() bool {
		return c.instances[0].ready(t.Context()) && c.instances[1].ready(t.Context())
	}, time.Minute, 20*time.Millisecond, "after %s", it.name)
	t.Logf("%s: ready again after %s", it.name, time.Since(began).Round(time.Millisecond))
	c.pause(t, after)
}
