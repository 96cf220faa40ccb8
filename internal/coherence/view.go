package coherence

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/touched"
)

// A Mark is how far something that is kept is known to hold: it was read after a
// step of its clinic's sequence, and up to a later one nothing that it depends on
// has changed.
type Mark struct {
	from    uint64
	checked atomic.Uint64
}

// ReadAfter notes the step.
func (m *Mark) ReadAfter(step uint64) {
	m.from = step
	m.checked.Store(step)
}

// From is that step.
func (m *Mark) From() uint64 { return m.from }

// View is what an instance knows of one clinic's changes, so that it need not
// ask the journal about each tag: every change after floor, through seq.
type View struct {
	clinic  uuid.UUID
	journal Journal
	seams   Seams

	// catching is held while the journal is asked for steps: one asks for all.
	catching sync.Mutex

	mu         sync.RWMutex
	seq, floor uint64
	last       map[touched.Tag]change
}

// NewView makes a view that knows nothing.
func NewView(clinic uuid.UUID, journal Journal, seams Seams) *View {
	return &View{clinic: clinic, journal: journal, seams: seams, last: map[touched.Tag]change{}}
}

// Start makes a view that knows nothing know what comes after a step.
func (v *View) Start(at uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seq == 0 {
		v.seq, v.floor = at, at
	}
}

// Stands tells whether something that is kept and depends on the tags may be
// served at a step of the clinic's sequence, which the caller has just got from the
// journal, and if not why in words.
func (v *View) Stands(ctx context.Context, mark *Mark, tags []touched.Tag, at uint64) (stands bool, why string, err error) {
	if at == 0 {
		return false, "redis lost what it knew", nil
	}
	if v.seams.WithoutCheck {
		return true, "", nil
	}
	said, tag, change, err := v.check(ctx, mark, tags, at)
	switch {
	case err != nil:
		return false, "", err
	case said == stillStands:
		return true, "", nil
	case said == hasFallen:
		return false, invalidated(tag, change), nil
	}
	through, by, err := v.journal.Confirm(ctx, v.clinic, mark.checked.Load(), tags)
	if err != nil {
		return false, "", err
	}
	if by != "" {
		return false, "invalidated by " + by, nil
	}
	raiseTo(&mark.checked, through)
	return true, "", nil
}

func invalidated(tag touched.Tag, change change) string {
	text := "invalidated by " + string(tag)
	if tag == touched.Everything {
		text = "invalidated by a write to the whole clinic"
	}
	ago := max(time.Since(change.at), 0).Round(time.Second)
	if change.by != "" {
		return text + ": written by " + change.by + " " + ago.String() + " ago"
	}
	return text + ": written " + ago.String() + " ago"
}

// finding is what a view says about something that is kept.
type finding int

const (
	// stillStands: nothing that it depends on has changed.
	stillStands finding = iota
	// hasFallen: something has.
	hasFallen
	// isUnknown: it is older than what the view knows.
	isUnknown
)

// check is Stands by what the view knows, and what made it fall.
func (v *View) check(ctx context.Context, mark *Mark, tags []touched.Tag, at uint64) (finding, touched.Tag, change, error) {
	if mark.checked.Load() >= at {
		return stillStands, "", change{}, nil
	}
	if err := v.reach(ctx, at); err != nil {
		return isUnknown, "", change{}, err
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	since := mark.checked.Load()
	if since < v.floor {
		return isUnknown, "", change{}, nil
	}
	if everything, ok := v.last[touched.Everything]; ok && everything.seq > since {
		return hasFallen, touched.Everything, everything, nil
	}
	for _, tag := range tags {
		if changed, ok := v.last[tag]; ok && changed.seq > since {
			return hasFallen, tag, changed, nil
		}
	}
	raiseTo(&mark.checked, v.seq)
	return stillStands, "", change{}, nil
}

// reach makes the view know the changes through a step.
func (v *View) reach(ctx context.Context, at uint64) error {
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
		if steps, err = v.journal.changes(ctx, v.clinic, from); err != nil && !errors.Is(err, errGap) {
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
