package trust

import (
	"context"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/touched"
)

// Seams are where tests get in, as coherence's are.
type Seams struct {
	coherence.Seams

	// WithoutEpoch has an instance that missed something go on with what is kept,
	// WithoutAside makes it deaf to who cannot tell Redis, Hasty has it take any end
	// of that for everybody's, and WithoutAgree lets it use any Redis.
	WithoutEpoch, WithoutAside, Hasty, WithoutAgree bool

	// Probe is filled in by New where a test wants one.
	Probe *Probe
}

// Probe is what a test may look at and have an instance hear. Nobody gets at it but who
// sets the seam.
type Probe struct{ trust *Trust }

// Hears tells whether everything is heard at this moment.
func (p *Probe) Hears() bool { return p.trust.listener != nil && p.trust.listener.whole() }

// Announces tells whether others are asked to stand aside.
func (p *Probe) Announces() bool { return p.trust.aside.announces() }

// Distrusts is how often everything that is kept was given up.
func (p *Probe) Distrusts() uint64 {
	p.trust.mu.Lock()
	defer p.trust.mu.Unlock()
	return p.trust.distrusts
}

// Vouches gives the epoch that this instance vouches for; 0 if it does for none.
func (p *Probe) Vouches(ctx context.Context) uint64 {
	g := p.trust.latest.Load()
	if g == nil || g.Shared == nil {
		return 0
	}
	found, err := vouchers(ctx, g.Shared, "")
	if err != nil {
		return 0
	}
	return found[p.trust.instance].epoch
}

// Hear takes a write to a clinic, unless it has no tags, as the listener does.
func (p *Probe) Hear(ctx context.Context, clinic uuid.UUID, tags ...touched.Tag) {
	p.trust.notified(ctx, written(clinic, tags))
}

// HearAside takes at once what is heard of an announcer, that there is one or that
// it is over, and before it a write as Hear does.
func (p *Probe) HearAside(ctx context.Context, announcer string, over bool, clinic uuid.UUID, tags ...touched.Tag) {
	p.trust.notified(ctx, append(written(clinic, tags), notice{Aside: true, Announcer: announcer, Over: over}))
}

func written(clinic uuid.UUID, tags []touched.Tag) []notice {
	if len(tags) == 0 {
		return nil
	}
	return []notice{{Clinic: &clinic, Tags: tags}}
}
