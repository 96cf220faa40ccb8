package telemetry

import (
	"math"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// The buckets are those of Prometheus' native histograms of schema 2: four to
	// an octave of seconds, so that one is a fifth wide. The first holds all up to
	// 2^lowest seconds, a microsecond; the last all above 64 s.
	lowest  = -20
	buckets = 1 + 4*26
	// minute is how many intervals the lists of a Snapshot look back.
	minute = int(time.Minute / Interval)

	// allowed is what the alerts allow. It lies within limitBucket, which ends so
	// many quarters of octaves from a second, at limitEnds.
	allowed       = responseTimeLimit * time.Millisecond
	limitQuarters = -13
	limitBucket   = limitQuarters - 4*lowest
	limitEnds     = 105_112_051 * time.Nanosecond
)

// meter counts durations since it was made, for percentiles over the intervals
// of the last minute. Counting takes some nanoseconds and never waits.
type meter struct {
	counts [buckets]atomic.Uint64
	// late are those of limitBucket that took longer than the limit. They stand
	// apart from it, so that what exceeds the limit can be told exactly.
	late   atomic.Uint64
	nanos  atomic.Int64
	faults atomic.Int64
	// traced has the latest that was traced of each classic bucket; nil as long as
	// none was.
	traced atomic.Pointer[exemplars]

	// What follows is the sampler's alone.
	seen     [buckets]uint64
	seenTime int64
	seenBad  int64
	recent   [minute]*tally
	turn     int
}

func (m *meter) observe(took time.Duration, failed bool) {
	if took > allowed && took <= limitEnds {
		m.late.Add(1)
	} else {
		m.counts[bucketOf(took)].Add(1)
	}
	m.nanos.Add(int64(took))
	if failed {
		m.faults.Add(1)
	}
}

// count gives a bucket's, those over the limit included.
func (m *meter) count(bucket int) uint64 {
	n := m.counts[bucket].Load()
	if bucket == limitBucket {
		n += m.late.Load()
	}
	return n
}

// exemplars are by classic bucket, the last for what is beyond them.
type exemplars [classics + 1]atomic.Pointer[dto.Exemplar]

// classics is how many classic buckets there are.
const classics = 17

// observeTraced is observe for what belongs to a trace; "" is none.
func (m *meter) observeTraced(took time.Duration, failed bool, traceID string) {
	m.observe(took, failed)
	if traceID != "" {
		m.exemplify(took, traceID)
	}
}

// exemplify stands apart, since it keeps the id, which takes memory of its own.
func (m *meter) exemplify(took time.Duration, traceID string) {
	kept := m.traced.Load()
	if kept == nil {
		m.traced.CompareAndSwap(nil, &exemplars{})
		kept = m.traced.Load()
	}
	at := 0
	for _, quarter := range classicQuarters() {
		if bucketOf(took) <= quarter-4*lowest && (quarter != limitQuarters || took <= allowed) {
			break
		}
		at++
	}
	kept[at].Store(&dto.Exemplar{
		Label: []*dto.LabelPair{{Name: new("trace_id"), Value: &traceID}}, Value: new(took.Seconds()), Timestamp: timestamppb.Now(),
	})
}

// exemplar is nil where nothing was traced.
func (m *meter) exemplar(bucket int) *dto.Exemplar {
	if kept := m.traced.Load(); kept != nil {
		return kept[bucket].Load()
	}
	return nil
}

// tally is what a meter counted within some time.
type tally struct {
	counts [buckets]uint32
	count  int64
	faults int64
	nanos  int64
}

// roll ends an interval and gives its tally; nil where nothing was counted.
func (m *meter) roll() *tally {
	m.turn = (m.turn + 1) % minute
	m.recent[m.turn] = nil
	t := &tally{}
	for i := range m.counts {
		now := m.count(i)
		t.counts[i] = uint32(now - m.seen[i])
		t.count += int64(t.counts[i])
		m.seen[i] = now
	}
	nanos, faults := m.nanos.Load(), m.faults.Load()
	t.nanos, t.faults = nanos-m.seenTime, faults-m.seenBad
	m.seenTime, m.seenBad = nanos, faults
	if t.count == 0 {
		return nil
	}
	m.recent[m.turn] = t
	return t
}

// last sums the latest intervals up, at most a minute's.
func (m *meter) last(intervals int) tally {
	var sum tally
	for back := range min(intervals, minute) {
		sum.add(m.recent[(m.turn-back+minute)%minute])
	}
	return sum
}

func (t *tally) add(other *tally) {
	if other == nil {
		return
	}
	for i, n := range other.counts {
		t.counts[i] += n
	}
	t.count += other.count
	t.faults += other.faults
	t.nanos += other.nanos
}

// quantile gives the duration, in milliseconds, that a share of the counted
// ones did not exceed, within a tenth; 0 where there are none.
func (t *tally) quantile(share float64) float64 {
	if t.count == 0 {
		return 0
	}
	rank := share * float64(t.count)
	below := 0.0
	for i, n := range t.counts {
		if n > 0 && below+float64(n) >= rank {
			low, high := boundsOf(i)
			return low + (high-low)*(rank-below)/float64(n)
		}
		below += float64(n)
	}
	_, high := boundsOf(buckets - 1)
	return high
}

// above counts what took longer than a limit, which is rounded up to a bucket's bound.
func (t *tally) above(limit time.Duration) int64 {
	var n int64
	for i := bucketOf(limit) + 1; i < buckets; i++ {
		n += int64(t.counts[i])
	}
	return n
}

func (t *tally) total() float64 { return milliseconds(t.nanos) }

func (t *tally) mean() float64 {
	if t.count == 0 {
		return 0
	}
	return milliseconds(t.nanos) / float64(t.count)
}

func bucketOf(took time.Duration) int {
	if took <= 0 {
		return 0
	}
	// The fraction is from a half to one; a bucket's upper bound belongs to it.
	fraction, octave := math.Frexp(took.Seconds())
	if octave <= lowest {
		return 0
	}
	quarter := 4
	switch {
	case fraction == 0.5:
		quarter = 0
	case fraction <= 1/(math.Sqrt2*quarterOctave):
		quarter = 1
	case fraction <= 1/math.Sqrt2:
		quarter = 2
	case fraction <= 1/quarterOctave:
		quarter = 3
	}
	return min(4*(octave-1-lowest)+quarter, buckets-1)
}

// quarterOctave is the fourth root of two.
const quarterOctave = 1.1892071150027210667

// boundsOf gives a bucket's bounds in milliseconds.
func boundsOf(bucket int) (low, high float64) {
	high = 1000 * math.Exp2(lowest+float64(bucket)/4)
	if bucket > 0 {
		low = high / quarterOctave
	}
	return low, high
}

func milliseconds(nanos int64) float64 { return float64(nanos) / float64(time.Millisecond) }
