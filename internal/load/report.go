package load

import (
	"slices"
	"sync"
	"time"
)

// Report is what a load came to. Durations are in milliseconds in its JSON.
type Report struct {
	Seconds  float64 `json:"seconds"`
	Requests int     `json:"requests"`
	// Errors are answers with GraphQL errors, HTTP failures and time-outs; Excused
	// those of them during an outage.
	Errors  int     `json:"errors"`
	Excused int     `json:"errorsDuringOutages"`
	Rate    float64 `json:"requestsPerSecond"`
	Latency
	// Writes were sent, Refused of them answered with userErrors.
	Writes  int `json:"writes"`
	Refused int `json:"userErrors"`
	// Reads could have come from the cache; Hits did.
	Reads   int     `json:"cacheableReads"`
	Hits    int     `json:"cacheHits"`
	HitRate float64 `json:"hitRate"`
	// CalmReads and CalmHits are those of them that no outage overlapped, from when
	// it began until it was mended and a while after.
	CalmReads   int     `json:"readsOutsideOutages"`
	CalmHits    int     `json:"hitsOutsideOutages"`
	CalmHitRate float64 `json:"hitRateOutsideOutages"`
	// Checked are entities that were compared with what the oracle knows.
	Checked int `json:"checkedEntities"`
	// CheckedReads are answers in which something was.
	CheckedReads int `json:"checkedReads"`
	// Stale are answers older than they may be, Faults how many of each kind and
	// Findings the first few's words.
	Stale    int            `json:"staleAnswers"`
	Faults   map[string]int `json:"faults,omitempty"`
	Findings []string       `json:"findings,omitempty"`
	// DuringOutages are answers that missed what others wrote while Redis or
	// Postgres were away.
	DuringOutages int                   `json:"olderDuringOutages"`
	Foreign       int                   `json:"foreignAnswers"`
	Scenarios     map[string]*Scenario  `json:"scenarios"`
	Operations    map[string]*Operation `json:"operations"`
	// Failures are the first few errors' words, of those that no outage excuses.
	Failures []string `json:"failures,omitempty"`

	mu    sync.Mutex
	taken []time.Duration
}

// Latency sums durations up, from the moment a request was due, in milliseconds.
type Latency struct {
	Average float64 `json:"averageMs"`
	P50     float64 `json:"p50Ms"`
	P95     float64 `json:"p95Ms"`
	P99     float64 `json:"p99Ms"`
	Max     float64 `json:"maxMs"`
}

// Scenario is the part of a load that one kind of work made.
type Scenario struct {
	Requests int `json:"requests"`
	Errors   int `json:"errors"`
	Latency
	taken []time.Duration
}

// Operation is how one query fared with the cache.
type Operation struct {
	Reads int `json:"reads"`
	Hits  int `json:"hits"`
	// Misses are the reasons that Cache-Status gave, without ids and times.
	Misses map[string]int `json:"misses,omitempty"`
}

// few bounds how many errors' and findings' words are kept.
const few = 10

func newReport() *Report {
	return &Report{Scenarios: map[string]*Scenario{}, Operations: map[string]*Operation{}, Faults: map[string]int{}}
}

// outcome is what one request came to.
type outcome struct {
	scenario, operation string
	took                time.Duration
	failure             string
	// excused is whether an outage overlapped the request.
	excused bool
	read    bool
	// apart is a read that no cache keeps, so that its hits are not counted.
	apart   bool
	cache   string
	refused bool
	checked int
	fault   fault
	words   string
}

func (r *Report) add(o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	scenario := of(r.Scenarios, o.scenario)
	r.Requests++
	scenario.Requests++
	if !o.read {
		r.Writes++
	}
	r.taken = append(r.taken, o.took)
	scenario.taken = append(scenario.taken, o.took)
	switch {
	case o.failure != "" && o.excused:
		r.Errors++
		r.Excused++
		scenario.Errors++
		return
	case o.failure != "":
		r.Errors++
		scenario.Errors++
		r.Failures = note(r.Failures, o.failure)
		return
	}
	if o.read && !o.apart {
		r.cached(of(r.Operations, o.operation), o)
	}
	if o.refused {
		r.Refused++
	}
	if o.checked > 0 {
		r.CheckedReads++
	}
	r.Checked += o.checked
	r.judge(o)
}

func (r *Report) judge(o outcome) {
	switch o.fault {
	case none:
		return
	case excused:
		r.DuringOutages++
		return
	case foreign:
		r.Foreign++
	default:
		r.Stale++
	}
	r.Faults[o.fault.String()]++
	r.Findings = note(r.Findings, o.words)
}

func (r *Report) cached(operation *Operation, o outcome) {
	r.Reads++
	operation.Reads++
	hit, why := reason(o.cache)
	if !o.excused {
		r.CalmReads++
	}
	if hit && !o.excused {
		r.CalmHits++
	}
	if hit {
		r.Hits++
		operation.Hits++
		return
	}
	if operation.Misses == nil {
		operation.Misses = map[string]int{}
	}
	operation.Misses[why]++
}

func note(known []string, words string) []string {
	if len(known) == few || slices.Contains(known, words) {
		return known
	}
	return append(known, words)
}

func of[T any](all map[string]*T, name string) *T {
	one := all[name]
	if one == nil {
		one = new(T)
		all[name] = one
	}
	return one
}

func (r *Report) finish(took time.Duration) {
	r.Seconds = took.Seconds()
	r.Rate = float64(r.Requests) / r.Seconds
	if r.Reads > 0 {
		r.HitRate = float64(r.Hits) / float64(r.Reads)
	}
	if r.CalmReads > 0 {
		r.CalmHitRate = float64(r.CalmHits) / float64(r.CalmReads)
	}
	r.Latency = latencyOf(r.taken)
	for _, scenario := range r.Scenarios {
		scenario.Latency = latencyOf(scenario.taken)
	}
}

func latencyOf(taken []time.Duration) Latency {
	if len(taken) == 0 {
		return Latency{}
	}
	slices.Sort(taken)
	var sum time.Duration
	for _, one := range taken {
		sum += one
	}
	at := func(share float64) float64 {
		return milliseconds(taken[min(len(taken)-1, int(share*float64(len(taken))))])
	}
	return Latency{
		Average: milliseconds(sum / time.Duration(len(taken))),
		P50:     at(0.50), P95: at(0.95), P99: at(0.99), Max: milliseconds(taken[len(taken)-1]),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
