package respcache

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/touched"
)

// Cache keeps answers. Its methods may be called from any goroutine.
type Cache struct {
	config Config
	// instance names this one among those that share Redis.
	instance string
	log      logger
	metrics  *metrics
	redis    *redis.Options   // nil: the process alone
	local    *coherence.Local // nil: Redis

	listener *listener // nil: nobody listens
	aside    aside
	// trust is what may be served; nil while it is not known to be whole.
	trust     atomic.Pointer[generation]
	trustMu   sync.Mutex
	distrusts uint64
	why       atomic.Pointer[string]
	// writes is the ledger that writers tell; nil while Redis is not reached.
	writes atomic.Pointer[coherence.Shared]
	// used is the database that requests use.
	used used
	wake chan struct{}

	writer *coherence.Writer
	opener *coherence.Opener

	flights   flights
	refreshes chan struct{}
	popular   *popular

	stop  context.CancelFunc
	tasks sync.WaitGroup

	// seal is what tells values of ours in Redis.
	seal sealer

	without protections
}

// generation is a time through which everything that is kept could be trusted.
// What was kept in an earlier one is never served again.
type generation struct {
	ledger coherence.Ledger
	shared *coherence.Shared // nil: the process alone
	epoch  atomic.Uint64
	tier   *tier
}

// named is a key as it stands in Redis.
func (g *generation) named(key Key) Key {
	if g.shared == nil {
		return key
	}
	return g.shared.Named(key)
}

// New makes a cache and begins to listen. It does not wait for Redis or
// Postgres: until both have been reached nothing is kept. Close ends it.
func New(config Config) (*Cache, error) { return newCache(config, protections{}) }

func newCache(config Config, without protections) (*Cache, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	c := &Cache{
		config: config, instance: uuid.NewString(), log: config.Log, without: without,
		seal: newSealer(config.Secret),
		wake: make(chan struct{}, 1), opener: coherence.NewOpener(config.Barrier, config.LongestCommit, config.Log, without.Seams),
		refreshes: make(chan struct{}, max(config.Refreshers, 0)), flights: flights{late: without.late},
	}
	var err error
	if c.metrics, err = newMetrics(c, config.Metrics); err != nil {
		return nil, err
	}
	if config.RedisURL == "" {
		c.local = coherence.NewLocal(config.LongestRequest)
	} else if c.redis, err = coherence.Options(config.RedisURL, config.RedisTimeout); err != nil {
		return nil, err
	}
	c.writer, err = coherence.NewWriter(coherence.WriterConfig{
		Others: others{c}, LongestCommit: config.LongestCommit, LongestRequest: config.LongestRequest,
		Log: config.Log, Metrics: config.Metrics, Seams: without.Seams,
	})
	if err != nil {
		return nil, err
	}
	c.popular = newPopular()
	c.aside.started, c.aside.id = time.Now(), c.instance
	c.aside.without, c.aside.hasty = without.aside, without.hasty
	starting := "the cache is starting"
	c.why.Store(&starting)
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	if config.ListenURL != "" {
		c.listener = newListener(config.ListenURL, config.Log, &c.aside)
		c.listener.changed = c.notified
		c.listener.lost = func() { c.distrust(unheard) }
		c.listener.listening = c.nudge
		c.listener.beaten = c.beaten
		c.tasks.Go(func() { c.listener.run(ctx) })
	}
	c.tasks.Go(func() { c.supervise(ctx) })
	c.tasks.Go(func() { c.opener.Run(ctx) })
	return c, nil
}

// Close ends the cache. Nothing is served from it afterwards.
func (c *Cache) Close() {
	c.distrust("the cache is closed")
	c.stop()
	c.tasks.Wait()
	c.distrust("the cache is closed")
}

// Raise implements database.Coherence.
func (c *Cache) Raise(ctx context.Context, clinic uuid.UUID, tags []touched.Tag) (settle func(ctx context.Context, outcome touched.Outcome), err error) {
	return c.writer.Raise(ctx, clinic, tags)
}

func (c *Cache) point(name string) { c.without.Point(name) }

