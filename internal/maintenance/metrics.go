package maintenance

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Counted counts attempts, and tells when the last one that did something was.
func Counted(registerer prometheus.Registerer) func(Result, error) {
	runs := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "taskmed_maintenance_runs_total",
		Help: "Attempts at the daily maintenance by what came of them: done, skipped (another instance's, or not due), failed.",
	}, []string{"outcome"})
	last := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "taskmed_maintenance_last_success_timestamp_seconds",
		Help: "When this instance last finished the daily maintenance; 0 if it has not yet.",
	})
	left := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "taskmed_maintenance_left_tasks",
		Help: "What was due at this instance's last maintenance and is left to the owner's role.",
	})
	registerer.MustRegister(runs, last, left)
	for _, outcome := range []string{"done", "skipped", "failed"} {
		runs.WithLabelValues(outcome)
	}
	return func(result Result, err error) {
		switch {
		case err != nil:
			runs.WithLabelValues("failed").Inc()
		case result.Busy || result.NotDue:
			runs.WithLabelValues("skipped").Inc()
		default:
			runs.WithLabelValues("done").Inc()
			last.Set(float64(time.Now().Unix()))
			left.Set(float64(len(result.Left)))
		}
	}
}
