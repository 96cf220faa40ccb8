package telemetry

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMeter_QuantilesAreWithinATenth(t *testing.T) {
	t.Parallel()
	var m meter
	dice := rand.New(rand.NewPCG(1, 2))
	took := make([]time.Duration, 20_000)
	for i := range took {
		took[i] = time.Duration(50_000 * (1 + dice.ExpFloat64()*40))
		m.observe(took[i], i%100 == 0)
	}
	slices.Sort(took)
	tally := m.roll()
	require.EqualValues(t, len(took), tally.count)
	require.EqualValues(t, 200, tally.faults)
	for _, share := range []float64{0.5, 0.95, 0.99} {
		exact := took[int(share*float64(len(took)))].Seconds() * 1000
		require.InEpsilon(t, exact, tally.quantile(share), 0.1)
	}
}

func TestMeter_LooksBackAMinute(t *testing.T) {
	t.Parallel()
	var m meter
	m.observe(time.Second, true)
	require.NotNil(t, m.roll())
	for range minute - 1 {
		require.Nil(t, m.roll())
	}
	sum := m.last(minute)
	require.EqualValues(t, 1, sum.count)
	require.EqualValues(t, 1, sum.above(100*time.Millisecond))
	none := m.last(1)
	require.Zero(t, none.count)
	m.roll()
	sum = m.last(minute)
	require.Zero(t, sum.count)
	require.Zero(t, sum.quantile(0.5))
}

func TestBuckets_FollowEachOther(t *testing.T) {
	t.Parallel()
	for bucket := range buckets - 1 {
		low, high := boundsOf(bucket)
		next, _ := boundsOf(bucket + 1)
		require.InDelta(t, high, next, 1e-9)
		require.Equal(t, bucket, bucketOf(time.Duration(low)*time.Microsecond))
	}
	require.Equal(t, buckets-1, bucketOf(1<<62))
	require.Zero(t, bucketOf(-1))
}
