package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// The thresholds that clinics' operators know. A duration is in milliseconds,
// the others are shares.
const (
	responseTimeLimit = 100.0
	errorLimit        = 0.02
	memoryLimitShare  = 0.85
	cacheHitFloor     = 0.80
	poolLimit         = 0.80
	cpuLimit          = 0.80
	// objective is the share of requests that are to succeed.
	objective = 0.999
)

const (
	// window is how many intervals an alert is judged by: whatever begins is
	// seen within three.
	window = 2
	// calm is how many intervals without a crossing end an alert.
	calm = 6
	// fewest requests, and fewest calls of one part, tell nothing below this.
	fewestRequests = 10
	fewestCalls    = 5
	fewestReads    = 50
	// warming is how long after its start a cache may still be cold.
	warming = time.Minute
	// maxRecent bounds the alerts that are remembered, mostOfRule those that one
	// rule has active: where everything is slow, a few names say as much as all.
	maxRecent  = 100
	mostOfRule = 10
)

// Rule is a threshold, as docs/observability.md and the rules for Prometheus have it.
type Rule struct {
	Name, Summary, Severity string
	Threshold               float64
	// Unit is "ms", "ratio" or "up".
	Unit string
	// Query is PromQL that is true where the threshold is crossed, For how long
	// it must be before Prometheus alerts.
	Query string
	For   string

	// measure gives the value and whether it crosses; known is false where there
	// is too little to judge by.
	measure func(now view) (value float64, crossed, known bool)
	// each is measure's counterpart for a rule about parts, of which each has its
	// own alert: it gives those that cross.
	each func(now view) []crossing
}

// crossing is a part that is on the wrong side of a threshold.
type crossing struct {
	// subject is a field, an operation or a family of statements.
	subject string
	value   float64
}

// crossings judges what a rule is about.
func (r Rule) crossings(now view) []crossing {
	if r.each != nil {
		worst := slices.Clone(r.each(now))
		slices.SortFunc(worst, func(a, b crossing) int {
			return cmp.Or(cmp.Compare(b.value, a.value), cmp.Compare(a.subject, b.subject))
		})
		return worst
	}
	if value, crossed, known := r.measure(now); known && crossed {
		return []crossing{{value: value}}
	}
	return nil
}

// slowly gives what a meter's owner was slow at within the window.
func slowly(subject string, m *meter, slow []crossing) []crossing {
	sum := m.last(window)
	if sum.count < fewestCalls {
		return slow
	}
	if p95 := sum.quantile(.95); p95 > responseTimeLimit {
		slow = append(slow, crossing{subject, p95})
	}
	return slow
}

// view is what an alert is judged by.
type view struct {
	latest   Snapshot
	requests tally
	// hits and misses are the last minute's.
	hits, misses int64
	// recent are the latest snapshots, this one included.
	recent []Snapshot
	// slow are the parts that were.
	slow slowParts
}

// slowParts are the operations, fields and statements that were slow within the window.
type slowParts struct{ operations, fields, statements []crossing }

// least is the least value that a figure had within the window: it was above
// all that time.
func (v view) least(of func(Snapshot) float64) float64 {
	low := of(v.latest)
	for _, snapshot := range v.recent {
		low = min(low, of(snapshot))
	}
	return low
}

