package dashboard

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHistory_KeepsTheLastHourOldestFirst(t *testing.T) {
	t.Parallel()
	history := NewHistory()
	require.Equal(t, []Snapshot{}, history.All(), "a list, also where there is nothing yet")
	begin := time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)
	const taken = 1000
	for i := range taken {
		history.Add(Snapshot{
			At:             begin.Add(time.Duration(i) * Interval),
			SlowOperations: []Operation{{Name: "Day", Fields: []Share{{Name: "Query.appointments"}}}},
		})
	}
	all := history.All()
	require.Len(t, all, 720)
	for i, snapshot := range all {
		require.Equal(t, begin.Add(time.Duration(taken-720+i)*Interval), snapshot.At)
		require.Equal(t, i == 719, snapshot.SlowOperations[0].Fields != nil, "details are the latest one's alone")
	}
}

func TestHistory_SubscribersEndWithTheirContextAndAreNeverWaitedFor(t *testing.T) {
	t.Parallel()
	history := NewHistory()
	ctx, cancel := context.WithCancel(t.Context())
	reads, ignores := history.Subscribe(ctx), history.Subscribe(ctx)
	for i := range 3 {
		history.Add(Snapshot{IntervalSeconds: float64(i)})
		require.Equal(t, float64(i), (<-reads).IntervalSeconds) //nolint:testifylint // the very number
	}
	require.Zero(t, (<-ignores).IntervalSeconds, "the first one waits for a slow reader")
	cancel()
	_, open := <-reads
	require.False(t, open)
	history.Add(Snapshot{}) // Nobody listens any more.
}
