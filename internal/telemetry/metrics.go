package telemetry

import (
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

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

// metrics are all that /metrics shows besides the Go runtime's and the process's.
type metrics struct {
	requests  *prometheus.CounterVec
	outcomes  [4]prometheus.Counter
	refusals  *prometheus.CounterVec
	opFaults  *prometheus.CounterVec
	catalog   *catalog
	fldFaults *prometheus.CounterVec
	sqlFaults *prometheus.CounterVec
	batch     *prometheus.HistogramVec
	alerts    *prometheus.GaugeVec
}

// figures are what gauges and counters are read from at the moment of a scrape.
type figures interface {
	poolNow() PoolFigures
	processNow() (cpu, memory float64)
	up(server string) float64
	flyingNow() int64
}

// catalog registers metrics and remembers what they are.
type catalog struct {
	registry *prometheus.Registry

	mu      sync.Mutex
	metrics []Metric
}

// Register implements prometheus.Registerer: other parts' metrics are listed, too.
func (c *catalog) Register(made prometheus.Collector) error {
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
			c.mu.Unlock()
		}
	}
	return nil
}

// described finds what a description says of itself; it has no other way to tell.
var described = regexp.MustCompile(`^Desc\{fqName: "([a-z_]+)", help: ("(?:[^"\\]|\\.)*"),.* variableLabels: \{([^}]*)\}\}$`)

func kindOfMetric(made prometheus.Collector) string {
	switch made := made.(type) {
	case *prometheus.CounterVec, *clinics, *cacheCounts:
		return "counter"
	case *prometheus.GaugeVec:
		return "gauge"
	case *prometheus.HistogramVec, *histogram:
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
func (c *catalog) MustRegister(all ...prometheus.Collector) {
	for _, made := range all {
		if err := c.Register(made); err != nil {
			panic(err)
		}
	}
}

// Unregister implements prometheus.Registerer.
func (c *catalog) Unregister(made prometheus.Collector) bool { return c.registry.Unregister(made) }

func (c *catalog) counters(name, help string, labels ...string) *prometheus.CounterVec {
	made := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	c.MustRegister(made)
	return made
}

func (c *catalog) histograms(name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
	made := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: bounds,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, labels)
	c.MustRegister(made)
	return made
}

func (c *catalog) gauge(name, help string, value func() float64) {
	c.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

func (c *catalog) counter(name, help string, value func() float64) {
	c.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

func newMetrics(c *catalog, from figures) *metrics {
	m := &metrics{
		catalog:   c,
		requests:  c.counters("taskmed_requests_total", "Requests to the API by outcome: ok, refused (the client's doing), failed (the server's), canceled (the client left).", "outcome"),
		refusals:  c.counters("taskmed_refusals_total", "Requests that were refused or failed, by error code.", "kind"),
		opFaults:  c.counters("taskmed_operation_failures_total", "Operations that failed by a fault of the server's.", "operation", "type"),
		fldFaults: c.counters("taskmed_field_errors_total", "Resolvers that gave an error.", "field"),
		sqlFaults: c.counters("taskmed_statement_errors_total", "SQL statements that gave an error.", "family"),
		batch: c.histograms("taskmed_loader_batch_size_keys", "Keys that a data loader fetched at once.",
			[]float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}, "loader"),
	}
	m.alerts = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "taskmed_alert_active", Help: "How many alerts of a name this instance has active.",
	}, []string{"alert"})
	c.MustRegister(m.alerts)
	m.read(c, from)
	buildInfo(c)
	return m
}

// read registers what is read at the moment of a scrape.
func (*metrics) read(c *catalog, from figures) {
	c.gauge("taskmed_requests_in_flight", "Requests under way.", func() float64 { return float64(from.flyingNow()) })
	c.gauge("taskmed_pool_connections_max", "Connections to Postgres that there may be.", func() float64 { return float64(from.poolNow().Max) })
	c.gauge("taskmed_pool_connections_in_use", "Connections to Postgres in use.", func() float64 { return float64(from.poolNow().InUse) })
	c.gauge("taskmed_pool_connections_idle", "Connections to Postgres that wait for work.", func() float64 { return float64(from.poolNow().Idle) })
	c.counter("taskmed_pool_acquires_total", "Connections handed out.", func() float64 { return float64(from.poolNow().Acquires) })
	c.counter("taskmed_pool_waits_total", "Connections that had to be waited for.", func() float64 { return float64(from.poolNow().Waits) })
	c.counter("taskmed_pool_wait_seconds_total", "Time spent waiting for connections.", func() float64 { return from.poolNow().Waited.Seconds() })
	c.counter("taskmed_pool_canceled_acquires_total", "Waits for a connection that were given up.", func() float64 { return float64(from.poolNow().Canceled) })
	c.gauge("taskmed_cpu_utilization_ratio", "Share of the processors that this process used over the last interval.", func() float64 { cpu, _ := from.processNow(); return cpu })
	c.gauge("taskmed_memory_utilization_ratio", "Resident memory as a share of what this process may take.", func() float64 { _, memory := from.processNow(); return memory })
	c.gauge("taskmed_postgres_up", "Whether Postgres answered the last check.", func() float64 { return from.up("postgres") })
	c.gauge("taskmed_redis_up", "Whether Redis answered the last check; 1 where none is configured.", func() float64 { return from.up("redis") })
}

func buildInfo(c *catalog) {
	version, revision := "unknown", "unknown"
	if build, ok := debug.ReadBuildInfo(); ok {
		version = build.Main.Version
		for _, setting := range build.Settings {
			if setting.Key == "vcs.revision" {
				revision = setting.Value
			}
		}
	}
	made := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "taskmed_build_info", Help: "1, with what this program was built from.",
	}, []string{"version", "revision", "goversion"})
	c.MustRegister(made)
	made.WithLabelValues(version, revision, runtime.Version()).Set(1)
}

// PoolFigures are what the pool has counted since it was made.
type PoolFigures struct {
	Max, InUse, Idle          int32
	Acquires, Waits, Canceled int64
	Waited                    time.Duration
}

// begin makes the series of closed sets, so that their first event is an
// increase and not a beginning.
func (m *metrics) begin() {
	for i, outcome := range outcomes() {
		m.outcomes[i] = m.requests.WithLabelValues(outcome)
	}
	for _, kind := range kinds() {
		m.refusals.WithLabelValues(kind)
	}
	for _, rule := range Rules() {
		m.alerts.WithLabelValues(rule.Name)
	}
}
