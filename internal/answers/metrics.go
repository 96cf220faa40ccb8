package answers

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/trust"
)

// metrics are the cache's own; what clients got is counted at the door, too.
type metrics struct {
	lookups   *prometheus.CounterVec
	stores    *prometheus.CounterVec
	bad       prometheus.Counter
	evictions prometheus.Counter
	sessions  *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "taskmed_respcache_lookups_total", Help: "Look-ups by where the answer was found, or that it was shared while somebody computed it, missing, or could not be looked for.",
		}, []string{"outcome"}),
		stores: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "taskmed_respcache_stores_total", Help: "Answers that were stored, or why they were not.",
		}, []string{"verdict"}),
		bad: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "taskmed_respcache_bad_values_total", Help: "Values in Redis that were not those that belong there.",
		}),
		evictions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "taskmed_respcache_evictions_total", Help: "Answers that gave way to others in the process.",
		}),
		sessions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "taskmed_session_lookups_total", Help: "Look-ups of memberships and keys: found in the process, shared with who was loading them, missing, or why they could not be kept.",
		}, []string{"outcome"}),
	}
	return m
}

func (m *metrics) register(registerer prometheus.Registerer, trusted *trust.Trust) error {
	if registerer == nil {
		return nil
	}
	for _, collector := range []prometheus.Collector{
		m.lookups, m.stores, m.bad, m.evictions, m.sessions,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "taskmed_respcache_process_bytes", Help: "What is kept in the process.",
		}, func() float64 {
			if g := trusted.Latest(); g != nil {
				return float64(tierOf(g).weight.Load())
			}
			return 0
		}),
	} {
		if err := registerer.Register(collector); err != nil {
			return fmt.Errorf("answers: %w", err)
		}
	}
	return nil
}

func (m *metrics) answered(o Outcome) {
	switch {
	case o.Hit:
		m.lookups.WithLabelValues(o.Tier).Inc()
	case o.Shared:
		m.lookups.WithLabelValues("shared").Inc()
	case o.Bypassed:
		m.lookups.WithLabelValues("bypass").Inc()
	default:
		m.lookups.WithLabelValues("miss").Inc()
	}
}

func (m *metrics) stored(why coherence.Refusal) {
	verdict := string(why)
	if verdict == "" {
		verdict = "stored"
	}
	m.stores.WithLabelValues(verdict).Inc()
}

func (m *metrics) badValue() { m.bad.Inc() }
func (m *metrics) evicted()  { m.evictions.Inc() }
