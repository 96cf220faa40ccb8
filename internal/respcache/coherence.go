package respcache

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/touched"
)

// errUnreached is returned to a writer while Redis is not reached.
var errUnreached = errors.New("redis is not reached: other instances cannot be told of a write")

type writerKey struct{}

// WithWriter names the operation that writes, for the reasons of misses.
func WithWriter(ctx context.Context, operation string) context.Context {
	return context.WithValue(ctx, writerKey{}, operation)
}

func writer(ctx context.Context) string {
	name, _ := ctx.Value(writerKey{}).(string)
	return name
}

// Raise implements database.Coherence: from its return on nothing that has one of
// the tags is served or stored, until settle. With an error nobody else was told
// and the transaction must notify.
func (c *Cache) Raise(ctx context.Context, clinic uuid.UUID, tags []touched.Tag) (settle func(ctx context.Context, outcome touched.Outcome), err error) {
	began := time.Now()
	defer func() { c.metrics.raised(time.Since(began), err) }()
	w := write{by: writer(ctx), fence: uuid.NewString(), standing: c.config.standing()}
	shares := c.shares(clinic, tags)
	raising := w
	if c.without.fence {
		raising.fence = ""
	}
	raise := func(ctx context.Context) error {
		ledger := c.ledgerToTell(ctx)
		if ledger == nil {
			return errUnreached
		}
		for _, s := range shares {
			raising.tags = s.tags
			if err := ledger.raise(ctx, s.clinic, raising); err != nil {
				return err
			}
		}
		c.aside.reaches()
		return nil
	}
	c.point("raise")
	// The request's end must not leave it open whether others were told.
	ctx = context.WithoutCancel(ctx)
	var end func(still time.Duration)
	if err = raise(ctx); err != nil && c.listener != nil {
		// It may have arrived all the same; the fence then runs out by itself.
		var raised bool
		if raised, end = c.standAside(ctx, raise); raised {
			err = nil
		}
	}
	c.point("raised")
	return func(ctx context.Context, outcome touched.Outcome) {
		if end != nil {
			still := time.Duration(0)
			if outcome == touched.Unknown {
				still = c.config.LongestCommit
			}
			end(still)
		}
		for _, s := range shares {
			w.tags = s.tags
			c.settle(ctx, s.clinic, w, outcome)
		}
	}, err
}

// settle ends what Raise began. What cannot be told here need not be: a fence
// that stays runs out once nobody can store what was read before the commit, and
// a ledger that lost it lets nothing be stored before the barrier.
func (c *Cache) settle(ctx context.Context, clinic uuid.UUID, w write, outcome touched.Outcome) {
	ledger := c.writeLedger()
	if ledger == nil || outcome == touched.Unknown {
		return
	}
	c.point("settle")
	var err error
	if outcome == touched.RolledBack {
		err = ledger.lower(ctx, clinic, w.fence)
	} else {
		err = ledger.raise(ctx, clinic, write{tags: w.tags, by: w.by, lowers: w.fence})
	}
	if err != nil {
		c.log.DebugContext(ctx, "a fence stays until it runs out", "error", err)
	}
}

// writeLedger is the ledger that writers tell, nil if it is not reached.
func (c *Cache) writeLedger() ledger {
	if c.local != nil {
		return c.local
	}
	if shared := c.writes.Load(); shared != nil {
		return shared
	}
	return nil
}

// AwaitNotified implements database.Coherence for a writer whose Raise failed.
// Where others may serve from the cache all the same, it returns once all of
// them must have heard, or know that they do not hear.
func (c *Cache) AwaitNotified(ctx context.Context, token string) error {
	if c.listener == nil {
		return errors.New("nobody listens to Postgres here")
	}
	if c.local == nil && !c.aside.complete() {
		c.outlast(ctx)
	}
	if c.listener.session.Load() == 0 {
		// Nothing is served here, and what is kept will not be.
		return errors.New("nobody listens to Postgres here")
	}
	return c.listener.await(ctx, token)
}

// notified takes what the listener heard and raises it, as the writers did not.
func (c *Cache) notified(ctx context.Context, notices []notice) {
	type heard struct {
		tags []touched.Tag
		seen map[touched.Tag]struct{}
	}
	byClinic := map[uuid.UUID]*heard{}
	over := map[string]bool{}
	for _, n := range notices {
		if n.Aside {
			if over[n.Announcer] = n.Over; !n.Over {
				c.aside.heard(n.Announcer)
			} else if c.without.hasty {
				c.aside.over(n.Announcer)
			}
			continue
		}
		if n.Clinic == nil {
			c.distrust("every clinic was written to")
			continue
		}
		tags := n.Tags
		if len(tags) == 0 {
			tags = []touched.Tag{touched.Everything}
		}
		for _, s := range c.shares(*n.Clinic, tags) {
			h := byClinic[s.clinic]
			if h == nil {
				h = &heard{seen: map[touched.Tag]struct{}{}}
				byClinic[s.clinic] = h
			}
			for _, tag := range s.tags {
				if _, known := h.seen[tag]; !known {
					h.seen[tag] = struct{}{}
					h.tags = append(h.tags, tag)
				}
			}
		}
	}
	c.point("heard")
	for clinic, h := range byClinic {
		if len(h.tags) > 200 {
			h.tags = []touched.Tag{touched.Everything}
		}
		ledger := c.writeLedger()
		if ledger == nil || ledger.raise(ctx, clinic, write{tags: h.tags, by: "somebody outside the API"}) != nil {
			c.distrust("redis was not told of a write")
			break
		}
		c.aside.reaches()
	}
	// Only now: the writes that were made aside count from here on, or nothing that
	// is kept does.
	for announcer, ended := range over {
		if ended {
			c.aside.over(announcer)
		}
	}
}
