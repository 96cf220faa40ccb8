package streams

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Counted is told what becomes of connections. kind is "socket" or "stream".
type Counted interface {
	Begun(kind string)
	// Ended tells why in a word; "full" had not begun.
	Ended(kind, why string)
	// Subscribed is told of operations that begin, 1, or end, -1.
	Subscribed(change float64)
	// Refused tells of operations that were one too many.
	Refused(why string)
	// Sent tells of an answer that was written, and when what it tells of was stamped.
	Sent(stampedAt time.Time)
}

type metrics struct {
	open       *prometheus.GaugeVec
	operations prometheus.Gauge
	ended      *prometheus.CounterVec
	refused    *prometheus.CounterVec
	sent       prometheus.Counter
	delay      prometheus.Histogram
}

// NewMetrics registers what becomes of connections.
func NewMetrics(registerer prometheus.Registerer) Counted {
	m := metrics{
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "taskmed_live_connections", Help: "Connections that stay: WebSockets (socket) and Server-Sent Events (stream).",
		}, []string{"kind"}),
		operations: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "taskmed_live_operations", Help: "Operations that run on connections that stay; almost all are subscriptions.",
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "taskmed_live_ended_total", Help: "Connections that ended, and why: slow readers were dropped, full ones never began.",
		}, []string{"kind", "why"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "taskmed_live_refused_total", Help: "Operations that were refused because there were too many on their connection.",
		}, []string{"why"}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "taskmed_live_sent_total", Help: "Answers that were written to connections that stay.",
		}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "taskmed_live_delay_seconds", Help: "From the moment an event got its position until its answer was written; what a client catches up on is not in it.",
			Buckets: []float64{.0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}),
	}
	registerer.MustRegister(m.open, m.operations, m.ended, m.refused, m.sent, m.delay)
	for _, kind := range []string{"socket", "stream"} {
		m.open.WithLabelValues(kind)
	}
	return m
}

func (m metrics) Begun(kind string) { m.open.WithLabelValues(kind).Inc() }

func (m metrics) Ended(kind, why string) {
	if why != "full" {
		m.open.WithLabelValues(kind).Dec()
	}
	m.ended.WithLabelValues(kind, why).Inc()
}

func (m metrics) Subscribed(change float64) { m.operations.Add(change) }
func (m metrics) Refused(why string)        { m.refused.WithLabelValues(why).Inc() }

func (m metrics) Sent(stampedAt time.Time) {
	m.sent.Inc()
	if !stampedAt.IsZero() {
		m.delay.Observe(max(0, time.Since(stampedAt).Seconds()))
	}
}

type uncounted struct{}

func (uncounted) Begun(string)         {}
func (uncounted) Ended(string, string) {}
func (uncounted) Subscribed(float64)   {}
func (uncounted) Refused(string)       {}
func (uncounted) Sent(time.Time)       {}
