package telemetry

import (
	"slices"
	"sync"
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
	id                 string
	meter              meter
	requests, failures prometheus.Counter
	class              [4]prometheus.Counter
}

func (c *clinic) count(took time.Duration, failed bool) {
	c.meter.observe(took, failed)
	c.requests.Inc()
	if failed {
		c.failures.Inc()
	}
	c.class[classOf(took)].Inc()
}

// clinics tells clinics apart, the first thousand that come.
type clinics struct {
	metrics *metrics

	mu   sync.RWMutex
	byID map[uuid.UUID]*clinic
	rest *clinic
}

func newClinics(m *metrics) *clinics {
	c := &clinics{metrics: m, byID: map[uuid.UUID]*clinic{}}
	c.rest = c.make(other)
	return c
}

func (c *clinics) of(id uuid.UUID) *clinic {
	c.mu.RLock()
	known, ok := c.byID[id]
	full := len(c.byID) >= maxClinics
	c.mu.RUnlock()
	switch {
	case ok:
		return known
	case full:
		return c.rest
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.byID[id]; ok {
		return known
	}
	if len(c.byID) >= maxClinics {
		return c.rest
	}
	made := c.make(id.String())
	c.byID[id] = made
	return made
}

func (c *clinics) make(id string) *clinic {
	made := &clinic{id: id, requests: c.metrics.clinics.WithLabelValues(id), failures: c.metrics.clnFaults.WithLabelValues(id)}
	for i, class := range classes() {
		made.class[i] = c.metrics.clnTimes.WithLabelValues(id, class)
	}
	return made
}

// roll ends an interval and gives the busiest clinics of the last minute.
func (c *clinics) roll(most int) []Clinic {
	c.mu.RLock()
	all := make([]*clinic, 0, len(c.byID)+1)
	for _, each := range c.byID {
		all = append(all, each)
	}
	c.mu.RUnlock()
	busy := []Clinic{}
	for _, each := range append(all, c.rest) {
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
