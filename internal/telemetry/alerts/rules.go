package alerts

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
	"github.com/taskmed/taskmed/internal/telemetry/metrics"
)

// The thresholds that clinics' operators know. A duration is in milliseconds,
// the others are shares.
const (
	responseTimeLimit = float64(metrics.Limit) / float64(time.Millisecond)
	errorLimit        = 0.02
	memoryLimitShare  = 0.85
	cacheHitFloor     = 0.80
	poolLimit         = 0.80
	cpuLimit          = 0.80
	// objective is the share of requests that are to succeed.
	objective = 0.999
)

const (
	// Window is how many intervals an alert is judged by: whatever begins is
	// seen within three.
	Window = 2
	// Calm is how many intervals without a crossing end an alert.
	Calm = 6
	// FewestRequests is how many tell something.
	FewestRequests = 10
	// FewestCalls is the same of one part.
	FewestCalls = 5
	fewestReads = 50
	// warming is how long after its start a cache may still be cold.
	warming = time.Minute
	// maxRecent bounds the alerts that are remembered.
	maxRecent = 100
	// MostOfRule bounds the alerts that one rule has active: where everything is slow,
	// a few names say as much as all.
	MostOfRule = 10
)

// Rule is a threshold, as docs/observability.md and the rules for Prometheus have it.
type Rule struct {
	Name, Summary, Severity string
	Threshold               float64
	// Unit is "ms", "s", "ratio", "times" or "up".
	Unit string
	// Query is PromQL that is true where the threshold is crossed, For how long
	// it must be before Prometheus alerts.
	Query string
	For   string

	// measure gives the value and whether it crosses; known is false where there
	// is too little to judge by.
	measure func(now Judged) (value float64, crossed, known bool)
	// each is measure's counterpart for a rule about parts, of which each has its
	// own alert: it gives those that cross.
	each func(now Judged) []Crossing
}

// Crossing is a part that is on the wrong side of a threshold.
type Crossing struct {
	// Subject is a field, an operation, a family of statements or a channel.
	Subject string
	Value   float64
}

// crossings judges what a rule is about.
func (r Rule) crossings(now Judged) []Crossing {
	if r.each != nil {
		worst := slices.Clone(r.each(now))
		slices.SortFunc(worst, func(a, b Crossing) int {
			return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Subject, b.Subject))
		})
		return worst
	}
	if value, crossed, known := r.measure(now); known && crossed {
		return []Crossing{{Value: value}}
	}
	return nil
}

