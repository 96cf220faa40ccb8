// Package gcpace keeps a small heap from being collected all the time: Go's
// collector waits until the heap has doubled, which under load is soon where only a
// few megabytes live.
package gcpace

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// Server is the floor of a server, in bytes.
	Server = 64 << 20

	// usual is Go's own percentage; the heap is never collected more often.
	usual = 100
	// most bounds the percentage: a burst right after a collection of next to
	// nothing must not make the heap grow without end.
	most = 800
)

// live is what the last collection found in use, in bytes.
const live = "/gc/heap/live:bytes"

// floor is set anew after each collection, for what lives changes.
type floor struct {
	bytes uint64

	mu      sync.Mutex
	percent int
	over    bool
}

// Floor lets the heap grow to a number of bytes before it is collected, and from
// half of that on to twice what lives, as Go has it. GOMEMLIMIT holds all the
// same; where GOGC is set the operator has decided, and nothing is done. stop
// puts Go's own percentage back. One floor at a time.
func Floor(bytes uint64) (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	f := &floor{bytes: bytes, percent: usual}
	f.adjust()
	return f.stop
}

// collected is garbage as soon as it is made, and so tells of the next collection.
type collected struct{ of *floor }

func (f *floor) adjust() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return
	}
	sample := []metrics.Sample{{Name: live}}
	metrics.Read(sample)
	// Setting it stops the world for some microseconds: not for a trifle.
	if percent := percentFor(sample[0].Value.Uint64(), f.bytes); percent*10 < f.percent*9 || percent*9 > f.percent*10 {
		f.percent = percent
		debug.SetGCPercent(percent)
	}
	runtime.AddCleanup(&collected{f}, (*floor).adjust, f)
}

// percentFor is how many per cent of what lives may be allocated until the heap
// has reached its floor.
func percentFor(live, floor uint64) int {
	if live == 0 || floor/live > most/100 {
		return most
	}
	return min(max(int(floor*100/live)-100, usual), most)
}

func (f *floor) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.over = true
		debug.SetGCPercent(usual)
	}
}
