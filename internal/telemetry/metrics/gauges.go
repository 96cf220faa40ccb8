package metrics

import (
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Figures are what is read at the moment of a scrape.
type Figures struct {
	Pool func() PoolFigures
	// Process gives the last interval's shares of processors and memory.
	Process func() (cpu, memory float64)
	// Postgres and Redis are 1 or 0.
	Postgres, Redis func() float64
}

// PoolFigures are what the pool has counted since it was made.
type PoolFigures struct {
	Max, InUse, Idle          int32
	Acquires, Waits, Canceled int64
	Waited                    time.Duration
}

// Read registers the figures, and what this program was built from.
func (c *Catalog) Read(from Figures) {
	pool := func(of func(PoolFigures) float64) func() float64 { return func() float64 { return of(from.Pool()) } }
	c.gauge("taskmed_pool_connections_max", "Connections to Postgres that there may be.", pool(func(p PoolFigures) float64 { return float64(p.Max) }))
	c.gauge("taskmed_pool_connections_in_use", "Connections to Postgres in use.", pool(func(p PoolFigures) float64 { return float64(p.InUse) }))
	c.gauge("taskmed_pool_connections_idle", "Connections to Postgres that wait for work.", pool(func(p PoolFigures) float64 { return float64(p.Idle) }))
	c.counter("taskmed_pool_acquires_total", "Connections handed out.", pool(func(p PoolFigures) float64 { return float64(p.Acquires) }))
	c.counter("taskmed_pool_waits_total", "Connections that had to be waited for.", pool(func(p PoolFigures) float64 { return float64(p.Waits) }))
	c.counter("taskmed_pool_wait_seconds_total", "Time spent waiting for connections.", pool(func(p PoolFigures) float64 { return p.Waited.Seconds() }))
	c.counter("taskmed_pool_canceled_acquires_total", "Waits for a connection that were given up.", pool(func(p PoolFigures) float64 { return float64(p.Canceled) }))
	c.gauge("taskmed_cpu_utilization_ratio", "Share of the processors that this process used over the last interval.", func() float64 { cpu, _ := from.Process(); return cpu })
	c.gauge("taskmed_memory_utilization_ratio", "Resident memory as a share of what this process may take.", func() float64 { _, memory := from.Process(); return memory })
	c.gauge("taskmed_postgres_up", "Whether Postgres answered the last check.", from.Postgres)
	c.gauge("taskmed_redis_up", "Whether Redis answered the last check; 1 where none is configured.", from.Redis)
	c.buildInfo()
}

func (c *Catalog) buildInfo() {
	version, revision := "unknown", "unknown"
	if build, ok := debug.ReadBuildInfo(); ok {
		version = build.Main.Version
		for _, setting := range build.Settings {
			if setting.Key == "vcs.revision" {
				revision = setting.Value
			}
		}
	}
	c.Gauges("taskmed_build_info", "1, with what this program was built from.", "version", "revision", "goversion").
		WithLabelValues(version, revision, runtime.Version()).Set(1)
}

// Gauges registers one gauge per value of its labels.
func (c *Catalog) Gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	made := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	c.MustRegister(made)
	return made
}
