package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
)

// Requests counts the API's requests.
type Requests struct {
	outcomes [4]prometheus.Counter
	refusals *prometheus.CounterVec

	meter Meter
	// longest is the longest of the interval in nanoseconds, refused how many of its
	// requests were, by what they were refused or failed by.
	longest   atomic.Int64
	refused   atomic.Int64
	refusedBy tallies

	// Every request writes it, so it has a cache line of its own: who reads what is
	// beside it would have to fetch that anew each time.
	_      [cacheLine]byte
	flying atomic.Int64
	_      [cacheLine]byte
}

// cacheLine is as much as processors hand each other at once, in bytes.
const cacheLine = 64

// NewRequests registers what is counted of requests.
func NewRequests(c *Catalog) *Requests {
	r := &Requests{refusals: c.counters("taskmed_refusals_total", "Requests that were refused or failed, by error code.", "kind")}
	outcomes := c.counters("taskmed_requests_total", "Requests to the API by outcome: ok, refused (the client's doing), failed (the server's), canceled (the client left).", "outcome")
	// The series of closed sets are made now, so that their first event is an
	// increase and not a beginning.
	for i, outcome := range []string{"ok", "refused", "failed", "canceled"} {
		r.outcomes[i] = outcomes.WithLabelValues(outcome)
	}
	for _, kind := range Kinds() {
		r.refusals.WithLabelValues(kind)
	}
	c.gauge("taskmed_requests_in_flight", "Requests under way.", func() float64 { return float64(r.flying.Load()) })
	c.MustRegister(NewHistogram("taskmed_request_duration_seconds", "Time from a request's first header to its last byte.",
		func(yield func([]string, *Meter) bool) { yield(nil, &r.meter) }))
	return r
}

// Begin and End surround each request.
func (r *Requests) Begin() { r.flying.Add(1) }

// End is called as well for those that Count is not.
func (r *Requests) End() { r.flying.Add(-1) }

// Count counts a request that took so long. kind is one of Kinds or other, and looked at
// where the outcome is not OK.
func (r *Requests) Count(outcome Outcome, kind string, took time.Duration, trace string) {
	r.outcomes[outcome].Inc()
	if outcome != OK {
		r.refusals.WithLabelValues(kind).Inc()
		r.refusedBy.count(kind)
	}
	if outcome == Refused {
		r.refused.Add(1)
	}
	r.meter.ObserveTraced(took, outcome == Failed, trace)
	for was := r.longest.Load(); int64(took) > was && !r.longest.CompareAndSwap(was, int64(took)); {
		was = r.longest.Load()
	}
}

// Meter has their durations; its faults are those that failed.
func (r *Requests) Meter() *Meter { return &r.meter }

// Roll ends an interval.
func (r *Requests) Roll(interval time.Duration) dashboard.Requests {
	tally := r.meter.Roll()
	if tally == nil {
		tally = &Tally{}
	}
	rolled := dashboard.Requests{
		Count: tally.Count, InFlight: r.flying.Load(), Failed: tally.Faults, Refused: r.refused.Swap(0), RefusedBy: r.refusedBy.roll(),
		P50: tally.Quantile(.5), P95: tally.Quantile(.95), P99: tally.Quantile(.99), Max: Milliseconds(r.longest.Swap(0)),
	}
	if interval > 0 {
		rolled.PerSecond = float64(rolled.Count) / interval.Seconds()
	}
	if rolled.Count > 0 {
		rolled.ErrorRate = float64(rolled.Failed) / float64(rolled.Count)
	}
	return rolled
}
