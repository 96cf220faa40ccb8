package respcache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/touched"
)

// What is known of who asks, memberships and keys, is kept like answers are, by
// the same protocol, with two differences. A subject's memberships are of many
// clinics, so what changes them stands in the ledger under a clinic that there is
// not, uuid.Nil: of every write those tags that matter to a session are raised
// there, too (shares). And it is
// kept in the process alone: whoever can write to Redis must not be able to give
// himself rights.

// Session is what is kept of who asks. Whoever gets its value must not change it.
type Session struct {
	Value any
	// Tags are what the value depends on: membership/subject=…, api_key:… and
	// clinic:… alone; no other tag is noticed here.
	Tags []touched.Tag
	// ExpiresAt is when it must be loaded anew though nothing has changed.
	ExpiresAt time.Time
	// Bytes is what the value takes in memory, roughly.
	Bytes int
}

// SessionRequest asks for a session.
type SessionRequest struct {
	Key Key
	// Load reads it from Postgres; nil, as where there is none, is not kept.
	Load func(ctx context.Context) (*Session, error)
	// Clinic tells, of the value of a session, whose answers the request is about
	// to ask for; uuid.Nil if that is not known. May be nil.
	Clinic func(value any) uuid.UUID
}

// Session gives the session that is kept, or loads it and keeps it. A session
// that is given holds at a moment since the call. It is nil where Load gives none.
func (c *Cache) Session(ctx context.Context, r SessionRequest) (any, error) {
	value, outcome, err := c.session(ctx, r)
	c.metrics.sessions.WithLabelValues(outcome).Inc()
	return value, err
}

func (c *Cache) session(ctx context.Context, r SessionRequest) (value any, outcome string, err error) {
	const bypass = "bypass"
	g := c.trusted()
	if g == nil {
		value, err = load(ctx, r)
		return value, bypass, err
	}
	part, err := g.tier.clinic(uuid.Nil, g.ledger)
	if err != nil {
		return nil, bypass, err
	}
	kept, err := c.keptSession(ctx, g, part, r)
	switch {
	case err != nil: // Redis is not reached.
		value, err = load(ctx, r)
		return value, bypass, err
	case kept != nil:
		return kept.session, "process", nil
	}
	for range most {
		if value, outcome, err = c.flySession(ctx, g, part, r); !errors.Is(err, errAgain) {
			return value, outcome, err
		}
	}
	value, err = load(ctx, r)
	return value, "miss", err
}

// keptSession is the session that is kept, if it stands; nil if there is none.
func (c *Cache) keptSession(ctx context.Context, g *generation, part *clinicTier, r SessionRequest) (*Entry, error) {
	entry, ok := part.entries.GetIfPresent(r.Key)
	if !ok {
		return nil, nil //nolint:nilnil // that there is none is no error
	}
	stands, err := c.sessionStands(ctx, g, part, entry, r)
	if err != nil || stands {
		return entry, err
	}
	part.entries.ComputeIfPresent(r.Key, dropIf(entry))
	return nil, nil //nolint:nilnil // as above
}

// flySession loads a session for all who came before its reading began, or waits
// for who does, as answers are computed (fly). Where loading fails or gives
// nothing, each finds out for himself.
func (c *Cache) flySession(ctx context.Context, g *generation, part *clinicTier, r SessionRequest) (value any, outcome string, err error) {
	place := flightKey{uuid.Nil, r.Key}
	mine, ahead := c.flights.board(place)
	defer c.flights.leave(place, mine)
	if ahead != nil {
		if err := ahead.wait(ctx); err != nil {
			return nil, "miss", err
		}
	}
	if c.flights.lead(mine) {
		defer c.flights.land(place, mine)
		// Somebody may have loaded it between the look and the seat.
		if kept, err := c.keptSession(ctx, g, part, r); err == nil && kept != nil {
			return kept.session, "process", nil
		}
		return c.loadSession(ctx, r, mine)
	}
	if err := mine.wait(ctx); err != nil {
		return nil, "miss", err
	}
	switch {
	case mine.session != nil:
		return mine.session.Value, "shared", nil
	case mine.unfit:
		value, err = load(ctx, r)
		return value, "miss", err
	}
	if kept, err := c.keptSession(ctx, g, part, r); err == nil && kept != nil {
		return kept.session, "process", nil
	}
	return nil, "", errAgain
}

