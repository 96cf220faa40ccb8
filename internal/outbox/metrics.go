package outbox

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics implement Counted.
type metrics struct {
	leads  prometheus.Gauge
	events prometheus.Counter
	took   prometheus.Histogram
	oldest prometheus.Gauge
}

// NewMetrics registers what leaders do.
func NewMetrics(registerer prometheus.Registerer) Counted {
	m := metrics{
		leads: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "taskmed_outbox_leader",
			Help: "1 on the instance that gives events their positions, 0 on others; over all instances it must sum up to 1.",
		}),
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "taskmed_outbox_events_total",
			Help: "Events that this instance gave positions to.",
		}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "taskmed_outbox_stamp_seconds",
			Help:    "How long it took to give positions to what was waiting.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "taskmed_outbox_oldest_waiting_seconds",
			Help: "For how long the oldest event that is committed and has no position has waited for one; 0 where none does. The same on each instance.",
		}),
	}
	registerer.MustRegister(m.leads, m.events, m.took, m.oldest)
	return m
}

func (m metrics) Leads(leads bool) {
	m.leads.Set(0)
	if leads {
		m.leads.Set(1)
	}
}

func (m metrics) Stamped(events int64, took time.Duration) {
	m.events.Add(float64(events))
	m.took.Observe(took.Seconds())
}

func (m metrics) Waits(oldest time.Duration) { m.oldest.Set(oldest.Seconds()) }
