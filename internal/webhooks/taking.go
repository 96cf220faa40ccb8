package webhooks

import (
	"context"
	"sync"

	"github.com/google/uuid"
)

// taking are the endpoints that took the last delivery they were called with. Others are
// doubted: those that failed, and those that this server has not called yet. They get
// along with little, so that those that take are not slowed by those that may not.
type taking struct {
	mu sync.Mutex
	of map[uuid.UUID]struct{}
}

func (t *taking) has(endpoint uuid.UUID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, has := t.of[endpoint]
	return has
}

// learn is told what came of a call. What is remembered is bounded; who is forgotten is
// only doubted once more.
func (t *taking) learn(endpoint uuid.UUID, taken bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !taken {
		delete(t.of, endpoint)
		return
	}
	if len(t.of) >= mostLanes {
		clear(t.of)
	}
	t.of[endpoint] = struct{}{}
}

// places are so many at a time, some of which the doubted may have.
type places struct{ all, doubted chan struct{} }

func newPlaces(all, doubted int) *places {
	return &places{all: make(chan struct{}, all), doubted: make(chan struct{}, doubted)}
}

// take waits for a place, until the context ends; leave gives it back.
func (p *places) take(ctx context.Context, takes bool) (leave func(), err error) {
	if !takes {
		select {
		case p.doubted <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	giveBack := func() {
		if !takes {
			<-p.doubted
		}
	}
	select {
	case p.all <- struct{}{}:
		return func() { <-p.all; giveBack() }, nil
	case <-ctx.Done():
		giveBack()
		return nil, ctx.Err()
	}
}
