package messaging_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/messaging"
)

// figures are a registry's, by name and labels' values.
func figures(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	all := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			all[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return all
}

func TestMetrics_TellWhatWaitsAndWhatCameOfIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	chat, wrong := d.start(t, 0, "WHATSAPP", "sem conta")
	require.Empty(t, wrong)
	registry := prometheus.NewPedanticRegistry()
	counted := messaging.NewMetrics(registry)
	worker := messaging.NewWorker(d.talk, messaging.WorkerConfig{Backoff: func(int) time.Duration { return time.Millisecond }, Counted: counted})
	d.settle(t, worker)
	_, path := d.whatsapp(t)
	d.graph.refuse(`429 {"error":{"message":"slow down","code":130429}}`, `400 {"error":{"message":"no such user","code":131026}}`, `502 <html>`)
	for n := range 3 {
		_, wrong := d.send(t, chat.ID, fmt.Sprint("n", n))
		require.Empty(t, wrong)
	}
	require.Equal(t, http.StatusOK, d.post(t, path, wrote("wamid.good", "5511987654321", "BR.9", "oi", time.Now().Unix())))
	require.Equal(t, http.StatusOK, d.post(t, path, status("wamid.nobody's", "delivered", 1)))
	d.settle(t, worker)
	got := figures(t, registry)
	for name, want := range map[string]float64{
		"taskmed_messages_sent_total whatsapp failed": 2, "taskmed_messages_sent_total whatsapp put_off": 1, "taskmed_messages_sent_total whatsapp unknown": 1,
		"taskmed_messages_sent_total whatsapp sent": 1, "taskmed_messages_sent_total whatsapp given_up": 0, "taskmed_messages_sent_total email sent": 0,
		"taskmed_channel_posts_total whatsapp understood": 1, "taskmed_channel_posts_total whatsapp put_off": 9, "taskmed_channel_posts_total whatsapp unknown": 1, "taskmed_channel_posts_total whatsapp given_up": 0,
	} {
		value, there := got[name]
		require.True(t, there, name)
		require.InDelta(t, want, value, 0, name)
	}

	// What waits, and nobody works on.
	d.Exec(t, "UPDATE channel_accounts SET next_send_at = now() + interval '1 hour'")
	for n := range 2 {
		_, wrong := d.send(t, chat.ID, fmt.Sprint("later", n))
		require.Empty(t, wrong)
	}
	d.Exec(t, "UPDATE outgoing_messages SET created_at = now() - interval '90 seconds', due_at = now() + interval '1 hour'")
	require.Equal(t, http.StatusOK, d.post(t, path, wrote("wamid.waits", "5511987654321", "BR.9", "oi", time.Now().Unix())))
	d.Exec(t, "UPDATE channel_events SET due_at = now() + interval '1 hour' WHERE due_at IS NOT NULL")
	require.NoError(t, worker.Beside(t.Context(), func() error {
		require.Eventually(t, func() bool { return figures(t, registry)["taskmed_messages_waiting whatsapp out"] == 2 }, time.Minute, 5*time.Millisecond)
		return nil
	}))
	got = figures(t, registry)
	require.InDelta(t, 1, got["taskmed_messages_waiting whatsapp in"], 0)
	require.InDelta(t, 0, got["taskmed_messages_waiting email out"], 0)
	require.GreaterOrEqual(t, got["taskmed_messages_oldest_waiting_seconds whatsapp out"], 90.0)
	require.InDelta(t, 0, got["taskmed_messages_oldest_waiting_seconds web in"], 0)
	require.InDelta(t, 0, got["taskmed_channel_posts_overdue_seconds whatsapp"], 0, "it is put off")

	// What is due, and somebody has hold of.
	d.Exec(t, "UPDATE channel_events SET due_at = now() - interval '70 seconds' WHERE due_at IS NOT NULL")
	held, err := d.Connect(t, d.SuperuserURL).Begin(t.Context())
	require.NoError(t, err)
	_, err = held.Exec(t.Context(), "SELECT FROM channel_events FOR UPDATE")
	require.NoError(t, err)
	require.NoError(t, worker.Beside(t.Context(), func() error {
		require.Eventually(t, func() bool { return figures(t, registry)["taskmed_channel_posts_overdue_seconds whatsapp"] >= 70 }, time.Minute, 5*time.Millisecond)
		return nil
	}))
	require.InDelta(t, 0, figures(t, registry)["taskmed_channel_posts_overdue_seconds email"], 0)
	require.NoError(t, held.Rollback(t.Context()))
}
