package outbox_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/outbox"
	"github.com/taskmed/taskmed/internal/testkit"
)

// Whoever leads may hang, or nobody lead: who does not lead tells for how long events wait.
func TestLeader_TellsHowLongEventsWaitAlsoWhereNobodyLeads(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	first, second := d.NewClinic(t, "aurora"), d.NewClinic(t, "boreal")
	stamp(t, d)
	for name, age := range map[string]string{first.ID.String(): "5 seconds", second.ID.String(): "90 seconds"} {
		d.Exec(t, "INSERT INTO outbox (clinic_id, event, entity_kind, entity_id, at) VALUES ($1::uuid, 'contact.created', 'contact', $1::uuid, now() - $2::interval)", name, age)
	}
	hangs := d.Connect(t, d.AppURL)
	_, err := hangs.Exec(t.Context(), "SELECT pg_advisory_lock(hashtextextended('taskmed outbox leader', 0))")
	require.NoError(t, err)

	registry := prometheus.NewPedanticRegistry()
	leader := outbox.NewLeader(outbox.LeaderConfig{URL: d.AppURL, DB: d.DB, Counted: outbox.NewMetrics(registry)})
	t.Cleanup(leader.Close)
	oldest := func() float64 {
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, family := range families {
			if family.GetName() == "taskmed_outbox_oldest_waiting_seconds" {
				return family.GetMetric()[0].GetGauge().GetValue()
			}
		}
		t.Fatal("no such metric")
		return 0
	}
	require.Eventually(t, func() bool { return oldest() >= 90 }, time.Minute, 5*time.Millisecond)
	require.Less(t, oldest(), 300.0)

	require.NoError(t, hangs.Close(t.Context()))
	require.Eventually(t, func() bool { return oldest() == 0 }, time.Minute, 5*time.Millisecond, "all has its position")
}
