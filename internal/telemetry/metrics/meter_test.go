package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

func TestMeter_QuantilesAreWithinATenth(t *testing.T) {
	t.Parallel()
	var m Meter
	dice := rand.New(rand.NewPCG(1, 2))
	took := make([]time.Duration, 20_000)
	for i := range took {
		took[i] = time.Duration(50_000 * (1 + dice.ExpFloat64()*40))
		m.Observe(took[i], i%100 == 0)
	}
	slices.Sort(took)
	tally := m.Roll()
	require.EqualValues(t, len(took), tally.Count)
	require.EqualValues(t, 200, tally.Faults)
	for _, share := range []float64{0.5, 0.95, 0.99} {
		exact := took[int(share*float64(len(took)))].Seconds() * 1000
		require.InEpsilon(t, exact, tally.Quantile(share), 0.1)
	}
}

func TestMeter_LooksBackAMinute(t *testing.T) {
	t.Parallel()
	var m Meter
	m.Observe(time.Second, true)
	require.NotNil(t, m.Roll())
	for range Minute - 1 {
		require.Nil(t, m.Roll())
	}
	sum := m.Last(Minute)
	require.EqualValues(t, 1, sum.Count)
	require.EqualValues(t, 1, sum.Above(100*time.Millisecond))
	none := m.Last(1)
	require.Zero(t, none.Count)
	m.Roll()
	sum = m.Last(Minute)
	require.Zero(t, sum.Count)
	require.Zero(t, sum.Quantile(0.5))
}

func TestBuckets_FollowEachOther(t *testing.T) {
	t.Parallel()
	for bucket := range buckets - 1 {
		low, high := boundsOf(bucket)
		next, _ := boundsOf(bucket + 1)
		require.InEpsilon(t, high, next, 1e-9)
		require.Equal(t, bucket, bucketOf(time.Duration((low+high)/2*float64(time.Millisecond))), "%g", low)
	}
	require.Equal(t, buckets-1, bucketOf(1<<62))
	require.Zero(t, bucketOf(-1))
	require.Zero(t, bucketOf(0))
	require.Equal(t, bucketOf(time.Second), bucketOf(time.Second-1), "a bucket's upper bound belongs to it")
	require.NotEqual(t, bucketOf(time.Second), bucketOf(time.Second+1))
}

// TestHistogram_TellsPrometheusWhatWasCounted reads the classic and the native
// buckets back.
func TestHistogram_TellsPrometheusWhatWasCounted(t *testing.T) {
	t.Parallel()
	var m Meter
	took := []time.Duration{
		100, 400 * time.Microsecond, 500 * time.Microsecond, 3 * time.Millisecond, 70 * time.Millisecond, 100 * time.Millisecond,
		100*time.Millisecond + 1, 105 * time.Millisecond, 105_112_051, 105_112_052, time.Second, time.Minute, time.Hour,
	}
	for _, each := range took {
		m.Observe(each, false)
	}
	var out dto.Metric
	require.NoError(t, reading{NewHistogram("x", "x", nil, "field"), []string{"Query.contacts"}, &m}.Write(&out))
	h := out.GetHistogram()
	require.EqualValues(t, len(took), h.GetSampleCount())
	for _, bucket := range h.GetBucket() {
		within := 0
		for _, each := range took {
			if each.Seconds() <= bucket.GetUpperBound() {
				within++
			}
		}
		require.EqualValues(t, within, bucket.GetCumulativeCount(), "le=%g", bucket.GetUpperBound())
	}
	require.EqualValues(t, 1, h.GetZeroCount())
	index, count, at, seen := int32(0), int64(0), 0, 1
	for _, span := range h.GetPositiveSpan() {
		index += span.GetOffset()
		for range span.GetLength() {
			count += h.GetPositiveDelta()[at]
			at++
			high := math.Exp2(float64(index) / 4)
			within := int64(0)
			for _, each := range took[:len(took)-1] { // The last bucket holds all beyond it.
				if s := each.Seconds(); s <= high && s > high/quarterOctave {
					within++
				}
			}
			if index == 24 {
				within++
			}
			require.Equal(t, within, count, "up to %g s", high)
			seen += int(count)
			index++
		}
	}
	require.Equal(t, len(took), seen)

	require.Len(t, classicQuarters(), classics)
	require.InDelta(t, float64(limitEnds), 1e9*math.Exp2(limitQuarters/4.0), 1)
	require.True(t, slices.ContainsFunc(h.GetBucket(), func(b *dto.Bucket) bool { return b.GetUpperBound() == 0.1 }), "the rules ask for it")
	m.ObserveTraced(70*time.Millisecond, false, "abc")
	m.ObserveTraced(time.Hour, false, "def")
	m.ObserveTraced(100*time.Millisecond+1, false, "ghi")
	out.Reset()
	require.NoError(t, reading{NewHistogram("x", "x", nil, "field"), []string{"Query.contacts"}, &m}.Write(&out))
	for _, bucket := range out.GetHistogram().GetBucket() {
		within := bucket.GetUpperBound() > 0.07 && bucket.GetUpperBound() < 0.1 || bucket.GetUpperBound() == 0.125
		require.Equal(t, within, bucket.GetExemplar() != nil, "le=%g", bucket.GetUpperBound())
	}
}
