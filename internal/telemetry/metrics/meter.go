package metrics

import (
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
)

const (
	// Minute is how many intervals the dashboard's lists look back.
	Minute = int(time.Minute / dashboard.Interval)

	// The buckets are those of Prometheus' native histograms of schema 2: four to
	// an octave of seconds, so that one is a fifth wide. The first holds all up to
	// 2^lowest seconds, a microsecond; the last all above 64 s.
	lowest  = -20
	buckets = 1 + 4*26

	// Limit is what an answer and each of its parts may take before somebody is told.
	// It lies within limitBucket, which ends so many quarters of octaves from a second,
	// at limitEnds.
	Limit         = 100 * time.Millisecond
	limitQuarters = -13
	limitBucket   = limitQuarters - 4*lowest
	limitEnds     = 105_112_051 * time.Nanosecond
)

// Meter counts durations since it was made, for percentiles over the intervals
// of the last minute. Counting takes some nanoseconds and never waits.
type Meter struct {
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
	recent   [Minute]*Tally
	turn     int
}

// Observe counts a duration.
func (m *Meter) Observe(took time.Duration, failed bool) {
	if took > Limit && took <= limitEnds {
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
func (m *Meter) count(bucket int) uint64 {
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

// ObserveTraced is Observe for what belongs to a trace; "" is none.
func (m *Meter) ObserveTraced(took time.Duration, failed bool, traceID string) {
	m.Observe(took, failed)
	if traceID != "" {
		m.exemplify(took, traceID)
	}
}

// exemplify stands apart, since it keeps the id, which takes memory of its own.
func (m *Meter) exemplify(took time.Duration, traceID string) {
	kept := m.traced.Load()
	if kept == nil {
		m.traced.CompareAndSwap(nil, &exemplars{})
		kept = m.traced.Load()
	}
	at := 0
	for _, quarter := range classicQuarters() {
		if bucketOf(took) <= quarter-4*lowest && (quarter != limitQuarters || took <= Limit) {
			break
		}
		at++
	}
	kept[at].Store(&dto.Exemplar{
		Label: []*dto.LabelPair{{Name: new("trace_id"), Value: &traceID}}, Value: new(took.Seconds()), Timestamp: timestamppb.Now(),
	})
}

// exemplar is nil where nothing was traced.
func (m *Meter) exemplar(bucket int) *dto.Exemplar {
	if kept := m.traced.Load(); kept != nil {
		return kept[bucket].Load()
	}
	return nil
}

// Roll ends an interval and gives its tally; nil where nothing was counted.
func (m *Meter) Roll() *Tally {
	m.turn = (m.turn + 1) % Minute
	m.recent[m.turn] = nil
	t := &Tally{}
	for i := range m.counts {
		now := m.count(i)
		t.counts[i] = uint32(now - m.seen[i])
		t.Count += int64(t.counts[i])
		m.seen[i] = now
	}
	nanos, faults := m.nanos.Load(), m.faults.Load()
	t.nanos, t.Faults = nanos-m.seenTime, faults-m.seenBad
	m.seenTime, m.seenBad = nanos, faults
	if t.Count == 0 {
		return nil
	}
	m.recent[m.turn] = t
	return t
}

// Last sums the latest intervals up, at most a minute's.
func (m *Meter) Last(intervals int) Tally {
	var sum Tally
	for back := range min(intervals, Minute) {
		sum.add(m.recent[(m.turn-back+Minute)%Minute])
	}
	return sum
}
