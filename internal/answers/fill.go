package answers

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/maypok86/otter/v2"

	"github.com/taskmed/taskmed/internal/trust"
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
}

// most is how often a request waits for somebody else who computes its answer.
const most = 3

// Fill gives the answer that is kept, or computes it and keeps it. Of many who
// miss the same answer at once one computes it; where it cannot be kept, those
// who came before its reading began take it over all the same (flight). The
// entry is nil where Compute gave none; the outcome tells whether it was a hit.
func (c *Cache) Fill(ctx context.Context, r Request) (*Entry, Outcome, error) {
	entry, outcome, err := c.fill(ctx, r)
	c.metrics.answered(outcome)
	return entry, outcome, err
}

func (c *Cache) fill(ctx context.Context, r Request) (*Entry, Outcome, error) {
	for waits := 0; ; waits++ {
		entry, outcome, ticket := c.find(ctx, r.Clinic, r.Key)
		if entry != nil {
			return entry, outcome, nil
		}
		if waits == most {
			return c.compute(ctx, r, outcome, ticket)
		}
		if entry, outcome, err := c.fly(ctx, r, outcome, ticket); !errors.Is(err, errAgain) {
			return entry, outcome, err
		}
	}
}

// errAgain sends a request back to look once more.
var errAgain = errors.New("look again")

// fly computes the answer, or waits for who does.
func (c *Cache) fly(ctx context.Context, r Request, outcome Outcome, ticket *Ticket) (*Entry, Outcome, error) {
	place := flightKey{r.Clinic, r.Key}
	mine, ahead := c.flights.board(place)
	// Kept until the end: while this request looks, the next flight must not leave
	// without it.
	defer c.flights.leave(place, mine)
	// Somebody may have stored it between the look and the seat.
	missed := ticket != nil && present(ticket.generation, r)
	if ahead != nil {
		if err := ahead.wait(ctx); err != nil {
			return nil, outcome, err
		}
		if ahead.unfit {
			return c.compute(ctx, r, outcome, ticket)
		}
		if missed = !ahead.kept; ahead.kept {
			// Looked for and not taken over: a write may have been acknowledged
			// between its reading and our coming.
			var entry *Entry
			if entry, outcome, ticket = c.find(ctx, r.Clinic, r.Key); entry != nil {
				return entry, outcome, nil
			}
		}
	}
	if c.flights.lead(mine) {
		return c.lead(ctx, r, outcome, ticket, mine, missed)
	}
	if err := mine.wait(ctx); err != nil {
		return nil, outcome, err
	}
	switch {
	case mine.entry != nil:
		outcome.Shared = true
		return mine.entry, outcome, nil
	case mine.unfit:
		return c.compute(ctx, r, outcome, ticket)
	default:
		return nil, outcome, errAgain
	}
}

func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lead computes the answer for all who are aboard. missed tells that what is
// known of the cache is out of date.
func (c *Cache) lead(ctx context.Context, r Request, outcome Outcome, ticket *Ticket, mine *flight, missed bool) (*Entry, Outcome, error) {
	// Also when computing panics: the others must not wait for ever.
	defer c.flights.land(flightKey{r.Clinic, r.Key}, mine)
	if missed {
		var entry *Entry
		if entry, outcome, ticket = c.find(ctx, r.Clinic, r.Key); entry != nil {
			mine.kept = true
			return entry, outcome, nil
		}
	}
	ticket = c.whenOpen(ctx, r.Clinic, ticket)
	c.flights.read(mine)
	c.seams.Point("compute")
	entry, err := r.Compute(ctx)
	if err != nil || entry == nil {
		// Where the request is over that says nothing of the answer: another
		// computes it, for all the others.
		mine.unfit = ctx.Err() == nil
		return nil, outcome, err
	}
	if ticket != nil {
		outcome.Stored, _ = c.Store(ctx, r.Clinic, ticket, r.Key, entry)
	}
	mine.entry, mine.kept = entry, outcome.Stored
	return entry, outcome, nil
}

// whenOpen gives a ticket with which something can be stored, if that can be had
// soon: the first answer of a clinic is then kept already.
func (s *shelf) whenOpen(ctx context.Context, clinic uuid.UUID, ticket *Ticket) *Ticket {
	if ticket == nil || ticket.opening == nil || !ticket.opening.Wait(ctx) {
		return ticket
	}
	return s.Begin(ctx, clinic)
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
func present(g *trust.Generation, r Request) bool {
	part, err := tierOf(g).clinic(r.Clinic)
	if err != nil {
		return false
	}
	_, ok := part.entries.GetEntryQuietly(r.Key)
	return ok
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
