package respcache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/touched"
)

// view is what an instance knows of one clinic's changes, so that it need not
// ask the ledger about each tag: every change after floor, through seq.
type view struct {
	clinic uuid.UUID
	ledger ledger

	// catching is held while the ledger is asked for steps: one asks for all.
	catching sync.Mutex

	mu         sync.RWMutex
	seq, floor uint64
	last       map[touched.Tag]change
}

func newView(clinic uuid.UUID, ledger ledger) *view {
	return &view{clinic: clinic, ledger: ledger, last: map[touched.Tag]change{}}
}

// start makes a view that knows nothing know what comes after a step.
func (v *view) start(at uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seq == 0 {
		v.seq, v.floor = at, at
	}
}

// standing is what a view says about an entry.
type standing int

const (
	// stands: nothing that it depends on has changed.
	stands standing = iota
	// fell: something has.
	fell
	// unknown: it is older than what the view knows.
	unknown
)

// check tells whether an entry stands at a step of the clinic's sequence, which
// the caller has just got from the ledger, and if not what made it fall.
func (v *view) check(ctx context.Context, entry *Entry, at uint64) (standing, touched.Tag, change, error) {
	if entry.checked.Load() >= at {
		return stands, "", change{}, nil
	}
	if err := v.reach(ctx, at); err != nil {
		return unknown, "", change{}, err
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	since := entry.checked.Load()
	if since < v.floor {
		return unknown, "", change{}, nil
	}
	if everything, ok := v.last[touched.Everything]; ok && everything.seq > since {
		return fell, touched.Everything, everything, nil
	}
	for _, tag := range entry.Tags {
		if changed, ok := v.last[tag]; ok && changed.seq > since {
			return fell, tag, changed, nil
		}
	}
	raiseTo(&entry.checked, v.seq)
	return stands, "", change{}, nil
}

// reach makes the view know the changes through a step.
func (v *view) reach(ctx context.Context, at uint64) error {
	v.mu.RLock()
	reached := v.seq >= at
	v.mu.RUnlock()
	if reached {
		return nil
	}
	v.catching.Lock()
	defer v.catching.Unlock()
	v.mu.RLock()
	from := v.seq
	v.mu.RUnlock()
	if from >= at {
		return nil
	}
	var steps []change
	if from > 0 {
		var err error
		if steps, err = v.ledger.changes(ctx, v.clinic, from); err != nil && !errors.Is(err, errGap) {
			return err
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, step := range steps {
		if step.seq != v.seq+1 {
			break
		}
		v.seq = step.seq
		for _, tag := range step.tags {
			v.last[tag] = change{seq: step.seq, at: step.at, by: step.by}
		}
	}
	if v.seq < at || len(v.last) > keptTags {
		v.seq = max(v.seq, at)
		v.floor = v.seq
		clear(v.last)
	}
	return nil
}

// raiseTo sets a number that must not fall.
func raiseTo(number *atomic.Uint64, to uint64) {
	for {
		is := number.Load()
		if is >= to || number.CompareAndSwap(is, to) {
			return
		}
	}
}
