package coherence

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/touched"
)

// Local is the journal of a single instance without Redis. It keeps no
// values: the process's own tier is the only one.
type Local struct {
	clinics sync.Map // uuid.UUID -> *localClinic
	request time.Duration
	started time.Time
}

type localClinic struct {
	seq atomic.Uint64 // read without the lock

	mu     sync.Mutex
	born   uint64
	opened uint64
	floor  uint64
	last   map[touched.Tag]uint64
	fences map[string]fence
	steps  []change
}

type fence struct {
	tags  []touched.Tag
	until time.Duration
}

// NewLocal makes a journal; request is how long a reader may take.
func NewLocal(request time.Duration) *Local {
	return &Local{request: request, started: time.Now()}
}

// clock never goes back, whatever happens to the time of day.
func (l *Local) clock() time.Duration { return time.Since(l.started) }

func (l *Local) clinic(id uuid.UUID) *localClinic {
	if known, ok := l.clinics.Load(id); ok {
		return known.(*localClinic) //nolint:errcheck,forcetypeassert // the map holds nothing else
	}
	born := uint64(time.Now().UnixMicro())
	c := &localClinic{born: born, floor: born, last: map[touched.Tag]uint64{}, fences: map[string]fence{}}
	c.seq.Store(born)
	known, _ := l.clinics.LoadOrStore(id, c)
	return known.(*localClinic) //nolint:errcheck,forcetypeassert // the map holds nothing else
}

// Head implements Journal.
func (l *Local) Head(_ context.Context, clinic uuid.UUID) (uint64, error) {
	return l.clinic(clinic).seq.Load(), nil
}

// Begin implements Journal.
func (l *Local) Begin(_ context.Context, clinic uuid.UUID, _ uint64, _ Key) (Begun, []byte, error) {
	c := l.clinic(clinic)
	c.mu.Lock()
	defer c.mu.Unlock()
	return Begun{
		Seq: c.seq.Load(), born: c.born, open: c.opened != 0, latest: (l.clock() + l.request).Microseconds(),
	}, nil, nil
}

func (l *Local) changes(_ context.Context, clinic uuid.UUID, after uint64) ([]change, error) {
	c := l.clinic(clinic)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.steps) == 0 || after+1 < c.steps[0].seq || after >= c.seq.Load() {
		return nil, errGap
	}
	return append([]change(nil), c.steps[after+1-c.steps[0].seq:]...), nil
}

// Confirm implements Journal.
func (l *Local) Confirm(_ context.Context, clinic uuid.UUID, since uint64, tags []touched.Tag) (uint64, string, error) {
	c := l.clinic(clinic)
	c.mu.Lock()
	defer c.mu.Unlock()
	if tag, changed := c.changedSince(since, tags); changed {
		return 0, string(tag), nil
	}
	if since < c.floor {
		return 0, fallenEarlier, nil
	}
	return c.seq.Load(), "", nil
}

// changedSince gives the first tag that changed after a step.
func (c *localClinic) changedSince(since uint64, tags []touched.Tag) (touched.Tag, bool) {
	if since >= c.seq.Load() {
		return "", false
	}
	if c.last[touched.Everything] > since {
		return touched.Everything, true
	}
	for _, tag := range tags {
		if c.last[tag] > since {
			return tag, true
		}
	}
	return "", false
}

// Store implements Journal.
func (l *Local) Store(_ context.Context, s Storing) (Verdict, error) {
	c := l.clinic(s.Clinic)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := l.clock()
	switch {
	case now.Microseconds() > s.Begun.latest:
		return Verdict{Refusal: RefusedLate}, nil
	case c.opened == 0 || s.Begun.Seq < c.opened:
		return Verdict{Refusal: RefusedClosed}, nil
	case s.Begun.Seq < c.floor:
		return Verdict{Refusal: RefusedUnknown}, nil
	}
	if tag, changed := c.changedSince(s.Begun.Seq, s.Tags); changed {
		return Verdict{Refusal: RefusedChanged, Tag: tag}, nil
	}
	if tag, fenced := c.fenced(now, s.Tags); fenced {
		return Verdict{Refusal: RefusedFenced, Tag: tag}, nil
	}
	return Verdict{}, nil
}

func (c *localClinic) fenced(now time.Duration, tags []touched.Tag) (touched.Tag, bool) {
	for id, standing := range c.fences {
		if standing.until < now {
			delete(c.fences, id)
			continue
		}
		for _, closed := range standing.tags {
			if closed == touched.Everything {
				return closed, true
			}
			for _, tag := range tags {
				if tag == closed {
					return tag, true
				}
			}
		}
	}
	return "", false
}

// Raise implements Journal.
func (l *Local) Raise(_ context.Context, clinic uuid.UUID, w Write) error {
	c := l.clinic(clinic)
	c.mu.Lock()
	defer c.mu.Unlock()
	seq := c.seq.Load() + 1
	for _, tag := range w.Tags {
		c.last[tag] = seq
	}
	if len(c.last) > keptTags {
		clear(c.last)
		c.floor = seq
	}
	if len(c.steps) == keptSteps {
		c.steps = append(make([]change, 0, keptSteps), c.steps[keptSteps/2:]...)
	}
	// A step after a gap, such as the opening's, begins the steps anew.
	if n := len(c.steps); n > 0 && c.steps[n-1].seq+1 != seq {
		c.steps = nil
	}
	c.steps = append(c.steps, change{seq: seq, tags: w.Tags, at: time.Now(), by: w.By})
	delete(c.fences, w.lowers)
	if w.fence != "" {
		c.fences[w.fence] = fence{tags: w.Tags, until: l.clock() + w.standing}
	}
	// Last: who sees the new step finds all of it.
	c.seq.Store(seq)
	return nil
}

func (l *Local) lower(_ context.Context, clinic uuid.UUID, fence string) error {
	c := l.clinic(clinic)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fences, fence)
	return nil
}

func (l *Local) open(_ context.Context, clinic uuid.UUID, born uint64) error {
	c := l.clinic(clinic)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened == 0 && c.born == born {
		c.opened = c.seq.Add(1)
	}
	return nil
}
