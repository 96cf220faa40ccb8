package telemetry

import (
	"strings"

	"github.com/taskmed/taskmed/internal/telemetry/alerts"
	"github.com/taskmed/taskmed/internal/telemetry/logs"
	"github.com/taskmed/taskmed/internal/telemetry/traces"
)

// Markdown is docs/observability.md. Each room writes its own part.
func (t *Telemetry) Markdown() []byte {
	return []byte(strings.Join([]string{introduction, t.catalog.Markdown(), logs.Markdown(), alerts.Markdown(), traces.Markdown()}, "\n"))
}

const introduction = `# Seeing what the server does

This page is written by ` + "`make generate`" + ` from internal/telemetry, which defines what it lists.

Everything is on the admin listener (` + "`TASKMED_ADMIN_ADDR`" + `, loopback unless told otherwise): ` + "`/metrics`" + ` for Prometheus, ` + "`/dashboard`" + ` for people, who need neither Prometheus nor Grafana for it (an operation, a field or a family of statements opens to show where its time went, and Postgres' plans), and ` + "`/debug/pprof/`" + `. ` + "`TASKMED_METRICS=off`" + ` switches metrics, dashboard, alerts and traces off. deploy/prometheus has Prometheus' rules, deploy/grafana dashboards for Grafana; ` + "`docker compose -f deploy/compose.observability.yml up`" + ` starts both, set up.

No metric, log line or span holds a value of a patient's: labels and names come from the schema, the registered operations and the code's own SQL.
`