// Rules are all alerts that an instance raises by itself.
func Rules() []Rule {
	above := func(limit float64, of func(Snapshot) float64) func(view) (float64, bool, bool) {
		return func(v view) (float64, bool, bool) {
			value := v.least(of)
			return value, value > limit, len(v.recent) >= window
		}
	}
	down := func(of func(Snapshot) Health) func(view) (float64, bool, bool) {
		return func(v view) (float64, bool, bool) {
			health := of(v.latest)
			if health.Up {
				return 1, false, health.Configured
			}
			return 0, true, health.Configured
		}
	}
	return []Rule{
		{
			Name: "ResponseTime", Summary: "One request in twenty takes longer than 100 ms", Severity: "warning",
			Threshold: responseTimeLimit, Unit: "ms", For: "1m",
			Query: late("taskmed_request_duration_seconds", "instance"),
			measure: func(v view) (float64, bool, bool) {
				p95 := v.requests.quantile(.95)
				return p95, p95 > responseTimeLimit, v.requests.count >= fewestRequests
			},
		},
		{
			Name: "SlowOperation", Summary: "One request in twenty for this operation takes longer than 100 ms", Severity: "warning",
			Threshold: responseTimeLimit, Unit: "ms", For: "1m", Query: slowQuery("taskmed_operation_duration_seconds", "operation, type"),
			each: func(v view) []crossing { return v.slow.operations },
		},
		{
			Name: "SlowField", Summary: "One call in twenty of this field's resolver takes longer than 100 ms", Severity: "warning",
			Threshold: responseTimeLimit, Unit: "ms", For: "1m", Query: slowQuery("taskmed_field_duration_seconds", "field"),
			each: func(v view) []crossing { return v.slow.fields },
		},
		{
			Name: "SlowStatement", Summary: "One in twenty of these SQL statements takes longer than 100 ms", Severity: "warning",
			Threshold: responseTimeLimit, Unit: "ms", For: "1m", Query: slowQuery("taskmed_statement_duration_seconds", "family"),
			each: func(v view) []crossing { return v.slow.statements },
		},
		{
			Name: "Errors", Summary: "More than 2 % of the requests fail by a fault of the server's", Severity: "critical",
			Threshold: errorLimit, Unit: "ratio", For: "1m",
			Query: `sum by (instance) (rate(taskmed_requests_total{outcome="failed"}[1m])) / sum by (instance) (rate(taskmed_requests_total{outcome!="canceled"}[1m])) > 0.02`,
			measure: func(v view) (float64, bool, bool) {
				share := float64(v.requests.faults) / float64(max(v.requests.count, 1))
				return share, share > errorLimit, v.requests.count >= fewestRequests
			},
		},
		{
			Name: "Memory", Summary: "The process takes more than 85 % of the memory it may have", Severity: "critical",
			Threshold: memoryLimitShare, Unit: "ratio", For: "1m",
			Query:   `taskmed_memory_utilization_ratio > 0.85`,
			measure: above(memoryLimitShare, func(s Snapshot) float64 { return s.Process.Memory }),
		},
		{
			Name: "CacheHits", Summary: "Fewer than 80 % of the reads that may be cached are", Severity: "warning",
			Threshold: cacheHitFloor, Unit: "ratio", For: "5m",
			Query: `sum by (instance) (rate(taskmed_cache_answers_total{outcome="hit"}[5m])) / (sum by (instance) (rate(taskmed_cache_answers_total{outcome=~"hit|miss"}[5m])) > 0) < 0.8`,
			measure: func(v view) (float64, bool, bool) {
				rate := float64(v.hits) / float64(max(v.hits+v.misses, 1))
				return rate, rate < cacheHitFloor, v.hits+v.misses >= fewestReads && v.latest.Process.UptimeSeconds > warming.Seconds()
			},
		},
		{
			Name: "Pool", Summary: "More than 80 % of the connections to Postgres are in use", Severity: "warning",
			Threshold: poolLimit, Unit: "ratio", For: "1m",
			Query:   `taskmed_pool_connections_in_use / taskmed_pool_connections_max > 0.8`,
			measure: above(poolLimit, func(s Snapshot) float64 { return s.Pool.Utilization }),
		},
		{
			Name: "CPU", Summary: "The process uses more than 80 % of its processors", Severity: "warning",
			Threshold: cpuLimit, Unit: "ratio", For: "1m",
			Query:   `taskmed_cpu_utilization_ratio > 0.8`,
			measure: above(cpuLimit, func(s Snapshot) float64 { return s.Process.CPU }),
		},
		{
			Name: "Postgres", Summary: "Postgres does not answer", Severity: "critical", Threshold: 1, Unit: "up", For: "15s",
			Query: `taskmed_postgres_up == 0`, measure: down(func(s Snapshot) Health { return s.Postgres }),
		},
		{
			Name: "Redis", Summary: "Redis does not answer", Severity: "warning", Threshold: 1, Unit: "up", For: "15s",
			Query: `taskmed_redis_up == 0`, measure: down(func(s Snapshot) Health { return s.Redis }),
		},
	}
}

