package answers

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/maypok86/otter/v2"

	"github.com/taskmed/taskmed/internal/coherence"
)

// tier keeps entries in the process, bounded in bytes. Each clinic has a cache
// of its own: where all of them together have too much, the one that has most
// gives way, so that no clinic can drive out the others.
type tier struct {
	total, share uint64
	journal      coherence.Journal
	clinics      sync.Map // uuid.UUID -> *clinicTier
	weight       atomic.Int64
	evicted      func()
	balancing    sync.Mutex
	seams        seams
}

type clinicTier struct {
	entries *otter.Cache[Key, *Entry]
	weight  atomic.Int64
	view    *coherence.View
}

// newTier makes a tier for total bytes, of which one clinic may have share.
func newTier(total, share uint64, journal coherence.Journal, evicted func()) *tier {
	return &tier{total: total, share: share, journal: journal, evicted: evicted}
}

// clinic gives a clinic's part, made at its first use.
func (t *tier) clinic(id uuid.UUID) (*clinicTier, error) {
	if known, ok := t.clinics.Load(id); ok {
		return known.(*clinicTier), nil //nolint:errcheck,forcetypeassert // the map holds nothing else
	}
	made := &clinicTier{view: coherence.NewView(id, t.journal, t.seams.Seams.Seams)}
	var err error
	made.entries, err = otter.New(&otter.Options[Key, *Entry]{
		MaximumWeight: t.share,
		Weigher:       func(_ Key, entry *Entry) uint32 { return entry.weight() },
		OnAtomicDeletion: func(e otter.DeletionEvent[Key, *Entry]) {
			gone := -int64(e.Value.weight())
			made.weight.Add(gone)
			t.weight.Add(gone)
			if e.Cause == otter.CauseOverflow {
				t.evicted()
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make a clinic's cache: %w", err)
	}
	known, _ := t.clinics.LoadOrStore(id, made)
	return known.(*clinicTier), nil //nolint:errcheck,forcetypeassert // the map holds nothing else
}

// put keeps an entry; the heaviest clinics give way if there is too much.
func (t *tier) put(c *clinicTier, key Key, entry *Entry) {
	weight := int64(entry.weight())
	if uint64(weight) > t.share/4 {
		return // it would drive out too much of its own clinic's
	}
	c.weight.Add(weight)
	t.weight.Add(weight)
	c.entries.Set(key, entry)
	if uint64(t.weight.Load()) > t.total {
		t.balance()
	}
}

// balance makes the heaviest clinics smaller until all fit.
func (t *tier) balance() {
	if !t.balancing.TryLock() {
		return // somebody is at it
	}
	defer t.balancing.Unlock()
	// A little below the bound, so that it is not done at each entry.
	aim := int64(t.total - t.total/16)
	for t.weight.Load() > aim {
		var heaviest, second int64
		var giving *clinicTier
		t.clinics.Range(func(_, value any) bool {
			c := value.(*clinicTier) //nolint:errcheck,forcetypeassert // the map holds nothing else
			switch weight := c.weight.Load(); {
			case giving == nil || weight > heaviest || t.seams.withoutShares && weight > 0:
				second, heaviest, giving = heaviest, weight, c
			case weight > second:
				second = weight
			}
			return true
		})
		if giving == nil || heaviest == 0 {
			return
		}
		// Down to the next heaviest, or as far as is needed.
		down := max(heaviest-(t.weight.Load()-aim), second-second/16, 1)
		if down >= heaviest {
			down = heaviest - heaviest/16 - 1
		}
		giving.shrink(max(down, 0))
		giving.entries.SetMaximum(t.share)
	}
}

// shrink drops the coldest entries until the clinic has at most so many bytes.
func (c *clinicTier) shrink(bytes int64) {
	c.entries.SetMaximum(uint64(bytes))
	c.entries.CleanUp()
}
