package metrics

import (
	"cmp"
	"slices"
	"sync"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
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
func (t *tallies) roll() []dashboard.Count {
	t.mu.Lock()
	counts := t.counts
	t.counts = nil
	t.mu.Unlock()
	sorted := make([]dashboard.Count, 0, len(counts))
	for name, n := range counts {
		sorted = append(sorted, dashboard.Count{Name: name, Count: n})
	}
	mostFirst(sorted)
	return sorted
}

func mostFirst(counts []dashboard.Count) {
	slices.SortFunc(counts, func(a, b dashboard.Count) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
}
