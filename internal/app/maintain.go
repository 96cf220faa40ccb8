package app

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/maintenance"
)

// maintain has the database kept in order by whichever instance comes first; nil
// where that is switched off. The day is the machine's, not that of a test's clock.
func maintain(settings config.Config, log *slog.Logger, watching observer) *maintenance.Keeper {
	if !settings.Maintain.On {
		return nil
	}
	wanted := maintenance.KeeperConfig{
		URL: settings.ListenURL(), OwnerURL: settings.MaintainURL, Hour: settings.Maintain.Hour, Minute: settings.Maintain.Minute, Log: log,
	}
	if registerer := watching.registerer(); registerer != nil {
		wanted.Ran = countRuns(registerer)
	}
	return maintenance.NewKeeper(wanted)
}

// countRuns counts attempts, and tells when the last one that did something was.
func countRuns(registerer prometheus.Registerer) func(maintenance.Result, error) {
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
	return func(result maintenance.Result, err error) {
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
