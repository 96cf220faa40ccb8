package app_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/telemetry/alerts"
	"github.com/taskmed/taskmed/internal/telemetry/metrics"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
)

// waitsFor finds metrics of what waits, by their names or what they say of themselves.
var waitsFor = regexp.MustCompile(`(?i)wait|queue|pending|paused|oldest|overdue|behind|backlog|\b(due|left)\b|_left_`)

// judgedElsewhere are such metrics that no alert reads, and what does for each: another
// metric that one reads, or a reason.
var judgedElsewhere = map[string]string{ //nolint:gochecknoglobals // a table
	"taskmed_messages_waiting":         "taskmed_messages_oldest_waiting_seconds",
	"taskmed_webhook_endpoints_paused": "taskmed_webhook_pauses_total",
	"taskmed_waitlist_entries_waiting": "patients wait for a free time, which no server owes them",
	"taskmed_pool_connections_idle":    "connections wait for work, not work for them",
	"taskmed_maintenance_left_tasks":   "the owner's own run does them, from cron, where servers have no TASKMED_MAINTAIN_URL",
}

// asks tells whether an alert reads a metric.
func asks(name string) bool {
	asked := regexp.MustCompile(`\b` + name + `(_(bucket|sum|count))?\b`)
	return slices.ContainsFunc(alerts.Rules(), func(rule alerts.Rule) bool { return asked.MatchString(rule.Query) })
}

// unwatched are the gauges of what waits that no alert reads, and for which nothing else does.
func unwatched(all []metrics.Metric) (names []string) {
	for _, metric := range all {
		if metric.Kind == "gauge" && waitsFor.MatchString(metric.Name+" "+metric.Help) && !asks(metric.Name) && judgedElsewhere[metric.Name] == "" {
			names = append(names, metric.Name)
		}
	}
	return names
}

// A queue that nobody watches grows until somebody complains.
func TestAlerts_ReadWhateverWaits(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	telemetry := api.NewServer(t, d, api.WithRedis(d), api.WithOutbox()).App.Telemetry()
	all := telemetry.Metrics()
	require.Empty(t, unwatched(all), "each needs a rule in internal/telemetry/alerts, or a reason here")

	there := map[string]metrics.Metric{}
	for _, metric := range all {
		there[metric.Name] = metric
	}
	name := regexp.MustCompile(`taskmed_[a-z_]+`)
	for _, rule := range alerts.Rules() {
		for _, asked := range name.FindAllString(rule.Query, -1) {
			base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(asked, "")
			_, has := there[asked]
			_, histogram := there[base]
			require.True(t, has || histogram, "%s asks for %s", rule.Name, asked)
		}
	}
	for of, by := range judgedElsewhere {
		require.Contains(t, there, of, "it is no metric any more")
		require.False(t, asks(of), "%s has an alert by now", of)
		if strings.HasPrefix(by, "taskmed_") {
			require.True(t, asks(by), "%s: %s", of, by)
		}
	}

	// The control: somebody forgets.
	for _, forgotten := range []prometheus.GaugeOpts{
		{Name: "taskmed_planted_waiting", Help: "Things."}, {Name: "taskmed_planted_things", Help: "Things that wait to be done."},
	} {
		telemetry.Registerer().MustRegister(prometheus.NewGauge(forgotten))
	}
	telemetry.Registerer().MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "taskmed_planted_size", Help: "How large something is."}))
	require.Equal(t, []string{"taskmed_planted_waiting", "taskmed_planted_things"}, unwatched(telemetry.Metrics()))
}
