package metrics

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
)

// MaxClinics is how many clinics are told apart. Each takes some series.
const MaxClinics = 1000

// The bounds of the latency classes, and their names in that order.
const (
	fast = 25 * time.Millisecond
	fair = Limit
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

// Clinic is what is counted of one clinic.
type Clinic struct {
	id    string
	meter Meter
	class [4]atomic.Int64
}

// Count counts a request of its.
func (c *Clinic) Count(took time.Duration, failed bool) {
	c.meter.Observe(took, failed)
	c.class[classOf(took)].Add(1)
}

// Clinics tells clinics apart, the first thousand that come.
type Clinics struct {
	byID table[uuid.UUID, *Clinic]
	rest *Clinic
	// mu is held while one is added; full is set once there are as many as may be.
	mu    sync.Mutex
	added int
	full  atomic.Bool

	requests, failures, latency *prometheus.Desc
}

// NewClinics registers what is counted of clinics.
func NewClinics(catalog *Catalog) *Clinics {
	c := &Clinics{
		rest:     &Clinic{id: Other},
		requests: prometheus.NewDesc("taskmed_clinic_requests_total", "Requests by clinic; beyond the first thousand, other.", []string{"clinic"}, nil),
		failures: prometheus.NewDesc("taskmed_clinic_failures_total", "Requests by clinic that failed by a fault of the server's.", []string{"clinic"}, nil),
		latency: prometheus.NewDesc("taskmed_clinic_latency_total",
			"Requests by clinic and how long they took: fast (to 25 ms), fair (to 100 ms), slow (to 1 s), stuck.", []string{"clinic", "class"}, nil),
	}
	catalog.MustRegister(c)
	return c
}

// Describe implements prometheus.Collector.
func (c *Clinics) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- c.requests
	descriptions <- c.failures
	descriptions <- c.latency
}

// Collect implements prometheus.Collector.
func (c *Clinics) Collect(shown chan<- prometheus.Metric) {
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

// Of gives what is counted of a clinic.
func (c *Clinics) Of(id uuid.UUID) *Clinic {
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
	if c.added >= MaxClinics {
		return c.rest
	}
	made := &Clinic{id: id.String()}
	c.byID.put(id, made)
	c.added++
	c.full.Store(c.added >= MaxClinics)
	return made
}

// all gives the clinics that are told apart, and the rest as one.
func (c *Clinics) all() []*Clinic {
	return slices.AppendSeq([]*Clinic{c.rest}, maps.Values(c.byID.all()))
}

// Roll ends an interval and gives the busiest clinics of the last minute.
func (c *Clinics) Roll(most int) []dashboard.Clinic {
	busy := []dashboard.Clinic{}
	for _, each := range c.all() {
		each.meter.Roll()
		sum := each.meter.Last(Minute)
		if sum.Count == 0 {
			continue
		}
		busy = append(busy, dashboard.Clinic{ID: each.id, Requests: sum.Count, Failed: sum.Faults, Slow: sum.Above(fair), Mean: sum.Mean()})
	}
	slices.SortFunc(busy, func(a, b dashboard.Clinic) int { return int(b.Requests - a.Requests) })
	return busy[:min(len(busy), most)]
}
