package touched

import (
	"context"
	"slices"
	"sync"
	"time"
)

// MaxTags bounds the tags of one answer. What depends on more is computed anew
// each time: keeping it would cost more than it saves.
const MaxTags = 4096

// MaxProtected bounds the protected entities that are kept with an answer.
const MaxProtected = 4096

// Collector gathers what one answer depends on. Many goroutines may use it.
type Collector struct {
	mu        sync.Mutex
	tags      []Tag
	seen      map[Tag]struct{}
	protected []string
	known     map[string]struct{}
	reason    string
	until     time.Time
	notes     map[string]any
	// keeps is whether somebody may keep the answer.
	keeps bool
	// at is the operation's one clock, read once.
	at time.Time
}

type collectorKey struct{}

// Collect returns a context whose reads declare what they depend on, for whoever
// may keep the answer, and where they do. It takes the place of a Collector that
// the context may have.
func Collect(ctx context.Context) (context.Context, *Collector) {
	c := &Collector{seen: map[Tag]struct{}{}, keeps: true}
	return context.WithValue(ctx, collectorKey{}, c), c
}

// Begin begins an answer: it is given a Collector unless it has one, and its clock
// is read. From then on the clock stands still: whatever an answer asks by the
// time, it asks of the same instant.
func Begin(ctx context.Context, now time.Time) context.Context {
	c := from(ctx)
	if c == nil {
		c = &Collector{}
		ctx = context.WithValue(ctx, collectorKey{}, c)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = now
	return ctx
}

// Now is the answer's instant. Outside of an answer it is the clock's.
func Now(ctx context.Context) time.Time {
	if c := from(ctx); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.at.IsZero() {
			return c.at
		}
	}
	return time.Now()
}

// Collecting tells whether somebody may keep the answer, and so wants to know what
// its reads depend on.
func Collecting(ctx context.Context) bool {
	c := from(ctx)
	return c != nil && c.keeps
}

func from(ctx context.Context) *Collector {
	c, _ := ctx.Value(collectorKey{}).(*Collector)
	return c
}

// Add declares that the answer depends on what the tags stand for.
func Add(ctx context.Context, tags ...Tag) {
	c := from(ctx)
	if c == nil || !c.keeps {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tag := range tags {
		if _, known := c.seen[tag]; known {
			continue
		}
		if len(c.tags) == MaxTags {
			c.poison("depends on too much")
			return
		}
		c.seen[tag] = struct{}{}
		c.tags = append(c.tags, tag)
	}
}

// Poison declares that the answer must not be kept. The first reason stays; it
// is shown to developers, so it holds nobody's data.
func Poison(ctx context.Context, reason string) {
	if c := from(ctx); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.poison(reason)
	}
}

func (c *Collector) poison(reason string) {
	if c.reason == "" {
		c.reason = reason
	}
}

// Until declares that the answer may become another one at an instant though
// nobody writes: an appointment begins, a hold runs out.
func Until(ctx context.Context, instant time.Time) {
	if c := from(ctx); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.until.IsZero() || instant.Before(c.until) {
			c.until = instant
		}
	}
}

// AddProtected notes global ids of entities in the answer whose reading must be
// written in the audit trail, also when the answer comes from a cache.
func AddProtected(ctx context.Context, globalIDs ...string) {
	c := from(ctx)
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range globalIDs {
		if _, known := c.known[id]; known {
			continue
		}
		if len(c.protected) == MaxProtected {
			c.poison("shows too many protected entities")
			return
		}
		if c.known == nil {
			c.known = make(map[string]struct{}, len(globalIDs))
			c.protected = slices.Grow(c.protected, len(globalIDs))
		}
		c.known[id] = struct{}{}
		c.protected = append(c.protected, id)
	}
}

// Tags gives what was declared, each tag once. With a reason the answer must not
// be kept, whatever the tags.
func (c *Collector) Tags() (tags []Tag, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Tag(nil), c.tags...), c.reason
}

// Protected gives the noted global ids, each once.
func (c *Collector) Protected() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.protected...)
}

// Until is the first instant at which the answer may change by itself; zero if
// only writes can change it.
func (c *Collector) Until() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.until
}

// Remember gives what find gave for the key while this answer was computed: what
// several reads must find out to know what they depend on. Without a Collector
// nothing is remembered.
func Remember[T any](ctx context.Context, key string, find func() (T, error)) (T, error) {
	c := from(ctx)
	if c == nil {
		return find()
	}
	c.mu.Lock()
	known, ok := c.notes[key].(T)
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	made, err := find()
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.notes == nil {
			c.notes = map[string]any{}
		}
		c.notes[key] = made
	}
	return made, err
}
