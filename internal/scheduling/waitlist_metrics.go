package scheduling

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Counted is told what becomes of the waiting list's offers, once it is committed.
type Counted interface {
	// Offered is called with how long after its slot became free an offer was made.
	Offered(after time.Duration)
	// Accepted, Declined and Lapsed are called when an offer has ended so.
	Accepted()
	Declined()
	Lapsed()
}

// Uncounted is for whoever serves no clinic.
type Uncounted struct{}

// Offered implements Counted.
func (Uncounted) Offered(time.Duration) {}

// Accepted implements Counted.
func (Uncounted) Accepted() {}

// Declined implements Counted.
func (Uncounted) Declined() {}

// Lapsed implements Counted.
func (Uncounted) Lapsed() {}

// metrics implement Counted.
type metrics struct {
	made, accepted, declined, lapsed prometheus.Counter
	after                            prometheus.Histogram
}

// NewMetrics registers what becomes of offers.
func NewMetrics(registerer prometheus.Registerer) Counted {
	offers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "taskmed_waitlist_offers_total",
		Help: "Offers of the waiting lists by what this instance did with them: made, accepted, declined, and lapsed, which nobody answered in time. One that was withdrawn was made, and is in no other.",
	}, []string{"outcome"})
	m := metrics{
		made: offers.WithLabelValues("made"), accepted: offers.WithLabelValues("accepted"),
		declined: offers.WithLabelValues("declined"), lapsed: offers.WithLabelValues("lapsed"),
		after: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "taskmed_waitlist_offer_seconds",
			Help:    "How long after a time became free it was offered. A time of which much is offered, as a new week of working hours, has many offers, one after the other.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}),
	}
	registerer.MustRegister(offers, m.after)
	return m
}

// Offered implements Counted.
func (m metrics) Offered(after time.Duration) {
	m.made.Inc()
	m.after.Observe(max(0, after.Seconds()))
}

// Accepted implements Counted.
func (m metrics) Accepted() { m.accepted.Inc() }

// Declined implements Counted.
func (m metrics) Declined() { m.declined.Inc() }

// Lapsed implements Counted.
func (m metrics) Lapsed() { m.lapsed.Inc() }
