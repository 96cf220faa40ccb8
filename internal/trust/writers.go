package trust

import (
	"context"
	"errors"
	"time"

	"github.com/taskmed/taskmed/internal/coherence"
)

// Journal implements coherence.Others.
func (t *Trust) Journal() coherence.Journal {
	if t.local != nil {
		return t.local
	}
	if shared := t.writes.Load(); shared != nil {
		return shared
	}
	return nil
}

// Told implements coherence.Others.
func (t *Trust) Told() { t.aside.reaches() }

var _ coherence.Others = (*Trust)(nil)

// AwaitJournal implements coherence.Others. It waits a little where it is not known
// yet which journal a writer tells, as right after the start.
func (t *Trust) AwaitJournal(ctx context.Context) coherence.Journal {
	if l := t.Journal(); l != nil || t.listener == nil || !t.unsaid() {
		return l
	}
	limit := time.NewTimer(longestUnsaid)
	defer limit.Stop()
	tick := time.NewTicker(heartbeat / 20)
	defer tick.Stop()
	for t.unsaid() {
		select {
		case <-limit.C:
			return t.Journal()
		case <-ctx.Done():
			return t.Journal()
		case <-tick.C:
		}
	}
	return t.Journal()
}

// unsaid tells that a Redis is reached of which it is not known yet whether the
// others use it.
func (t *Trust) unsaid() bool {
	wanted := t.listener.agreement.wanted.Load()
	return wanted != nil && t.writes.Load() == nil && t.listener.agreement.of(*wanted) == nil
}

// StandAside implements coherence.Others. Where Postgres is not heard there is no
// point in waiting.
func (t *Trust) StandAside(ctx context.Context, raise func(ctx context.Context) error) (raised bool, end func(still time.Duration)) {
	if t.listener == nil {
		return false, nil
	}
	end = t.aside.begin()
	t.config.Seams.Point("aside")
	limit := time.NewTimer(longestAside)
	defer limit.Stop()
	tick := time.NewTicker(raiseAgain)
	defer tick.Stop()
	for waits := true; waits && !t.aside.complete(); {
		select {
		case <-limit.C:
			waits = false
		case <-tick.C:
			waits = t.listener.session.Load() != 0
		}
		if raise(ctx) == nil {
			t.aside.leave()
			return true, nil
		}
	}
	return false, end
}

// AwaitNotified implements database.Coherence for a writer whose Raise failed.
// Where others may serve from the cache all the same, it returns once all of
// them must have heard, or know that they do not hear.
func (t *Trust) AwaitNotified(ctx context.Context, token string) error {
	if t.listener == nil {
		return errors.New("nobody listens to Postgres here")
	}
	if t.local == nil && !t.aside.complete() {
		t.outlast(ctx)
	}
	if t.listener.session.Load() == 0 {
		// Nothing is served here, and what is kept will not be.
		return errors.New("nobody listens to Postgres here")
	}
	return t.listener.await(ctx, token)
}

// outlast returns once no instance can serve a session from before it was called,
// whatever it can reach: by then each has had a sign of life from Postgres, and
// heard what was committed before, or serves nothing.
func (t *Trust) outlast(ctx context.Context) {
	timer := time.NewTimer(lease * 11 / 10)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
