package telemetry

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHistory_KeepsTheLastHourOldestFirst(t *testing.T) {
	t.Parallel()
	telemetry := New(Config{})
	defer telemetry.Close()
	begin := time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)
	const taken = 1000
	for i := range taken {
		telemetry.publish(Snapshot{
			At:             begin.Add(time.Duration(i) * Interval),
			SlowOperations: []Operation{{Name: "Day", Fields: []Share{{Name: "Query.appointments"}}}},
		})
	}
	history := telemetry.History()
	require.Len(t, history, 720)
	for i, snapshot := range history {
		require.Equal(t, begin.Add(time.Duration(taken-720+i)*Interval), snapshot.At)
		require.Equal(t, i == 719, snapshot.SlowOperations[0].Fields != nil, "details are the latest one's alone")
	}
}

func TestSubscribe_EndsWithItsContextAndIsNeverWaitedFor(t *testing.T) {
	t.Parallel()
	telemetry := New(Config{})
	defer telemetry.Close()
	ctx, cancel := context.WithCancel(t.Context())
	reads, ignores := telemetry.Subscribe(ctx), telemetry.Subscribe(ctx)
	for i := range 3 {
		telemetry.publish(Snapshot{IntervalSeconds: float64(i)})
		require.Equal(t, float64(i), (<-reads).IntervalSeconds) //nolint:testifylint // the very number
	}
	require.Zero(t, (<-ignores).IntervalSeconds, "the first one waits for a slow reader")
	cancel()
	_, open := <-reads
	require.False(t, open)
	telemetry.publish(Snapshot{}) // Nobody listens any more.
}
