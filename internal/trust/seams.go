package trust

import (
	"context"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/touched"
)

// Seams are where tests get in, as coherence's are. What follows them is what tests
// look at.
type Seams struct {
	coherence.Seams

	// WithoutEpoch has an instance that missed something go on with what is kept,
	// WithoutAside makes it deaf to who cannot tell Redis, Hasty has it take any end
	// of that for everybody's, and WithoutAgree lets it use any Redis.
	WithoutEpoch, WithoutAside, Hasty, WithoutAgree bool
}

// Hears tells whether everything is heard at this moment.
func (t *Trust) Hears() bool { return t.listener != nil && t.listener.whole() }

// Announces tells whether others are asked to stand aside.
func (t *Trust) Announces() bool { return t.aside.announces() }

// Distrusts is how often everything that is kept was given up.
func (t *Trust) Distrusts() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.distrusts
}

// Vouches gives the epoch that this instance vouches for; 0 if it does for none.
func (t *Trust) Vouches(ctx context.Context) uint64 {
	g := t.latest.Load()
	if g == nil || g.Shared == nil {
		return 0
	}
	found, err := vouchers(ctx, g.Shared, "")
	if err != nil {
		return 0
	}
	return found[t.instance].epoch
}

// Hear takes a write to a clinic, unless it has no tags, as the listener does.
func (t *Trust) Hear(ctx context.Context, clinic uuid.UUID, tags ...touched.Tag) {
	t.notified(ctx, written(clinic, tags))
}

// HearAside takes at once what is heard of an announcer, that there is one or that
// it is over, and before it a write as Hear does.
func (t *Trust) HearAside(ctx context.Context, announcer string, over bool, clinic uuid.UUID, tags ...touched.Tag) {
	t.notified(ctx, append(written(clinic, tags), notice{Aside: true, Announcer: announcer, Over: over}))
}

func written(clinic uuid.UUID, tags []touched.Tag) []notice {
	if len(tags) == 0 {
		return nil
	}
	return []notice{{Clinic: &clinic, Tags: tags}}
}
