package alerts

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
	"github.com/taskmed/taskmed/internal/telemetry/metrics"
)

// Watch is what is known of an instance's alerts. It is the sampler's alone.
type Watch struct {
	rules []Rule
	// active are the alerts of each rule by what they are about.
	active map[string]map[string]*lasting
	recent []dashboard.Alert
	// figures are the catalog's that rules judge.
	figures *figures

	log     *slog.Logger
	gauges  *prometheus.GaugeVec
	webhook *webhook
}

// lasting is an active alert and for how many intervals it has not been crossed.
type lasting struct {
	dashboard.Alert

	quiet int
}

// New watches by all rules. webhook is an address that is posted every alert that begins
// or ends, as JSON; it may be empty.
func New(ctx context.Context, catalog *metrics.Catalog, log *slog.Logger, webhook string) *Watch {
	w := &Watch{
		rules: Rules(), active: map[string]map[string]*lasting{}, figures: newFigures(catalog), log: log,
		gauges: catalog.Gauges("taskmed_alert_active", "How many alerts of a name this instance has active.", "alert"),
	}
	for _, rule := range w.rules {
		w.active[rule.Name] = map[string]*lasting{}
		w.gauges.WithLabelValues(rule.Name)
	}
	if webhook != "" {
		w.webhook = newWebhook(ctx, webhook, log)
	}
	return w
}

// Close ends the webhook.
func (w *Watch) Close() {
	if w.webhook != nil {
		w.webhook.close()
	}
}

// Judge holds the latest figures against every rule; it gives the state and
// the alerts that have just begun or ended.
func (w *Watch) Judge(now Judged) (dashboard.Alerts, []dashboard.Alert) {
	changed := []dashboard.Alert{}
	state := dashboard.Alerts{Active: []dashboard.Alert{}}
	w.figures.read()
	now.figures = w.figures
	for _, rule := range w.rules {
		active := w.active[rule.Name]
		for _, alert := range active {
			alert.quiet++
		}
		for _, found := range rule.crossings(now) {
			if alert, lasts := active[found.Subject]; lasts {
				alert.Value, alert.quiet = found.Value, 0
			} else if len(active) < MostOfRule {
				alert := dashboard.Alert{
					Name: rule.Name, Subject: found.Subject, Summary: rule.Summary, Severity: rule.Severity,
					Value: found.Value, Threshold: rule.Threshold, Unit: rule.Unit, Since: now.Latest.At,
				}
				active[found.Subject] = &lasting{Alert: alert}
				changed = append(changed, alert)
			}
		}
		for _, subject := range slices.Sorted(maps.Keys(active)) {
			if alert := active[subject]; alert.quiet < Calm {
				state.Active = append(state.Active, alert.Alert)
			} else {
				delete(active, subject)
				changed = append(changed, w.end(alert.Alert, now.Latest.At))
			}
		}
	}
	for len(w.recent) > maxRecent || len(w.recent) > 0 && now.Latest.At.Sub(*w.recent[len(w.recent)-1].Until) > dashboard.Kept {
		w.recent = w.recent[:len(w.recent)-1]
	}
	state.Recent = append([]dashboard.Alert{}, w.recent...)
	return state, changed
}

func (w *Watch) end(alert dashboard.Alert, at time.Time) dashboard.Alert {
	alert.Until = &at
	w.recent = append([]dashboard.Alert{alert}, w.recent...)
	return alert
}

// Tell logs what began and what ended, and sends it to the webhook.
func (w *Watch) Tell(ctx context.Context, changed []dashboard.Alert) {
	for _, alert := range changed {
		state, level := "active", slog.LevelWarn
		if alert.Until != nil {
			state, level = "ended", slog.LevelInfo
		}
		w.gauges.WithLabelValues(alert.Name).Set(float64(len(w.active[alert.Name])))
		w.log.LogAttrs(ctx, level, "alert", slog.String("alert", alert.Name), slog.String("subject", alert.Subject), slog.String("state", state),
			slog.String("severity", alert.Severity), slog.String("summary", alert.Summary),
			slog.Float64("value", alert.Value), slog.Float64("threshold", alert.Threshold), slog.String("unit", alert.Unit))
		if w.webhook != nil {
			w.webhook.send(alert)
		}
	}
}
