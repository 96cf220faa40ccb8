package telemetry

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

// maxClinics is how many clinics are told apart. Each takes some series.
const maxClinics = 1000

// The bounds of the latency classes, and their names in that order.
const (
	fast = 25 * time.Millisecond
	fair = 100 * time.Millisecond
	slow = time.Second
)

func classes() [4]string { return [4]string{"fast", "fair", "slow", "stuck"} }

func classOf(took time.Duration) int {
	switch {
	case took <= fast:
		return 0
	case took <= fair:
		return 1
	case took <= slow:
		return 2
	default:
		return 3
	}
}

// clinic is what is counted of one clinic.
type clinic struct {
	id    string
	meter meter
	class [4]atomic.Int64
}

func (c *clinic) count(took time.Duration, failed bool) {
	c.meter.observe(took, failed)
	c.class[classOf(took)].Add(1)
}

// clinics tells clinics apart, the first thousand that come.
type clinics struct {
	byID table[uuid.UUID, *clinic]
	rest *clinic
	// mu is held while one is added; full is set once there are as many as may be.
	mu    sync.Mutex
	added int
	full  atomic.Bool

	requests, failures, latency *prometheus.Desc
}

func newClinics(m *metrics) *clinics {
	c := &clinics{
		rest:     &clinic{id: other},
		requests: prometheus.NewDesc("taskmed_clinic_requests_total", "Requests by clinic; beyond the first thousand, other.", []string{"clinic"}, nil),
		failures: prometheus.NewDesc("taskmed_clinic_failures_total", "Requests by clinic that failed by a fault of the server's.", []string{"clinic"}, nil),
		latency: prometheus.NewDesc("taskmed_clinic_latency_total",
			"Requests by clinic and how long they took: fast (to 25 ms), fair (to 100 ms), slow (to 1 s), stuck.", []string{"clinic", "class"}, nil),
	}
	m.catalog.MustRegister(c)
	return c
}

// Describe implements prometheus.Collector.
func (c *clinics) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- c.requests
	descriptions <- c.failures
	descriptions <- c.latency
}

// Collect implements prometheus.Collector.
func (c *clinics) Collect(shown chan<- prometheus.Metric) {
	for _, each := range c.all() {
		total := int64(0)
		for i, class := range classes() {
			n := each.class[i].Load()
			total += n
			shown <- prometheus.MustNewConstMetric(c.latency, prometheus.CounterValue, float64(n), each.id, class)
		}
		shown <- prometheus.MustNewConstMetric(c.requests, prometheus.CounterValue, float64(total), each.id)
		shown <- prometheus.MustNewConstMetric(c.failures, prometheus.CounterValue, float64(each.meter.faults.Load()), each.id)
	}
}

func (c *clinics) of(id uuid.UUID) *clinic {
	if known, ok := c.byID.get(id); ok {
		return known
	}
	if c.full.Load() {
		return c.rest
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.byID.get(id); ok {
		return known
	}
	if c.added >= maxClinics {
		return c.rest
	}
	made := &clinic{id: id.String()}
	c.byID.put(id, made)
	c.added++
	c.full.Store(c.added >= maxClinics)
	return made
}

// all gives the clinics that are told apart, and the rest as one.
func (c *clinics) all() []*clinic {
	return slices.AppendSeq([]*clinic{c.rest}, maps.Values(c.byID.all()))
}

// roll ends an interval and gives the busiest clinics of the last minute.
func (c *clinics) roll(most int) []Clinic {
	busy := []Clinic{}
	for _, each := range c.all() {
		each.meter.roll()
		sum := each.meter.last(minute)
		if sum.count == 0 {
			continue
		}
		busy = append(busy, Clinic{ID: each.id, Requests: sum.count, Failed: sum.faults, Slow: sum.above(fair), Mean: sum.mean()})
	}
	slices.SortFunc(busy, func(a, b Clinic) int { return int(b.Requests - a.Requests) })
	return busy[:min(len(busy), most)]
}
