package metrics

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Metric is a metric as docs/observability.md lists it.
type Metric struct {
	// Name follows Prometheus' conventions: base units, "_total" for counters.
	Name string
	// Kind is "counter", "gauge" or "histogram".
	Kind   string
	Labels []string
	Help   string
}

// Catalog registers metrics and remembers what they are.
type Catalog struct {
	registry *prometheus.Registry

	mu      sync.Mutex
	metrics []Metric
	// made are who collects each, by name.
	made map[string]prometheus.Collector
}

// NewCatalog registers with a registry.
func NewCatalog(registry *prometheus.Registry) *Catalog {
	return &Catalog{registry: registry, made: map[string]prometheus.Collector{}}
}

// Metrics are all that are registered, in no order that matters.
func (c *Catalog) Metrics() []Metric {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.metrics)
}

// Register implements prometheus.Registerer: other parts' metrics are listed, too.
func (c *Catalog) Register(made prometheus.Collector) error {
	if err := c.registry.Register(made); err != nil {
		return err
	}
	descriptions := make(chan *prometheus.Desc, 16)
	go func() {
		made.Describe(descriptions)
		close(descriptions)
	}()
	for description := range descriptions {
		if found := described.FindStringSubmatch(description.String()); found != nil {
			metric := Metric{Name: found[1], Kind: kindOfMetric(made)}
			if unquoted, err := strconv.Unquote(found[2]); err == nil {
				metric.Help = unquoted
			}
			if found[3] != "" {
				metric.Labels = strings.Split(found[3], ",")
			}
			c.mu.Lock()
			c.metrics = append(c.metrics, metric)
			c.made[metric.Name] = made
			c.mu.Unlock()
		}
	}
	return nil
}

// described finds what a description says of itself; it has no other way to tell.
var described = regexp.MustCompile(`^Desc\{fqName: "([a-z_]+)", help: ("(?:[^"\\]|\\.)*"),.* variableLabels: \{([^}]*)\}\}$`)

func kindOfMetric(made prometheus.Collector) string {
	switch made := made.(type) {
	case *prometheus.CounterVec, *Clinics, *Cache:
		return "counter"
	case *prometheus.GaugeVec:
		return "gauge"
	case *prometheus.HistogramVec, *Histogram:
		return "histogram"
	case prometheus.Metric:
		var written dto.Metric
		if made.Write(&written) == nil {
			switch {
			case written.GetCounter() != nil:
				return "counter"
			case written.GetGauge() != nil:
				return "gauge"
			case written.GetHistogram() != nil:
				return "histogram"
			}
		}
	}
	return "unknown"
}

// MustRegister implements prometheus.Registerer.
func (c *Catalog) MustRegister(all ...prometheus.Collector) {
	for _, made := range all {
		if err := c.Register(made); err != nil {
			panic(err)
		}
	}
}

// Unregister implements prometheus.Registerer.
func (c *Catalog) Unregister(made prometheus.Collector) bool { return c.registry.Unregister(made) }

func (c *Catalog) counters(name, help string, labels ...string) *prometheus.CounterVec {
	made := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	c.MustRegister(made)
	return made
}

func (c *Catalog) gauge(name, help string, value func() float64) {
	c.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

func (c *Catalog) counter(name, help string, value func() float64) {
	c.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}
