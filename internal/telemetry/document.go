package telemetry

import (
	"fmt"
	"slices"
	"strings"
)

// LogField is a field of the log's lines.
type LogField struct {
	// Lines names the lines that have it, by their messages; "every" for all of
	// a request's.
	Lines, Name, Meaning string
}

// LogFields are all fields that lines about requests have.
func LogFields() []LogField {
	return []LogField{
		{"every", "time, level, msg", "when, how grave, and which line it is"},
		{"every", "request_id", "the request's name, as X-Request-Id tells the client"},
		{"every", "trace_id", "the request's trace (W3C), where it is traced"},
		{"request, fault, panic, slow operation", "clinic_id", "the clinic it was for, where that is known"},
		{"request, fault, panic, slow operation", "operation", "the operation's name; in slow operation the registered one, or other"},
		{"request", "method", "GET or POST"},
		{"request", "status", "the HTTP status"},
		{"request", "errors", "how many GraphQL errors the answer has"},
		{"request", "bytes", "the answer's length"},
		{"request", "cost", "the operation's cost"},
		{"request", "statements", "SQL statements that were run for it"},
		{"request", "cache", "what the cache did and why, as in Cache-Status"},
		{"request, slow operation", "took", "nanoseconds from the first header to the last byte"},
		{"slow operation", "type", "query or mutation"},
		{"slow operation", "fields", "where the time went: the resolvers that took most, with count and total_ms"},
		{"slow operation", "sql", "where the time went: the statements that took most, without values or columns"},
		{"fault, panic", "path", "the field it happened at"},
		{"fault", "what, error", "what went wrong, in the words of the code that noticed"},
		{"panic", "reason, stack", "the panic's type, and where"},
		{"alert", "alert, state, severity, summary", "which threshold was crossed (active) or is no longer (ended)"},
		{"alert", "subject", "the operation, field or family of statements it is about, or empty"},
		{"alert", "value, threshold, unit", "by how much"},
	}
}

