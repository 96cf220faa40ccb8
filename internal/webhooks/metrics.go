package webhooks

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Counted is told what is sent.
type Counted interface {
	// Attempted is called with whether an endpoint took a delivery.
	Attempted(taken bool)
	// Delivered is called with how long after its position was given.
	Delivered(after time.Duration)
	// GaveUp is called with how many deliveries are tried no longer.
	GaveUp(deliveries int64)
	// Paused is called when an endpoint is paused because it takes nothing.
	Paused()
	// Waits is called with how many deliveries wait, how many endpoints are paused, and for
	// how long what waits for the sender has at most, over all clinics; with nothing by who
	// stops to lead.
	Waits(deliveries, paused int64, overdue time.Duration)
}

type uncounted struct{}

func (uncounted) Attempted(bool)                    {}
func (uncounted) Delivered(time.Duration)           {}
func (uncounted) GaveUp(int64)                      {}
func (uncounted) Paused()                           {}
func (uncounted) Waits(int64, int64, time.Duration) {}

// metrics implement Counted.
type metrics struct {
	attempts        *prometheus.CounterVec
	after           prometheus.Histogram
	pauses          prometheus.Counter
	waiting, paused prometheus.Gauge
	overdue         prometheus.Gauge
}

const (
	outcomeDelivered = "delivered"
	outcomeFailed    = "failed"
	outcomeGivenUp   = "given_up"
)

// NewMetrics registers what is sent.
func NewMetrics(registerer prometheus.Registerer) Counted {
	m := metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "taskmed_webhook_attempts_total",
			Help: "Attempts to deliver webhooks by outcome: delivered, failed (they are tried again), and given_up, which counts deliveries that are tried no longer.",
		}, []string{"outcome"}),
		after: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "taskmed_webhook_delivery_seconds",
			Help:    "How long after an event got its position an endpoint took it.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 5, 30, 300, 3600, 86400},
		}),
		pauses: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "taskmed_webhook_pauses_total",
			Help: "Endpoints that this instance paused, because they answered 410 or took nothing for three days.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "taskmed_webhook_deliveries_waiting",
			Help: "Deliveries that wait to be sent or to be tried again, as the instance that sends counts them; 0 on others.",
		}),
		paused: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "taskmed_webhook_endpoints_paused",
			Help: "Endpoints that are paused, as the instance that sends counts them; 0 on others.",
		}),
		overdue: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "taskmed_webhook_oldest_overdue_seconds",
			Help: "For how long what waits for the sender has at most: an attempt that is due, or an event that nobody has looked at for an endpoint; 0 where nothing is, and on instances that do not send.",
		}),
	}
	for _, outcome := range []string{outcomeDelivered, outcomeFailed, outcomeGivenUp} {
		m.attempts.WithLabelValues(outcome)
	}
	registerer.MustRegister(m.attempts, m.after, m.pauses, m.waiting, m.paused, m.overdue)
	return m
}

func (m metrics) Attempted(taken bool) {
	if taken {
		m.attempts.WithLabelValues(outcomeDelivered).Inc()
		return
	}
	m.attempts.WithLabelValues(outcomeFailed).Inc()
}

func (m metrics) Delivered(after time.Duration) { m.after.Observe(max(0, after.Seconds())) }

func (m metrics) GaveUp(deliveries int64) {
	m.attempts.WithLabelValues(outcomeGivenUp).Add(float64(deliveries))
}

func (m metrics) Paused() { m.pauses.Inc() }

func (m metrics) Waits(deliveries, paused int64, overdue time.Duration) {
	m.waiting.Set(float64(deliveries))
	m.paused.Set(float64(paused))
	m.overdue.Set(overdue.Seconds())
}
