package trust

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/taskmed/taskmed/internal/coherence"
)

// Config says whom an instance hears, and with whom it shares.
type Config struct {
	// Redis is where instances share what is kept and what was written; nil: the
	// process alone, which is right for one instance only.
	Redis *redis.Options
	// Hook is put around every command that is sent to Redis; may be nil.
	Hook redis.Hook
	// Prefix begins every key in Redis.
	Prefix string
	// ListenURL reaches Postgres for LISTEN, without a pooler in between. Empty:
	// writes made outside the API are not noticed, which only tests can want.
	ListenURL string
	// Database names the database where nobody listens; a listening connection asks
	// for it.
	Database string
	// LongestRequest is how long after it began a reader may still store what it read.
	LongestRequest time.Duration

	// Keep makes what a generation keeps; it goes with the generation.
	Keep func(journal coherence.Journal) any

	Log *slog.Logger
	// Metrics takes what is told of trust; may be nil.
	Metrics prometheus.Registerer
	Seams   Seams
}

// Generation is a time through which everything that is kept could be trusted.
// What was kept in an earlier one is never served again.
type Generation struct {
	// Journal is what readers and writers of all instances ask; Shared is the same,
	// where it is in Redis, and nil for the process alone.
	Journal coherence.Journal
	Shared  *coherence.Shared
	// Kept is what Config.Keep made.
	Kept any

	epoch atomic.Uint64
}

// Epoch is the one under which values are kept in Redis at this moment.
func (g *Generation) Epoch() uint64 { return g.epoch.Load() }

// Trust knows whether what is kept may be believed. Its methods may be called from
// any goroutine.
type Trust struct {
	config Config
	// instance names this one among those that share Redis.
	instance string
	log      *slog.Logger
	local    *coherence.Local // nil: Redis

	listener *listener // nil: nobody listens
	aside    aside
	// latest is what may be served, while everything is heard and nobody stands
	// aside; nil while it is not known to be whole.
	latest    atomic.Pointer[Generation]
	mu        sync.Mutex
	distrusts uint64
	why       atomic.Pointer[string]
	// writes is the journal that writers tell; nil while Redis is not reached.
	writes atomic.Pointer[coherence.Shared]
	// used is the database that requests use.
	used used
	wake chan struct{}

	stop  context.CancelFunc
	tasks sync.WaitGroup

	distrusted prometheus.Counter
}

// New begins to listen. It does not wait for Redis or Postgres: until both have
// been reached nothing is trusted. Close ends it.
func New(config Config) (*Trust, error) {
	t := &Trust{
		config: config, instance: uuid.NewString(), log: config.Log, wake: make(chan struct{}, 1),
		distrusted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "taskmed_respcache_distrusted_total", Help: "How often everything kept was given up because a write may have been missed.",
		}),
	}
	if err := t.register(config.Metrics); err != nil {
		return nil, err
	}
	if config.Redis == nil {
		t.local = coherence.NewLocal(config.LongestRequest)
	}
	t.aside.started, t.aside.id = time.Now(), t.instance
	t.aside.seams = config.Seams
	if config.Seams.Probe != nil {
		config.Seams.Probe.trust = t
	}
	starting := "the cache is starting"
	t.why.Store(&starting)
	ctx, stop := context.WithCancel(context.Background())
	t.stop = stop
	if config.ListenURL != "" {
		t.listener = newListener(config.ListenURL, config.Log, &t.aside, t)
		t.tasks.Go(func() { t.listener.run(ctx) })
	}
	t.tasks.Go(func() { t.supervise(ctx) })
	return t, nil
}

func (t *Trust) register(registerer prometheus.Registerer) error {
	if registerer == nil {
		return nil
	}
	for _, collector := range []prometheus.Collector{
		t.distrusted,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "taskmed_respcache_trusted", Help: "1 while answers may be served from the cache.",
		}, func() float64 {
			if t.Trusted() != nil {
				return 1
			}
			return 0
		}),
	} {
		if err := registerer.Register(collector); err != nil {
			return fmt.Errorf("trust: %w", err)
		}
	}
	return nil
}

// closed is why nothing is served in the end.
const closed = "the cache is closed"

// Close ends it. Nothing is trusted afterwards.
func (t *Trust) Close() {
	t.distrust(closed)
	t.stop()
	t.tasks.Wait()
	t.distrust(closed)
}

// Trusted is the generation that may be served from, nil if none may.
func (t *Trust) Trusted() *Generation {
	if t.listener != nil && !t.listener.whole() || t.aside.stands() {
		return nil
	}
	return t.latest.Load()
}

// Latest is the generation that has not been given up, whether it may be served
// from at this moment or not; nil if there is none.
func (t *Trust) Latest() *Generation { return t.latest.Load() }

// unheard is why nothing is served while it is not certain what was written.
const unheard = "Postgres is not heard"

// Why says in words why nothing is trusted.
func (t *Trust) Why() string {
	switch {
	case t.aside.stands():
		return "redis is out of reach of an instance that writes"
	case t.latest.Load() != nil: // but no sign of life has come for too long
		return unheard
	default:
		return *t.why.Load()
	}
}

// Await waits until something is trusted.
func (t *Trust) Await(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for t.Trusted() == nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cache is not ready: %s: %w", t.Why(), ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// Reached is the journal in Redis that writers tell, nil while none is reached.
func (t *Trust) Reached() *coherence.Shared { return t.writes.Load() }

// distrust ends the generation: nothing that is kept is served again, and what is
// being computed is not stored.
func (t *Trust) distrust(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.distrusts++
	t.why.Store(&why)
	if t.latest.Swap(nil) != nil {
		t.distrusted.Inc()
	}
	t.nudge()
}

var _ hearer = (*Trust)(nil)

// lost implements hearer.
func (t *Trust) lost() { t.distrust(unheard) }

// nudge has the supervisor look at once.
func (t *Trust) nudge() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}