// Markdown is docs/observability.md.
func (t *Telemetry) Markdown() []byte {
	var text strings.Builder
	text.WriteString(introduction)
	text.WriteString("\n## Metrics\n\n| name | kind | labels | what |\n|---|---|---|---|\n")
	sorted := t.Metrics()
	slices.SortFunc(sorted, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range sorted {
		labels := strings.Join(m.Labels, ", ")
		if labels != "" {
			labels = "`" + strings.Join(m.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s |\n", m.Name, m.Kind, labels, m.Help)
	}
	fmt.Fprintf(&text, boundsOfMetrics, maxOperations, maxFamilies, maxClinics)
	text.WriteString("`kind` is one of " + list(kinds()) + " or `other`; `reason` one of " + list(append([]string{"hit"}, cacheReasons()...)) + " or `other`.\n")
	text.WriteString("\n## Log\n\n" + logging + "\n| line | field | what |\n|---|---|---|\n")
	for _, field := range LogFields() {
		fmt.Fprintf(&text, "| %s | `%s` | %s |\n", field.Lines, strings.ReplaceAll(field.Name, ", ", "`, `"), field.Meaning)
	}
	text.WriteString("\n## Alerts\n\n" + alerting + "\n| alert | threshold | severity | what | in Prometheus after |\n|---|---|---|---|---|\n")
	for _, rule := range Rules() {
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s | %s |\n", rule.Name, thresholdOf(rule), rule.Severity, rule.Summary, rule.For)
	}
	text.WriteString("\n" + objectives + "\n| burning | over | and over | severity | uses up |\n|---|---|---|---|---|\n")
	for _, b := range burns() {
		fmt.Fprintf(&text, "| %g times | %s | %s | %s | %s |\n", b.rate, b.long, b.short, b.severity, b.spent)
	}
	text.WriteString("\n" + tracing)
	return []byte(text.String())
}

func thresholdOf(rule Rule) string {
	switch rule.Unit {
	case "ms":
		return fmt.Sprintf("%g ms", rule.Threshold)
	case "ratio":
		return fmt.Sprintf("%g %%", rule.Threshold*100)
	default:
		return "no answer"
	}
}

func list(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

const introduction = `# Seeing what the server does

This page is written by ` + "`make generate`" + ` from internal/telemetry, which defines what it lists.

Everything is on the admin listener (` + "`TASKMED_ADMIN_ADDR`" + `, loopback unless told otherwise): ` + "`/metrics`" + ` for Prometheus, ` + "`/dashboard`" + ` for people, who need neither Prometheus nor Grafana for it (an operation, a field or a family of statements opens to show where its time went, and Postgres' plans), and ` + "`/debug/pprof/`" + `. ` + "`TASKMED_METRICS=off`" + ` switches metrics, dashboard, alerts and traces off. deploy/prometheus has Prometheus' rules, deploy/grafana dashboards for Grafana; ` + "`docker compose -f deploy/compose.observability.yml up`" + ` starts both, set up.

No metric, log line or span holds a value of a patient's: labels and names come from the schema, the registered operations and the code's own SQL.
`

const boundsOfMetrics = `
Histograms have classic buckets and native ones; one of the classic bounds is the alerts' 0.1 s to the nanosecond, while what an instance judges by itself is within a tenth. Where a request is traced, the observations of it, its operation and its statements carry the trace's id as an exemplar. Clients cannot add series: ` + "`field`" + ` is a field of the schema that has a resolver, ` + "`operation`" + ` a registered operation or one of the playground's examples (%d at most), ` + "`family`" + ` a verb and the tables of one of the code's own statements (%d at most), ` + "`clinic`" + ` one of the first %d clinics that were seen; all else is ` + "`other`" + `.
`

const logging = `One line of JSON each, on standard error. Every request has a line ` + "`request`" + ` (level info); one that takes longer than 100 ms has a line ` + "`slow operation`" + ` (warn) beside it.
`

const alerting = `Every instance judges these by itself every 5 s, by what it saw in the last 10 s (the cache by the last minute). An alert that begins or ends is a line ` + "`alert`" + ` in the log, shows on the dashboard, sets ` + "`taskmed_alert_active`" + `, and is posted as JSON to ` + "`TASKMED_ALERT_WEBHOOK`" + `. It ends after 30 s below its threshold. ` + "`" + `SlowOperation` + "`" + `, ` + "`" + `SlowField` + "`" + ` and ` + "`" + `SlowStatement` + "`" + ` name what they are about as their ` + "`" + `subject` + "`" + `: from five calls on, and ten at a time at most. deploy/prometheus/rules.yml has the same thresholds, as ` + "`TaskMedResponseTime`" + ` and so on, and ` + "`TaskMedDown`" + `.
`

const objectives = `Prometheus also watches the objective that 99.9 % of the requests do not fail by a fault of the server's. ` + "`TaskMedErrorBudgetBurn…`" + ` says how fast the errors that it allows are being used up:
`

const tracing = `## Traces

Off unless ` + "`OTEL_EXPORTER_OTLP_ENDPOINT`" + ` names a collector (OTLP over HTTP, as ` + "`http://localhost:4318`" + `). ` + "`OTEL_TRACES_SAMPLER_ARG`" + ` is the share of requests that are traced, 0.1 by default; a client's own ` + "`traceparent`" + ` is continued, but whether a request is traced is decided here. A traced answer names its span in ` + "`traceresponse`" + `. What is not traced costs nothing: no span, no allocation.

| span | attributes |
|---|---|
| ` + "`query DayView`" + `: a request, by its operation's type and registered name | ` + "`http.request.method`, `http.response.status_code`, `graphql.operation.type`, `graphql.operation.name`, `taskmed.clinic_id`, `taskmed.statements`, `taskmed.cache`, `taskmed.cache_reason`" + ` |
| ` + "`cache`" + `: the look-up, and what is computed where it is a miss | ` + "`taskmed.cache.outcome`" + ` (hit, miss, shared, bypass), ` + "`taskmed.cache.tier`, `taskmed.cache.reason`, `taskmed.cache.stored`" + ` |
| ` + "`execute`" + `: the operation is run | |
| ` + "`load Contact.appointments`" + `: a field is fetched for all parents at once, by the look-ahead; ` + "`load contacts`" + `: by a data loader | ` + "`taskmed.loader`, `taskmed.loader.keys`" + ` |
| ` + "`select appointments`" + `: a SQL statement, by its family | ` + "`db.system.name`, `db.query.summary`, `db.query.text`" + ` (without values or columns) |
| ` + "`redis HGET`, `redis pipeline`" + `: commands to Redis | ` + "`db.system.name`, `db.operation.name`, `db.operation.batch.size`" + `, no keys and no arguments |
`