// trusted is the generation that may be served from, nil if none may.
func (c *Cache) trusted() *generation {
	if c.listener != nil && !c.listener.whole() || c.aside.stands() {
		return nil
	}
	return c.trust.Load()
}

// unheard is why nothing is served while it is not certain what was written.
const unheard = "Postgres is not heard"

// distrusted says in words why nothing is served.
func (c *Cache) distrusted() string {
	switch {
	case c.aside.stands():
		return "redis is out of reach of an instance that writes"
	case c.trust.Load() != nil: // but no sign of life has come for too long
		return unheard
	default:
		return *c.why.Load()
	}
}

// WaitReady waits until answers may be served and stored.
func (c *Cache) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for c.trusted() == nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cache is not ready: %s: %w", c.distrusted(), ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// Outcome is what the cache did for a request.
type Outcome struct {
	Hit bool
	// Tier is "process" or "redis" on a hit.
	Tier string
	// Age is how long ago a hit's answer was stored.
	Age time.Duration
	// Reason tells in words why there is no hit: "first seen", "expired",
	// "invalidated by appointment/day=2026-11-22: written by createContact 2 s
	// ago", "redis unreachable", …
	Reason string
	// Bypassed tells that the answer cannot be stored, whatever it is; Stored that
	// it was, by this request; Shared that another request computed it, which began
	// to read after this one had come.
	Bypassed, Stored, Shared bool
}

// Ticket is a reader's moment: what it has read after it may be stored with it.
type Ticket struct {
	generation *generation
	begun      coherence.Begun
	// opening is what readers wait for who want to store; nil if they may now.
	opening *coherence.Pending
}

// Begin notes the moment for a reader, before it reads Postgres. The ticket is
// nil if nothing can be stored.
func (c *Cache) Begin(ctx context.Context, clinic uuid.UUID) *Ticket {
	g := c.trusted()
	if g == nil {
		return nil
	}
	begun, _, err := g.ledger.Begin(ctx, clinic, g.epoch.Load(), Key{})
	if err != nil {
		return nil
	}
	return c.ticket(g, clinic, begun)
}

func (c *Cache) ticket(g *generation, clinic uuid.UUID, begun coherence.Begun) *Ticket {
	return &Ticket{generation: g, begun: begun, opening: c.opener.For(g.ledger, clinic, begun)}
}

// Get gives the answer that is kept under a key, nil if there is none that may
// be served now.
func (c *Cache) Get(ctx context.Context, clinic uuid.UUID, key Key) (*Entry, Outcome) {
	entry, outcome, _ := c.find(ctx, clinic, key)
	c.metrics.answered(outcome)
	return entry, outcome
}

// find is Get with the ticket of a reader that begins now, nil if it cannot store.
func (c *Cache) find(ctx context.Context, clinic uuid.UUID, key Key) (*Entry, Outcome, *Ticket) {
	g := c.trusted()
	if g == nil {
		return nil, Outcome{Reason: c.distrusted(), Bypassed: true}, nil
	}
	part, err := g.tier.clinic(clinic, g.ledger)
	if err != nil {
		return nil, unreachable(), nil
	}
	reason := "first seen"
	if entry, ok := part.entries.GetIfPresent(key); ok {
		at, err := g.head(ctx, clinic)
		if err != nil {
			return nil, unreachable(), nil
		}
		c.point("found")
		var good bool
		if good, reason, err = stands(ctx, part, entry, at); err != nil {
			return nil, unreachable(), nil
		}
		if good {
			return entry, hit("process", entry), nil
		}
		// Only this one: another may have been stored meanwhile.
		part.entries.ComputeIfPresent(key, dropIf(entry))
	}
	return c.findShared(ctx, g, part, clinic, key, reason)
}

