package respcache

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/touched"
)

// Ledger implements coherence.Others.
func (o others) Ledger() coherence.Ledger {
	if o.local != nil {
		return o.local
	}
	if shared := o.writes.Load(); shared != nil {
		return shared
	}
	return nil
}

// Told implements coherence.Others.
func (o others) Told() { o.aside.reaches() }

// others is a cache as its writers see it.
type others struct{ *Cache }

var _ coherence.Others = others{}

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

// outlast returns once no instance can serve a session from before it was called,
// whatever it can reach: by then each has had a sign of life from Postgres, and
// heard what was committed before, or serves nothing.
func (c *Cache) outlast(ctx context.Context) {
	timer := time.NewTimer(lease * 11 / 10)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
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
		for _, s := range coherence.Shares(*n.Clinic, tags, c.without.Seams) {
			h := byClinic[s.Clinic]
			if h == nil {
				h = &heard{seen: map[touched.Tag]struct{}{}}
				byClinic[s.Clinic] = h
			}
			for _, tag := range s.Tags {
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
		ledger := others{c}.Ledger()
		if ledger == nil || ledger.Raise(ctx, clinic, coherence.Write{Tags: h.tags, By: "somebody outside the API"}) != nil {
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
