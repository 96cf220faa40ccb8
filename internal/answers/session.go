package answers

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/internal/trust"
)

// What is known of who asks, memberships and keys, is kept like answers are, by
// the same protocol, with two differences. A subject's memberships are of many
// clinics, so what changes them stands in the journal under a clinic that there is
// not, uuid.Nil (coherence.Shares). And it is kept in the process alone: whoever can
// write to Redis must not be able to give himself rights.

// Sessions keeps what is known of who asks. Its methods may be called from any
// goroutine.
type Sessions struct {
	*shelf

	lookups *prometheus.CounterVec
}

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

// Get gives the session that is kept, or loads it and keeps it. A session
// that is given holds at a moment since the call. It is nil where Load gives none.
func (s *Sessions) Get(ctx context.Context, r SessionRequest) (any, error) {
	value, outcome, err := s.get(ctx, r)
	s.lookups.WithLabelValues(outcome).Inc()
	return value, err
}

func (s *Sessions) get(ctx context.Context, r SessionRequest) (value any, outcome string, err error) {
	const bypass = "bypass"
	g := s.trust.Trusted()
	if g == nil {
		value, err = load(ctx, r)
		return value, bypass, err
	}
	part, err := tierOf(g).clinic(uuid.Nil)
	if err != nil {
		return nil, bypass, err
	}
	kept, err := s.kept(ctx, g, part, r)
	switch {
	case err != nil: // Redis is not reached.
		value, err = load(ctx, r)
		return value, bypass, err
	case kept != nil:
		return kept.session, "process", nil
	}
	for range most {
		if value, outcome, err = s.fly(ctx, g, part, r); !errors.Is(err, errAgain) {
			return value, outcome, err
		}
	}
	value, err = load(ctx, r)
	return value, "miss", err
}

// kept is the session that is kept, if it stands; nil if there is none.
func (s *Sessions) kept(ctx context.Context, g *trust.Generation, part *clinicTier, r SessionRequest) (*Entry, error) {
	entry, ok := part.entries.GetIfPresent(r.Key)
	if !ok {
		return nil, nil //nolint:nilnil // that there is none is no error
	}
	stands, err := s.stands(ctx, g, part, entry, r)
	if err != nil || stands {
		return entry, err
	}
	part.entries.ComputeIfPresent(r.Key, dropIf(entry))
	return nil, nil //nolint:nilnil // as above
}

// fly loads a session for all who came before its reading began, or waits
// for who does, as answers are computed (fly). Where loading fails or gives
// nothing, each finds out for himself.
func (s *Sessions) fly(ctx context.Context, g *trust.Generation, part *clinicTier, r SessionRequest) (value any, outcome string, err error) {
	place := flightKey{uuid.Nil, r.Key}
	mine, ahead := s.flights.board(place)
	defer s.flights.leave(place, mine)
	if ahead != nil {
		if err := ahead.wait(ctx); err != nil {
			return nil, "miss", err
		}
	}
	if s.flights.lead(mine) {
		defer s.flights.land(place, mine)
		// Somebody may have loaded it between the look and the seat.
		if kept, err := s.kept(ctx, g, part, r); err == nil && kept != nil {
			return kept.session, "process", nil
		}
		return s.load(ctx, r, mine)
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
	if kept, err := s.kept(ctx, g, part, r); err == nil && kept != nil {
		return kept.session, "process", nil
	}
	return nil, "", errAgain
}

// load loads a session for all who are aboard, and keeps it.
func (s *Sessions) load(ctx context.Context, r SessionRequest, mine *flight) (value any, outcome string, err error) {
	const bypass, miss = "bypass", "miss"
	ticket := s.Begin(ctx, uuid.Nil)
	s.flights.read(mine)
	s.seams.Point("session")
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
	if said := s.store(ctx, uuid.Nil, ticket, r.Key, entry); said.Refusal != "" {
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

func (s *Sessions) stands(ctx context.Context, g *trust.Generation, part *clinicTier, entry *Entry, r SessionRequest) (bool, error) {
	at, err := s.head(ctx, g, entry, r)
	if err != nil {
		return false, err
	}
	s.seams.Point("session found")
	good, _, err := stands(ctx, part, entry, at)
	return good, err
}

// head asks for the sessions' sequence, and in the same breath for that of
// the clinic that the request is about to ask for.
func (s *Sessions) head(ctx context.Context, g *trust.Generation, entry *Entry, r SessionRequest) (uint64, error) {
	seen, _ := ctx.Value(glimpseKey{}).(*glimpse)
	if seen == nil || g.Shared == nil || r.Clinic == nil {
		return g.Journal.Head(ctx, uuid.Nil)
	}
	clinic := r.Clinic(entry.session)
	if clinic == uuid.Nil {
		return g.Journal.Head(ctx, uuid.Nil)
	}
	asked := time.Now()
	at, beside, err := g.Shared.Heads(ctx, uuid.Nil, clinic)
	if err == nil {
		seen.Store(&glimpsed{generation: g, clinic: clinic, at: beside, asked: asked})
	}
	return at, err
}