// Rules are all alerts that an instance raises by itself.
func Rules() []Rule {
	above := func(limit float64, of func(dashboard.Snapshot) float64) func(Judged) (float64, bool, bool) {
		return func(v Judged) (float64, bool, bool) {
			value := v.least(of)
			return value, value > limit, len(v.recent) >= Window
		}
	}
	down := func(of func(dashboard.Snapshot) dashboard.Health) func(Judged) (float64, bool, bool) {
		return func(v Judged) (float64, bool, bool) {
			health := of(v.Latest)
			if health.Up {
				return 1, false, health.Configured
			}
			return 0, true, health.Configured
		}
	}
	return append([]Rule{
		{
			Name: "ResponseTime", Summary: "One request in twenty takes longer than 100 ms", Severity: "warning",
			Threshold: responseTimeLimit, Unit: "ms", For: "1m",
			Query: late("taskmed_request_duration_seconds", "instance"),
			measure: func(v Judged) (float64, bool, bool) {
				p95 := v.Requests.Quantile(.95)
				return p95, p95 > responseTimeLimit, v.Requests.Count >= FewestRequests
			},
		},
		{
			Name: "SlowOperation", Summary: "One request in twenty for this operation takes longer than 100 ms", Severity: "warning",
			Threshold: responseTimeLimit, Unit: "ms", For: "1m", Query: slowQuery("taskmed_operation_duration_seconds", "operation, type"),
			each: func(v Judged) []Crossing { return v.Operations },
		},
		{
			Name: "SlowField", Summary: "One call in twenty of this field's resolver takes longer than 100 ms", Severity: "warning",
			Threshold: responseTimeLimit, Unit: "ms", For: "1m", Query: slowQuery("taskmed_field_duration_seconds", "field"),
			each: func(v Judged) []Crossing { return v.Fields },
		},
		{
			Name: "SlowStatement", Summary: "One in twenty of these SQL statements takes longer than 100 ms", Severity: "warning",
			Threshold: responseTimeLimit, Unit: "ms", For: "1m", Query: slowQuery("taskmed_statement_duration_seconds", "family"),
			each: func(v Judged) []Crossing { return v.Statements },
		},
		{
			Name: "Errors", Summary: "More than 2 % of the requests fail by a fault of the server's", Severity: "critical",
			Threshold: errorLimit, Unit: "ratio", For: "1m",
			Query: `sum by (instance) (rate(taskmed_requests_total{outcome="failed"}[1m])) / sum by (instance) (rate(taskmed_requests_total{outcome!="canceled"}[1m])) > 0.02`,
			measure: func(v Judged) (float64, bool, bool) {
				share := float64(v.Requests.Faults) / float64(max(v.Requests.Count, 1))
				return share, share > errorLimit, v.Requests.Count >= FewestRequests
			},
		},
		{
			Name: "Memory", Summary: "The process takes more than 85 % of the memory it may have", Severity: "critical",
			Threshold: memoryLimitShare, Unit: "ratio", For: "1m",
			Query:   `taskmed_memory_utilization_ratio > 0.85`,
			measure: above(memoryLimitShare, func(s dashboard.Snapshot) float64 { return s.Process.Memory }),
		},
		{
			Name: "CacheHits", Summary: "Fewer than 80 % of the reads that may be cached are", Severity: "warning",
			Threshold: cacheHitFloor, Unit: "ratio", For: "5m",
			Query: `sum by (instance) (rate(taskmed_cache_answers_total{outcome="hit"}[5m])) / (sum by (instance) (rate(taskmed_cache_answers_total{outcome=~"hit|miss"}[5m])) > 0) < 0.8`,
			measure: func(v Judged) (float64, bool, bool) {
				rate := float64(v.hits) / float64(max(v.hits+v.misses, 1))
				return rate, rate < cacheHitFloor, v.hits+v.misses >= fewestReads && v.Latest.Process.UptimeSeconds > warming.Seconds()
			},
		},
		{
			Name: "Pool", Summary: "More than 80 % of the connections to Postgres are in use", Severity: "warning",
			Threshold: poolLimit, Unit: "ratio", For: "1m",
			Query:   `taskmed_pool_connections_in_use / taskmed_pool_connections_max > 0.8`,
			measure: above(poolLimit, func(s dashboard.Snapshot) float64 { return s.Pool.Utilization }),
		},
		{
			Name: "CPU", Summary: "The process uses more than 80 % of its processors", Severity: "warning",
			Threshold: cpuLimit, Unit: "ratio", For: "1m",
			Query:   `taskmed_cpu_utilization_ratio > 0.8`,
			measure: above(cpuLimit, func(s dashboard.Snapshot) float64 { return s.Process.CPU }),
		},
		{
			Name: "Postgres", Summary: "Postgres does not answer", Severity: "critical", Threshold: 1, Unit: "up", For: "15s",
			Query: `taskmed_postgres_up == 0`, measure: down(func(s dashboard.Snapshot) dashboard.Health { return s.Postgres }),
		},
		{
			Name: "Redis", Summary: "Redis does not answer", Severity: "warning", Threshold: 1, Unit: "up", For: "15s",
			Query: `taskmed_redis_up == 0`, measure: down(func(s dashboard.Snapshot) dashboard.Health { return s.Redis }),
		},
	}, queues()...)
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
		metric, labels, metrics.Limit.Seconds())
}
