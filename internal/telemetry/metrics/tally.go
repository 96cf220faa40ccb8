package metrics

import (
	"math"
	"time"
)

// Tally is what a meter counted within some time.
type Tally struct {
	// Count is how many there were, Faults how many of them failed.
	Count, Faults int64

	counts [buckets]uint32
	nanos  int64
}

func (t *Tally) add(other *Tally) {
	if other == nil {
		return
	}
	for i, n := range other.counts {
		t.counts[i] += n
	}
	t.Count += other.Count
	t.Faults += other.Faults
	t.nanos += other.nanos
}

// Quantile gives the duration, in milliseconds, that a share of the counted
// ones did not exceed, within a tenth; 0 where there are none.
func (t *Tally) Quantile(share float64) float64 {
	if t.Count == 0 {
		return 0
	}
	rank := share * float64(t.Count)
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

// Above counts what took longer than a limit, which is rounded up to a bucket's bound.
func (t *Tally) Above(limit time.Duration) int64 {
	var n int64
	for i := bucketOf(limit) + 1; i < buckets; i++ {
		n += int64(t.counts[i])
	}
	return n
}

// Total is how long all took together, in milliseconds.
func (t *Tally) Total() float64 { return Milliseconds(t.nanos) }

// Mean is in milliseconds; 0 where there are none.
func (t *Tally) Mean() float64 {
	if t.Count == 0 {
		return 0
	}
	return Milliseconds(t.nanos) / float64(t.Count)
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

// Milliseconds are what the dashboard has times in.
func Milliseconds(nanos int64) float64 { return float64(nanos) / float64(time.Millisecond) }
