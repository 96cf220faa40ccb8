package answers

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/trust"
)

// shelf is where answers and sessions are kept, each for as long as it stands.
type shelf struct {
	trust   *trust.Trust
	opener  *coherence.Opener
	flights flights
	// seal is what tells values of ours in Redis.
	seal sealer
	log  *slog.Logger

	seams seams
}

// tierOf is what a generation keeps in the process.
func tierOf(g *trust.Generation) *tier {
	return g.Kept.(*tier) //nolint:errcheck,forcetypeassert // newCache has nothing else kept
}

// named is a key as it stands in Redis.
func named(g *trust.Generation, key Key) Key {
	if g.Shared == nil {
		return key
	}
	return g.Shared.Named(key)
}

// Ticket is a reader's moment: what it has read after it may be stored with it.
type Ticket struct {
	generation *trust.Generation
	begun      coherence.Begun
	// opening is what readers wait for who want to store; nil if they may now.
	opening *coherence.Pending
}

// Begin notes the moment for a reader, before it reads Postgres. The ticket is
// nil if nothing can be stored.
func (s *shelf) Begin(ctx context.Context, clinic uuid.UUID) *Ticket {
	g := s.trust.Trusted()
	if g == nil {
		return nil
	}
	begun, _, err := g.Journal.Begin(ctx, clinic, g.Epoch(), Key{})
	if err != nil {
		return nil
	}
	return s.ticket(g, clinic, begun)
}

func (s *shelf) ticket(g *trust.Generation, clinic uuid.UUID, begun coherence.Begun) *Ticket {
	return &Ticket{generation: g, begun: begun, opening: s.opener.For(g.Journal, clinic, begun)}
}

// stands tells whether an entry may be served at a step of its clinic's
// sequence, and if not why.
func stands(ctx context.Context, part *clinicTier, entry *Entry, at uint64) (bool, string, error) {
	if !time.Now().Before(entry.ExpiresAt) {
		return false, "expired", nil
	}
	return part.view.Stands(ctx, &entry.mark, entry.Tags, at)
}

func (s *shelf) store(ctx context.Context, clinic uuid.UUID, ticket *Ticket, key Key, entry *Entry) coherence.Verdict {
	if ticket == nil {
		return coherence.Verdict{Refusal: refusedDistrust}
	}
	g := ticket.generation
	if s.trust.Trusted() != g {
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
		if value = s.seal.encode(clinic, named(g, key), entry); len(value) > coherence.MaxValue {
			return coherence.Verdict{Refusal: refusedSize}
		}
		entry.Recipe = nil // nobody asks the process for it
	}
	part, err := tierOf(g).clinic(clinic)
	if err != nil {
		return coherence.Verdict{Refusal: refusedError}
	}
	s.seams.Point("store")
	said, err := g.Journal.Store(ctx, coherence.Storing{
		Clinic: clinic, Epoch: g.Epoch(), Key: key, Begun: ticket.begun, Tags: entry.Tags, Value: value, Life: life,
	})
	if err != nil {
		return coherence.Verdict{Refusal: refusedError}
	}
	if said.Refusal == "" {
		part.view.Start(entry.mark.From())
		s.seams.Point("stored")
		tierOf(g).put(part, key, entry)
	}
	return said
}

// What an answer is not stored for before a journal is asked.
const (
	// refusedDistrust: the instance stopped trusting what is kept meanwhile.
	refusedDistrust coherence.Refusal = "distrust"
	// refusedSize: it is longer than coherence.MaxValue.
	refusedSize coherence.Refusal = "size"
	// refusedExpired: its life was over before it was stored.
	refusedExpired coherence.Refusal = "expired"
	// refusedError: the journal could not be asked.
	refusedError coherence.Refusal = "error"
)
