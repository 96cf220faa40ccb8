package telemetry

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// tallies counts by names of a closed set.
type tallies struct {
	mu     sync.Mutex
	counts map[string]int64
}

func (t *tallies) count(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int64{}
	}
	t.counts[name]++
}

// roll ends an interval and gives its counts, the most first.
func (t *tallies) roll() []Count {
	t.mu.Lock()
	counts := t.counts
	t.counts = nil
	t.mu.Unlock()
	sorted := make([]Count, 0, len(counts))
	for name, n := range counts {
		sorted = append(sorted, Count{name, n})
	}
	mostFirst(sorted)
	return sorted
}

func mostFirst(counts []Count) {
	slices.SortFunc(counts, func(a, b Count) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
}

// longest is the longest duration of an interval.
type longest struct{ nanos atomic.Int64 }

func (l *longest) note(took time.Duration) {
	for {
		was := l.nanos.Load()
		if int64(took) <= was || l.nanos.CompareAndSwap(was, int64(took)) {
			return
		}
	}
}
