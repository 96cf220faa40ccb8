package metrics

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
)

// The runtime's own figures that are read.
const (
	heapMetric      = "/memory/classes/heap/objects:bytes"
	mappedMetric    = "/memory/classes/total:bytes"
	goroutineMetric = "/sched/goroutines:goroutines"
	cycleMetric     = "/gc/cycles/total:gc-cycles"
	pauseMetric     = "/sched/pauses/total/gc:seconds"
)

// ProcessReader reads what this process takes. It is the sampler's alone.
type ProcessReader struct {
	began  time.Time
	limit  uint64
	cpu    time.Duration
	cycles uint64
	pauses []uint64
}

// NewProcessReader begins at a moment.
func NewProcessReader(now time.Time) *ProcessReader {
	p := &ProcessReader{began: now, limit: memoryLimit(), cpu: cpuTime()}
	p.Read(0, now)
	return p
}

// Read ends an interval.
func (p *ProcessReader) Read(interval time.Duration, now time.Time) dashboard.Process {
	samples := []runtimemetrics.Sample{{Name: heapMetric}, {Name: mappedMetric}, {Name: goroutineMetric}, {Name: cycleMetric}, {Name: pauseMetric}}
	runtimemetrics.Read(samples)
	resident := residentBytes()
	if resident == 0 {
		resident = samples[1].Value.Uint64()
	}
	cpu, cycles := cpuTime(), samples[3].Value.Uint64()
	figures := dashboard.Process{
		MemoryBytes: resident, MemoryLimitBytes: p.limit, Memory: float64(resident) / float64(max(p.limit, 1)),
		HeapBytes: samples[0].Value.Uint64(), Goroutines: int64(samples[2].Value.Uint64()),
		GCs: int64(cycles - p.cycles), GCPause: p.pause(samples[4].Value.Float64Histogram()),
		UptimeSeconds: now.Sub(p.began).Seconds(),
	}
	if interval > 0 {
		figures.CPU = (cpu - p.cpu).Seconds() / interval.Seconds() / float64(runtime.GOMAXPROCS(0))
	}
	p.cpu, p.cycles = cpu, cycles
	return figures
}

// pause is the longest pause since the last call, in milliseconds: the upper
// bound of its bucket.
func (p *ProcessReader) pause(now *runtimemetrics.Float64Histogram) float64 {
	longest := 0.0
	for i, n := range now.Counts {
		if p.pauses != nil && n > p.pauses[i] {
			longest = now.Buckets[i+1]
			if math.IsInf(longest, 1) {
				longest = now.Buckets[i]
			}
		}
	}
	p.pauses = append(p.pauses[:0], now.Counts...)
	return longest * 1000
}

func cpuTime() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// residentBytes is 0 where the system does not tell it as Linux does.
func residentBytes() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}

// memoryLimit is what this process may take: the least of GOMEMLIMIT, the
// control group's bound and the machine's memory; 0 where none is known.
func memoryLimit() uint64 {
	limit := uint64(math.MaxInt64)
	if set := debug.SetMemoryLimit(-1); set > 0 {
		limit = uint64(set)
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if text, err := os.ReadFile(file); err == nil { //nolint:gosec // the system's own files
			if bytes, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil {
				limit = min(limit, bytes)
			}
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		_, rest, _ := strings.Cut(string(text), "MemTotal:")
		if fields := strings.Fields(rest); len(fields) > 0 {
			if kilobytes, err := strconv.ParseUint(fields[0], 10, 64); err == nil {
				limit = min(limit, kilobytes*1024)
			}
		}
	}
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
}