func (c *Cache) findShared(ctx context.Context, g *generation, part *clinicTier, clinic uuid.UUID, key Key, reason string) (*Entry, Outcome, *Ticket) {
	begun, value, err := g.ledger.Begin(ctx, clinic, g.epoch.Load(), key)
	if err != nil {
		return nil, unreachable(), nil
	}
	c.point("begun")
	ticket := c.ticket(g, clinic, begun)
	if value == nil {
		return nil, Outcome{Reason: reason}, ticket
	}
	entry, err := c.seal.decode(clinic, g.named(key), value)
	if err != nil {
		c.metrics.badValue()
		c.log.WarnContext(ctx, "a value in redis is not the one that belongs there", "error", err)
		return nil, Outcome{Reason: "the kept answer cannot be read"}, ticket
	}
	part.view.Start(begun.Seq)
	good, why, err := stands(ctx, part, entry, begun.Seq)
	if err != nil {
		return nil, unreachable(), nil
	}
	if !good {
		return nil, Outcome{Reason: why}, ticket
	}
	g.tier.put(part, key, entry)
	return entry, hit("redis", entry), nil
}

// stands tells whether an entry may be served at a step of its clinic's
// sequence, and if not why.
func stands(ctx context.Context, part *clinicTier, entry *Entry, at uint64) (bool, string, error) {
	if !time.Now().Before(entry.ExpiresAt) {
		return false, "expired", nil
	}
	return part.view.Stands(ctx, &entry.mark, entry.Tags, at)
}

func hit(tier string, entry *Entry) Outcome {
	return Outcome{Hit: true, Tier: tier, Age: max(time.Since(entry.StoredAt), 0)}
}

func unreachable() Outcome { return Outcome{Reason: "redis unreachable", Bypassed: true} }

// Store keeps an answer that was read after the ticket's moment, and tells
// whether it did: not if something that it depends on was written meanwhile. The
// body, the tags and the expiry must be set.
func (c *Cache) Store(ctx context.Context, clinic uuid.UUID, ticket *Ticket, key Key, entry *Entry) (stored bool, why string) {
	verdict := c.store(ctx, clinic, ticket, key, entry)
	c.metrics.stored(verdict.Refusal)
	switch verdict.Refusal {
	case "":
		return true, ""
	case coherence.RefusedChanged, coherence.RefusedFenced:
		return false, string(verdict.Refusal) + " meanwhile: " + string(verdict.Tag)
	default:
		return false, string(verdict.Refusal)
	}
}

func (c *Cache) store(ctx context.Context, clinic uuid.UUID, ticket *Ticket, key Key, entry *Entry) coherence.Verdict {
	if ticket == nil {
		return coherence.Verdict{Refusal: refusedDistrust}
	}
	g := ticket.generation
	if c.trusted() != g {
		return coherence.Verdict{Refusal: refusedDistrust}
	}
	entry.StoredAt = time.Now()
	entry.mark.ReadAfter(ticket.begun.Seq)
	life := time.Until(entry.ExpiresAt)
	if life < time.Millisecond {
		return coherence.Verdict{Refusal: refusedExpired}
	}
	var value []byte
	if entry.session == nil {
		if value = c.seal.encode(clinic, g.named(key), entry); len(value) > coherence.MaxValue {
			return coherence.Verdict{Refusal: refusedSize}
		}
		entry.Recipe = nil // nobody asks the process for it
	}
	part, err := g.tier.clinic(clinic, g.ledger)
	if err != nil {
		return coherence.Verdict{Refusal: refusedError}
	}
	c.point("store")
	said, err := g.ledger.Store(ctx, coherence.Storing{
		Clinic: clinic, Epoch: g.epoch.Load(), Key: key, Begun: ticket.begun, Tags: entry.Tags, Value: value, Life: life,
	})
	if err != nil {
		return coherence.Verdict{Refusal: refusedError}
	}
	if said.Refusal == "" {
		part.view.Start(entry.mark.From())
		c.point("stored")
		g.tier.put(part, key, entry)
	}
	return said
}

func (c *Cache) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// What an answer is not stored for before a ledger is asked.
const (
	// refusedDistrust: the instance stopped trusting what is kept meanwhile.
	refusedDistrust coherence.Refusal = "distrust"
	// refusedSize: it is longer than coherence.MaxValue.
	refusedSize coherence.Refusal = "size"
	// refusedExpired: its life was over before it was stored.
	refusedExpired coherence.Refusal = "expired"
	// refusedError: the ledger could not be asked.
	refusedError coherence.Refusal = "error"
)
