// Package alerts tells when something is wrong: each instance judges its own figures at
// the end of every interval, and Prometheus judges the same thresholds and the objective.
//
//   - A Rule is a threshold, with what measures it here and the query that asks
//     Prometheus the same (rules.go; of what waits, queues.go). Judged is what the rules are
//     held against (judged.go), other parts' metrics among it (figures.go).
//   - The Watch remembers which alerts last, and tells what began and what ended: in the
//     log, as a metric, and to the operator's webhook (watch.go, webhook.go).
//   - The rules for Prometheus are deploy/prometheus/rules.yml (prometheus.go).
//
// It imports metrics and dashboard, never the other way: what is counted does not know
// what is thought of it.
package alerts
