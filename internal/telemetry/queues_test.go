package telemetry

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/telemetry/alerts"
)

// queued are metrics as the parts that have queues register them.
type queued struct {
	events, webhooks, waiting, store, removals prometheus.Gauge
	messages, posts                            *prometheus.GaugeVec
	attempts, understood, kept                 *prometheus.CounterVec
	pauses                                     prometheus.Counter
}

func newQueued(t *Telemetry) *queued {
	gauge := func(name string, labels ...string) *prometheus.GaugeVec {
		made := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: "x"}, labels)
		t.Registerer().MustRegister(made)
		return made
	}
	counter := func(name string, labels ...string) *prometheus.CounterVec {
		made := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: "x"}, labels)
		t.Registerer().MustRegister(made)
		return made
	}
	q := &queued{
		events: gauge("taskmed_outbox_oldest_waiting_seconds").WithLabelValues(), webhooks: gauge("taskmed_webhook_oldest_overdue_seconds").WithLabelValues(),
		waiting: gauge("taskmed_webhook_deliveries_waiting").WithLabelValues(), store: gauge("taskmed_attachments_store_up").WithLabelValues(),
		removals: gauge("taskmed_attachment_removals_oldest_waiting_seconds").WithLabelValues(),
		messages: gauge("taskmed_messages_oldest_waiting_seconds", "channel", "direction"), posts: gauge("taskmed_channel_posts_overdue_seconds", "channel"),
		attempts: counter("taskmed_webhook_attempts_total", "outcome"), understood: counter("taskmed_channel_posts_total", "channel", "outcome"),
		pauses: counter("taskmed_webhook_pauses_total").WithLabelValues(), kept: counter("taskmed_maintenance_runs_total", "outcome"),
	}
	q.store.Set(1)
	return q
}

func TestAlerts_TellWhatWaitsTooLong(t *testing.T) {
	t.Parallel()
	telemetry := newTelemetry(t.Context(), Config{Now: ticking()})
	q := newQueued(telemetry)
	active := func() []string {
		names := []string{}
		for _, alert := range telemetry.sample(t.Context()).Alerts.Active {
			names = append(names, alert.Name+" "+alert.Subject)
		}
		return names
	}
	set := func(seconds float64) {
		q.events.Set(30 * seconds)
		q.webhooks.Set(300 * seconds)
		q.messages.WithLabelValues("whatsapp", "out").Set(300 * seconds)
		q.messages.WithLabelValues("email", "out").Set(1)
		q.messages.WithLabelValues("whatsapp", "in").Set(3000 * seconds) // a receipt of nobody's, say
		q.posts.WithLabelValues("web").Set(60 * seconds)
		q.removals.Set(10_800 * seconds)
	}
	set(1)
	for range alerts.Window + 1 {
		require.Empty(t, active(), "at its threshold nothing is told")
	}
	set(1.01)
	q.store.Set(0)
	require.Equal(t, []string{"AttachmentsStore "}, active(), "one look may be chance")
	require.Equal(t, []string{"EventsWait ", "WebhooksWait ", "MessagesWait whatsapp", "PostsWait web", "AttachmentsStore ", "AttachmentsStay "}, active())
	set(0)
	q.store.Set(1)
	for range alerts.Window + alerts.Calm {
		active()
	}
	require.Empty(t, active())
}

func TestAlerts_TellWhatIsNotToHappen(t *testing.T) {
	t.Parallel()
	telemetry := newTelemetry(t.Context(), Config{Now: ticking()})
	q := newQueued(telemetry)
	q.pauses.Add(3)
	q.kept.WithLabelValues("failed").Add(2)
	active := func() map[string]float64 {
		found := map[string]float64{}
		for _, alert := range telemetry.sample(t.Context()).Alerts.Active {
			found[alert.Name+" "+alert.Subject] = alert.Value
		}
		return found
	}
	quarter := func() {
		for range 15*60/5 + alerts.Calm {
			active()
		}
	}
	require.Empty(t, active(), "what was before the first look is not new")
	q.pauses.Inc()
	q.understood.WithLabelValues("whatsapp", "given_up").Add(2)
	q.understood.WithLabelValues("email", "unknown").Add(5)
	q.understood.WithLabelValues("email", "put_off").Add(5)
	require.Equal(t, map[string]float64{"WebhookPaused ": 1, "PostsGivenUp whatsapp": 2}, active())
	q.understood.WithLabelValues("whatsapp", "given_up").Inc()
	q.kept.WithLabelValues("failed").Inc()
	q.kept.WithLabelValues("done").Add(7)
	require.Equal(t, map[string]float64{"WebhookPaused ": 1, "PostsGivenUp whatsapp": 3, "MaintenanceFailed ": 1}, active())
	quarter()
	require.Empty(t, active(), "a quarter of an hour later it is no news")

	q.attempts.WithLabelValues("delivered").Add(0)
	q.attempts.WithLabelValues("failed").Add(9)
	q.waiting.Set(4)
	active()
	require.Empty(t, active(), "a few attempts tell nothing")
	q.attempts.WithLabelValues("failed").Inc()
	require.Equal(t, map[string]float64{"WebhooksInVain ": 10}, active())
	q.attempts.WithLabelValues("delivered").Inc()
	for range alerts.Calm {
		active()
	}
	require.Empty(t, active(), "somebody takes them")
	quarter()
	q.attempts.WithLabelValues("failed").Add(20)
	q.waiting.Set(0)
	require.Empty(t, active(), "nothing waits")
}
