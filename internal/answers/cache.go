package answers

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/internal/trust"
)

// Cache keeps answers. Its methods may be called from any goroutine.
type Cache struct {
	// Sessions keeps what is known of who asks.
	Sessions *Sessions

	shelf
	metrics *metrics
	writer  *coherence.Writer

	stop  context.CancelFunc
	tasks sync.WaitGroup
}

// New makes a cache and begins to listen. It does not wait for Redis or
// Postgres: until both have been reached nothing is kept. Close ends it.
func New(config Config) (*Cache, error) { return newCache(config, seams{}) }

func newCache(config Config, seams seams) (_ *Cache, err error) {
	if err = config.complete(); err != nil {
		return nil, err
	}
	c := &Cache{
		shelf: shelf{
			opener: coherence.NewOpener(config.Barrier, config.LongestCommit, config.Log, seams.Seams.Seams),
			seal:   newSealer(config.Secret), flights: flights{seams: seams}, log: config.Log, seams: seams,
		},
	}
	var options *redis.Options
	if config.RedisURL != "" {
		if options, err = coherence.Options(config.RedisURL, config.RedisTimeout); err != nil {
			return nil, err
		}
	}
	c.metrics = newMetrics()
	c.trust, err = trust.New(trust.Config{
		Redis: options, Hook: config.Hook, Prefix: config.Prefix, ListenURL: config.ListenURL, Database: config.Database,
		LongestRequest: config.LongestRequest, Log: config.Log, Metrics: config.Metrics, Seams: seams.Seams,
		Keep: func(journal coherence.Journal) any {
			made := newTier(config.Bytes, config.ClinicBytes, journal, c.metrics.evicted)
			made.seams = seams
			return made
		},
	})
	if err != nil {
		return nil, err
	}
	// What began must end if the rest fails.
	defer func() {
		if err != nil {
			c.trust.Close()
		}
	}()
	if err = c.metrics.register(config.Metrics, c.trust); err != nil {
		return nil, err
	}
	c.writer, err = coherence.NewWriter(coherence.WriterConfig{
		Others: c.trust, LongestCommit: config.LongestCommit, LongestRequest: config.LongestRequest,
		Log: config.Log, Metrics: config.Metrics, Seams: seams.Seams.Seams,
	})
	if err != nil {
		return nil, err
	}
	c.Sessions = &Sessions{shelf: &c.shelf, lookups: c.metrics.sessions}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.tasks.Go(func() { c.opener.Run(ctx) })
	return c, nil
}

// Close ends the cache. Nothing is served from it afterwards.
func (c *Cache) Close() {
	c.stop()
	c.tasks.Wait()
	c.trust.Close()
}

// WaitReady waits until answers may be served and stored.
func (c *Cache) WaitReady(ctx context.Context) error { return c.trust.Await(ctx) }

// Raise implements database.Coherence.
func (c *Cache) Raise(ctx context.Context, clinic uuid.UUID, tags []touched.Tag) (settle func(ctx context.Context, outcome touched.Outcome), err error) {
	return c.writer.Raise(ctx, clinic, tags)
}

// AwaitNotified implements database.Coherence.
func (c *Cache) AwaitNotified(ctx context.Context, token string) error {
	return c.trust.AwaitNotified(ctx, token)
}

// Opened is called with each connection that requests get to use, before its first
// statement (trust.Opened).
func (c *Cache) Opened(ctx context.Context, conn *pgconn.PgConn) (moved bool, err error) {
	return c.trust.Opened(ctx, conn)
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

// Get gives the answer that is kept under a key, nil if there is none that may
// be served now.
func (c *Cache) Get(ctx context.Context, clinic uuid.UUID, key Key) (*Entry, Outcome) {
	entry, outcome, _ := c.find(ctx, clinic, key)
	c.metrics.answered(outcome)
	return entry, outcome
}

// find is Get with the ticket of a reader that begins now, nil if it cannot store.
func (c *Cache) find(ctx context.Context, clinic uuid.UUID, key Key) (*Entry, Outcome, *Ticket) {
	g := c.trust.Trusted()
	if g == nil {
		return nil, Outcome{Reason: c.trust.Why(), Bypassed: true}, nil
	}
	part, err := tierOf(g).clinic(clinic)
	if err != nil {
		return nil, unreachable(), nil
	}
	reason := "first seen"
	if entry, ok := part.entries.GetIfPresent(key); ok {
		at, err := head(ctx, g, clinic)
		if err != nil {
			return nil, unreachable(), nil
		}
		c.seams.Point("found")
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

func (c *Cache) findShared(ctx context.Context, g *trust.Generation, part *clinicTier, clinic uuid.UUID, key Key, reason string) (*Entry, Outcome, *Ticket) {
	begun, value, err := g.Journal.Begin(ctx, clinic, g.Epoch(), key)
	if err != nil {
		return nil, unreachable(), nil
	}
	c.seams.Point("begun")
	ticket := c.ticket(g, clinic, begun)
	if value == nil {
		return nil, Outcome{Reason: reason}, ticket
	}
	entry, err := c.seal.decode(clinic, named(g, key), value)
	if err != nil {
		c.metrics.badValue()
		c.log.WarnContext(ctx, "a value in redis is not the one that belongs there", slog.Any("error", err))
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
	tierOf(g).put(part, key, entry)
	return entry, hit("redis", entry), nil
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
