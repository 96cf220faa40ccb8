package gcpace_test

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/gcpace"
)

const mega = 1 << 20

func TestFloor_CollectsASmallHeapSeldomAndALargeOneAsUsual(t *testing.T) { //nolint:paralleltest // the collector is the process'
	t.Setenv("GOGC", "")
	without := collections(t, 256*mega)
	stop := gcpace.Floor(64 * mega)
	settle()
	with := collections(t, 256*mega)
	assert.Less(t, with*3, without, "collections of a heap of which next to nothing lives")

	large := make([]byte, 100*mega)
	settle()
	assert.Eventually(t, func() bool { return percent() == 100 }, 10*time.Second, time.Millisecond, "what lives is over the floor")
	runtime.KeepAlive(large)

	stop()
	settle()
	stopped := collections(t, 256*mega)
	assert.Greater(t, stopped, with*2)
}

func TestFloor_LeavesTheOperatorsWord(t *testing.T) {
	t.Setenv("GOGC", "50")
	before := percent()
	defer gcpace.Floor(1 << 30)()
	settle()
	require.Equal(t, before, percent())
}

// collections is how often the heap is collected while a number of bytes is allocated.
func collections(t *testing.T, bytes int) int {
	t.Helper()
	before := read("/gc/cycles/automatic:gc-cycles")
	kept := make([][]byte, 8)
	for i := range bytes / (64 << 10) {
		kept[i%len(kept)] = make([]byte, 64<<10)
	}
	runtime.KeepAlive(kept)
	return int(read("/gc/cycles/automatic:gc-cycles") - before)
}

// settle has the percentage follow what lives: a cleanup runs after a collection.
func settle() {
	for range 3 {
		runtime.GC()
		runtime.Gosched()
	}
}

func read(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func percent() uint64 { return read("/gc/gogc:percent") }
