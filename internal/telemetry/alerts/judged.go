package alerts

import (
	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
	"github.com/taskmed/taskmed/internal/telemetry/metrics"
)

// Judged is what the rules are held against.
type Judged struct {
	Latest dashboard.Snapshot
	// Requests are the window's.
	Requests metrics.Tally
	// Operations, Fields and Statements are those that were slow within the window.
	Operations, Fields, Statements []Crossing

	// hits and misses are the last minute's.
	hits, misses int64
	// recent are the window's snapshots, the latest included.
	recent []dashboard.Snapshot
	// figures are other parts', as the Watch remembers them.
	figures *figures
}

// NewJudged is what is judged once an interval's snapshot has joined the ones before it.
func NewJudged(latest dashboard.Snapshot, before []dashboard.Snapshot) Judged {
	v := Judged{Latest: latest, hits: latest.Cache.Hits, misses: latest.Cache.Misses}
	for _, snapshot := range before[max(len(before)-metrics.Minute+1, 0):] {
		v.hits += snapshot.Cache.Hits
		v.misses += snapshot.Cache.Misses
	}
	v.recent = append(v.recent, before[max(len(before)-Window+1, 0):]...)
	v.recent = append(v.recent, latest)
	return v
}

// Slow are the meters' owners that were slow within the window, named by their labels.
func Slow(meters metrics.Meters, name func(labels []string) string) []Crossing {
	var slow []Crossing
	for labels, meter := range meters {
		sum := meter.Last(Window)
		if sum.Count < FewestCalls {
			continue
		}
		if p95 := sum.Quantile(.95); p95 > responseTimeLimit {
			slow = append(slow, Crossing{name(labels), p95})
		}
	}
	return slow
}

// least is the least value that a figure had within the window: it was above
// all that time.
func (v Judged) least(of func(dashboard.Snapshot) float64) float64 {
	low := of(v.Latest)
	for _, snapshot := range v.recent {
		low = min(low, of(snapshot))
	}
	return low
}