// loadSession loads a session for all who are aboard, and keeps it.
func (c *Cache) loadSession(ctx context.Context, r SessionRequest, mine *flight) (value any, outcome string, err error) {
	const bypass, miss = "bypass", "miss"
	ticket := c.Begin(ctx, uuid.Nil)
	c.flights.read(mine)
	c.point("session")
	session, err := r.Load(ctx)
	if err != nil || session == nil {
		// Where the request is over that says nothing of the session.
		mine.unfit = ctx.Err() == nil
		return nil, miss, err
	}
	mine.session = session
	if ticket == nil {
		return session.Value, bypass, nil
	}
	entry := &Entry{session: session.Value, extra: session.Bytes, Tags: session.Tags, ExpiresAt: session.ExpiresAt}
	if said := c.store(ctx, uuid.Nil, ticket, r.Key, entry); said.Refusal != "" {
		return session.Value, string(said.Refusal), nil
	}
	return session.Value, miss, nil
}

func load(ctx context.Context, r SessionRequest) (any, error) {
	session, err := r.Load(ctx)
	if err != nil || session == nil {
		return nil, err
	}
	return session.Value, nil
}

func (c *Cache) sessionStands(ctx context.Context, g *generation, part *clinicTier, entry *Entry, r SessionRequest) (bool, error) {
	at, err := c.sessionHead(ctx, g, entry, r)
	if err != nil {
		return false, err
	}
	c.point("session found")
	good, _, err := stands(ctx, part, entry, at)
	return good, err
}

// sessionHead asks for the sessions' sequence, and in the same breath for that of
// the clinic that the request is about to ask for.
func (c *Cache) sessionHead(ctx context.Context, g *generation, entry *Entry, r SessionRequest) (uint64, error) {
	seen, _ := ctx.Value(glimpseKey{}).(*glimpse)
	if seen == nil || g.shared == nil || r.Clinic == nil {
		return g.ledger.Head(ctx, uuid.Nil)
	}
	clinic := r.Clinic(entry.session)
	if clinic == uuid.Nil {
		return g.ledger.Head(ctx, uuid.Nil)
	}
	asked := time.Now()
	at, beside, err := g.shared.Heads(ctx, uuid.Nil, clinic)
	if err == nil {
		seen.Store(&glimpsed{generation: g, clinic: clinic, at: beside, asked: asked})
	}
	return at, err
}

// A glimpse is a clinic's sequence as it was seen while the request's session was
// looked up, which spares the request a second question to Redis. It holds at a
// moment of the request's own, so what is answered by it is as good as if the
// request had come then.
type glimpse = atomic.Pointer[glimpsed]

type glimpsed struct {
	generation *generation
	clinic     uuid.UUID
	at         uint64
	asked      time.Time
}

type glimpseKey struct{}

// glimpseHolds bounds how old a glimpse may be. A request's body may be long in
// coming.
const glimpseHolds = 50 * time.Millisecond

// WithGlimpse lets what is asked for under the context, which must be that of a
// single request, share questions to Redis.
func WithGlimpse(ctx context.Context) context.Context {
	return context.WithValue(ctx, glimpseKey{}, &glimpse{})
}

// head is a clinic's sequence at a moment of the request's.
func (g *generation) head(ctx context.Context, clinic uuid.UUID) (uint64, error) {
	if seen, ok := ctx.Value(glimpseKey{}).(*glimpse); ok {
		// Once: who looks again wants to know what has changed since.
		if s := seen.Swap(nil); s != nil && s.generation == g && s.clinic == clinic && time.Since(s.asked) < glimpseHolds {
			return s.at, nil
		}
	}
	return g.ledger.Head(ctx, clinic)
}
