package app_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/attachments"
	"github.com/taskmed/taskmed/internal/attachments/store"
	"github.com/taskmed/taskmed/internal/testkit"
)

// gaugeOf is a gauge's value in a registry.
func gaugeOf(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

func TestSweeper_TellsHowLongObjectsStay(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	folder, err := store.NewFolder(t.TempDir())
	require.NoError(t, err)
	registry := prometheus.NewPedanticRegistry()
	files := attachments.New(attachments.Config{DB: d.DB, Store: folder, Counted: attachments.NewMetrics(registry)})
	// It was put off so often that it is due later again.
	d.Exec(t, "INSERT INTO attachment_removals (clinic_id, id, due_at, created_at) VALUES ($1, gen_random_uuid(), now() + interval '1 hour', now() - interval '4 hours')", clinic.ID)
	sweeper := attachments.NewSweeper(files, 10*time.Millisecond)
	stays := func() float64 { return gaugeOf(t, registry, "taskmed_attachment_removals_oldest_waiting_seconds") }
	require.NoError(t, sweeper.Beside(t.Context(), func() error {
		require.Eventually(t, func() bool { return stays() >= 4*3600 }, time.Minute, time.Millisecond)
		d.Exec(t, "UPDATE attachment_removals SET due_at = now()")
		require.Eventually(t, func() bool { return stays() == 0 }, time.Minute, time.Millisecond, "it is gone")
		return nil
	}))
}