// slowQuery is the same for one part of the work each, told apart by labels; a
// part that is hardly asked for tells nothing.
func slowQuery(metric, labels string) string {
	return late(metric, "instance, "+labels) + fmt.Sprintf(" and sum by (instance, %s) (rate(%s_count[1m])) > 0.2", labels, metric)
}

// late is true where one in twenty exceeds the limit, which is one of the
// histograms' bounds.
func late(metric, labels string) string {
	return fmt.Sprintf(`1 - sum by (%[2]s) (rate(%[1]s_bucket{le="%[3]g"}[1m])) / sum by (%[2]s) (rate(%[1]s_count[1m])) > 0.05`,
		metric, labels, time.Duration(allowed).Seconds())
}

// watch is what is known of the alerts. It is the sampler's alone.
type watch struct {
	rules []Rule
	// active are the alerts of each rule by what they are about.
	active map[string]map[string]*lasting
	recent []Alert
}

// lasting is an active alert and for how many intervals it has not been crossed.
type lasting struct {
	Alert

	quiet int
}

func newWatch() *watch {
	w := &watch{rules: Rules(), active: map[string]map[string]*lasting{}}
	for _, rule := range w.rules {
		w.active[rule.Name] = map[string]*lasting{}
	}
	return w
}

// judge holds the latest figures against every rule; it gives the state and
// the alerts that have just begun or ended.
func (w *watch) judge(now view) (Alerts, []Alert) {
	changed := []Alert{}
	state := Alerts{Active: []Alert{}}
	for _, rule := range w.rules {
		active := w.active[rule.Name]
		for _, alert := range active {
			alert.quiet++
		}
		for _, found := range rule.crossings(now) {
			if alert, lasts := active[found.subject]; lasts {
				alert.Value, alert.quiet = found.value, 0
			} else if len(active) < mostOfRule {
				alert := Alert{
					Name: rule.Name, Subject: found.subject, Summary: rule.Summary, Severity: rule.Severity,
					Value: found.value, Threshold: rule.Threshold, Unit: rule.Unit, Since: now.latest.At,
				}
				active[found.subject] = &lasting{Alert: alert}
				changed = append(changed, alert)
			}
		}
		for _, subject := range slices.Sorted(maps.Keys(active)) {
			if alert := active[subject]; alert.quiet < calm {
				state.Active = append(state.Active, alert.Alert)
			} else {
				delete(active, subject)
				changed = append(changed, w.end(alert.Alert, now.latest.At))
			}
		}
	}
	for len(w.recent) > maxRecent || len(w.recent) > 0 && now.latest.At.Sub(*w.recent[len(w.recent)-1].Until) > Kept {
		w.recent = w.recent[:len(w.recent)-1]
	}
	state.Recent = append([]Alert{}, w.recent...)
	return state, changed
}

func (w *watch) end(alert Alert, at time.Time) Alert {
	alert.Until = &at
	w.recent = append([]Alert{alert}, w.recent...)
	return alert
}

// tell logs what began and what ended, and sends it to the webhook.
func (t *Telemetry) tell(ctx context.Context, changed []Alert) {
	for _, alert := range changed {
		state, level := "active", slog.LevelWarn
		if alert.Until != nil {
			state, level = "ended", slog.LevelInfo
		}
		t.metrics.alerts.WithLabelValues(alert.Name).Set(float64(len(t.watch.active[alert.Name])))
		t.log.LogAttrs(ctx, level, "alert", slog.String("alert", alert.Name), slog.String("subject", alert.Subject), slog.String("state", state),
			slog.String("severity", alert.Severity), slog.String("summary", alert.Summary),
			slog.Float64("value", alert.Value), slog.Float64("threshold", alert.Threshold), slog.String("unit", alert.Unit))
		if t.webhook != nil {
			t.webhook.send(alert)
		}
	}
}
