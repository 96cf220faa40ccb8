package respcache

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/maypok86/otter/v2"
)

// Compute makes an answer from Postgres; nil if it must not be kept. It sets the
// entry's body, tags, protected ids, ETag and expiry.
type Compute func(ctx context.Context) (*Entry, error)

// Request asks for an answer.
type Request struct {
	Clinic uuid.UUID
	Key    Key
	// Compute runs in the caller's goroutine, under its context.
	Compute Compute
	// Refresh computes the same answer for the same subject in the background,
	// after the request is over; nil to let the answer expire.
	Refresh Compute
}

// most is how often a request waits for somebody else who computes its answer.
const most = 3

// Fill gives the answer that is kept, or computes it and keeps it. Of many who
// miss the same answer at once one computes it. The entry is nil where Compute
// gave none; the outcome tells whether it was a hit.
func (c *Cache) Fill(ctx context.Context, r Request) (*Entry, Outcome, error) {
	place := flightKey{r.Clinic, r.Key}
	for attempt := 0; ; attempt++ {
		entry, outcome, ticket := c.get(ctx, r.Clinic, r.Key)
		if entry != nil {
			c.refreshAhead(ctx, r, entry)
			return entry, outcome, nil
		}
		if ticket == nil || attempt == most {
			return c.compute(ctx, r, outcome, ticket)
		}
		flight, first := c.flights.join(place)
		if !first {
			select {
			case <-ctx.Done():
				return nil, outcome, ctx.Err()
			case <-flight.done:
			}
			if flight.refused {
				// What refused it stands for us, too: do not queue up for it.
				attempt = most - 1
			}
			// Look again instead of taking over what the other found: a write may
			// have been acknowledged between its store and our look.
			continue
		}
		// Somebody may have stored it between our look and our turn.
		if c.present(ticket.generation, r) && attempt == 0 {
			c.flights.leave(place, flight, false)
			continue
		}
		return c.lead(ctx, r, outcome, ticket, place, flight)
	}
}

func (c *Cache) lead(ctx context.Context, r Request, outcome Outcome, ticket *Ticket, place flightKey, flight *flight) (*Entry, Outcome, error) {
	refused := false
	// Also when computing panics: the others must not wait for ever.
	defer func() { c.flights.leave(place, flight, refused) }()
	ticket = c.whenOpen(ctx, r.Clinic, ticket)
	c.point("compute")
	entry, err := r.Compute(ctx)
	if err != nil {
		return nil, outcome, err
	}
	if entry == nil {
		refused = true
		return nil, outcome, nil
	}
	outcome.Stored, _ = c.Store(ctx, r.Clinic, ticket, r.Key, entry)
	refused = !outcome.Stored
	return entry, outcome, nil
}

// longestOpening is how long a reader waits for its clinic's first opening.
const longestOpening = 100 * time.Millisecond

// whenOpen gives a ticket with which something can be stored, if that can be had
// soon: otherwise all who wait for the same answer would have to compute it.
func (c *Cache) whenOpen(ctx context.Context, clinic uuid.UUID, ticket *Ticket) *Ticket {
	if ticket.opened == nil {
		return ticket
	}
	timer := time.NewTimer(longestOpening)
	defer timer.Stop()
	select {
	case <-ticket.opened:
		return c.Begin(ctx, clinic)
	case <-timer.C:
	case <-ctx.Done():
	}
	return ticket
}

func (c *Cache) compute(ctx context.Context, r Request, outcome Outcome, ticket *Ticket) (*Entry, Outcome, error) {
	entry, err := r.Compute(ctx)
	if err != nil || entry == nil {
		return nil, outcome, err
	}
	if ticket != nil {
		outcome.Stored, _ = c.Store(ctx, r.Clinic, ticket, r.Key, entry)
	}
	return entry, outcome, nil
}

// present tells whether the process has an entry, be it out of date or not.
func (c *Cache) present(g *generation, r Request) bool {
	part, err := g.tier.clinic(r.Clinic, g.ledger)
	if err != nil {
		return false
	}
	_, ok := part.entries.GetEntryQuietly(r.Key)
	return ok
}

// refreshAhead computes an answer anew when little of its life is left and there
// is a worker to spare.
func (c *Cache) refreshAhead(ctx context.Context, r Request, entry *Entry) {
	left, life := time.Until(entry.ExpiresAt), entry.ExpiresAt.Sub(entry.StoredAt)
	if r.Refresh == nil || left > life/5 || entry.refreshing.Load() {
		return
	}
	select {
	case c.refreshes <- struct{}{}:
	default:
		return
	}
	if entry.refreshing.Swap(true) {
		<-c.refreshes
		return
	}
	ctx = context.WithoutCancel(ctx)
	c.tasks.Go(func() {
		defer func() { <-c.refreshes }()
		bounded, done := context.WithTimeout(ctx, c.config.LongestRequest)
		defer done()
		c.metrics.refreshed(c.refresh(bounded, r))
	})
}

func (c *Cache) refresh(ctx context.Context, r Request) string {
	ticket := c.Begin(ctx, r.Clinic)
	if ticket == nil {
		return "bypass"
	}
	entry, err := r.Refresh(ctx)
	if err != nil || entry == nil {
		return "failed"
	}
	if stored, _ := c.Store(ctx, r.Clinic, ticket, r.Key, entry); !stored {
		return "refused"
	}
	return "stored"
}

// dropIf removes an entry unless it is another by now.
func dropIf(entry *Entry) func(*Entry) (*Entry, otter.ComputeOp) {
	return func(now *Entry) (*Entry, otter.ComputeOp) {
		if now == entry {
			return nil, otter.InvalidateOp
		}
		return now, otter.CancelOp
	}
}

type flightKey struct {
	clinic uuid.UUID
	key    Key
}

// flight is an answer that somebody is computing.
type flight struct {
	done chan struct{}
	// refused tells, once it is done, that the answer was computed and not stored.
	refused bool
}

type flights struct {
	mu sync.Mutex
	by map[flightKey]*flight
}

// join gives the flight for an answer, and whether the caller is the one who
// computes it.
func (f *flights) join(place flightKey) (joined *flight, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known, ok := f.by[place]; ok {
		return known, false
	}
	if f.by == nil {
		f.by = map[flightKey]*flight{}
	}
	made := &flight{done: make(chan struct{})}
	f.by[place] = made
	return made, true
}

func (f *flights) leave(place flightKey, left *flight, refused bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.by, place)
	left.refused = refused
	close(left.done)
}
