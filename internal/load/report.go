package load

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// Report is what a load came to. Durations are in milliseconds in its JSON.
type Report struct {
	Seconds  float64 `json:"seconds"`
	Requests int     `json:"requests"`
	// Errors are answers with GraphQL errors, HTTP failures and time-outs.
	Errors int     `json:"errors"`
	Rate   float64 `json:"requestsPerSecond"`
	Latency
	// Reads could have come from the cache; Hits did.
	Reads   int     `json:"cacheableReads"`
	Hits    int     `json:"cacheHits"`
	HitRate float64 `json:"hitRate"`
	// Checked are entities that were compared with what was acknowledged.
	Checked int `json:"checkedEntities"`
	// CheckedReads are answers in which something was.
	CheckedReads int                  `json:"checkedReads"`
	Stale        int                  `json:"staleAnswers"`
	Foreign      int                  `json:"foreignIds"`
	Refused      int                  `json:"userErrors"`
	Scenarios    map[string]*Scenario `json:"scenarios"`
	// Failures are the first few errors' words.
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

// fewFailures bounds how many errors' words are kept.
const fewFailures = 10

func newReport() *Report { return &Report{Scenarios: map[string]*Scenario{}} }

// outcome is what one request came to.
type outcome struct {
	scenario string
	took     time.Duration
	failure  string
	read     bool
	hit      bool
	refused  bool
	checked  int
	stale    bool
	foreign  int
}

func (r *Report) add(o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	scenario := r.Scenarios[o.scenario]
	if scenario == nil {
		scenario = &Scenario{}
		r.Scenarios[o.scenario] = scenario
	}
	r.Requests++
	scenario.Requests++
	r.taken = append(r.taken, o.took)
	scenario.taken = append(scenario.taken, o.took)
	if o.failure != "" {
		r.Errors++
		scenario.Errors++
		if len(r.Failures) < fewFailures && !slices.Contains(r.Failures, o.failure) {
			r.Failures = append(r.Failures, o.failure)
		}
		return
	}
	if o.read {
		r.Reads++
	}
	if o.hit {
		r.Hits++
	}
	if o.refused {
		r.Refused++
	}
	if o.stale {
		r.Stale++
	}
	if o.checked > 0 {
		r.CheckedReads++
	}
	r.Checked += o.checked
	r.Foreign += o.foreign
}

func (r *Report) finish(took time.Duration) {
	r.Seconds = took.Seconds()
	r.Rate = float64(r.Requests) / r.Seconds
	if r.Reads > 0 {
		r.HitRate = float64(r.Hits) / float64(r.Reads)
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

// Write prints the report for a person.
func (r *Report) Write(to io.Writer) error {
	// A buffer takes every write; what can fail is handing it on.
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	say := func(format string, values ...any) { _, _ = fmt.Fprintf(table, format, values...) }
	say("\trequests\terrors\taverage\tp50\tp95\tp99\tmax\t\n")
	line := func(name string, requests, errors int, l Latency) {
		say("%s\t%d\t%d\t%.2f ms\t%.2f ms\t%.2f ms\t%.2f ms\t%.2f ms\t\n",
			name, requests, errors, l.Average, l.P50, l.P95, l.P99, l.Max)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Scenarios)) {
		line(name, r.Scenarios[name].Requests, r.Scenarios[name].Errors, r.Scenarios[name].Latency)
	}
	line("all", r.Requests, r.Errors, r.Latency)
	say("\n%.1f requests/s over %.1f s; %d refused with userErrors\n", r.Rate, r.Seconds, r.Refused)
	say("cache: %d of %d cacheable reads hit (%.1f %%)\n", r.Hits, r.Reads, 100*r.HitRate)
	say("checked: %d entities in %d answers; %d stale, %d foreign ids\n", r.Checked, r.CheckedReads, r.Stale, r.Foreign)
	if len(r.Failures) > 0 {
		say("errors: %s\n", strings.Join(r.Failures, "\n        "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := text.WriteTo(to)
	return err
}
