package coherence_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/touched"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// newShared is a journal as an instance has it, over a link of its own.
func newShared(t *testing.T, server *testkit.Redis, timeout time.Duration) *coherence.Shared {
	t.Helper()
	options, err := coherence.Options(server.URL, timeout)
	require.NoError(t, err)
	link, err := coherence.Dial(t.Context(), options, nil, coherence.Seams{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = link.Close() })
	return coherence.NewShared(link, "test", "database", time.Minute, coherence.Seams{})
}

// write is the two steps of a write.
func write(t *testing.T, journal coherence.Journal, clinic uuid.UUID, tags ...touched.Tag) {
	t.Helper()
	for range 2 {
		require.NoError(t, journal.Raise(t.Context(), clinic, coherence.Write{Tags: tags}))
	}
}

// hgets is how often Redis was asked for a field.
func hgets(t *testing.T, server *testkit.Redis) int {
	t.Helper()
	text, err := server.Client.Info(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	for line := range strings.Lines(text) {
		var calls int
		if n, _ := fmt.Sscanf(line, "cmdstat_hget:calls=%d,", &calls); n == 1 {
			return calls
		}
	}
	return 0
}

func TestHeads_NobodyGetsAnOlderOneThanHeAskedFor(t *testing.T) {
	t.Parallel()
	server := testkit.NewRedis(t)
	reads, writes := newShared(t, server, 10*time.Second), newShared(t, server, 10*time.Second)
	// More than one question has room for.
	clinics := make([]uuid.UUID, 100)
	reached := make([]atomic.Uint64, len(clinics))
	for i := range clinics {
		clinics[i] = uuid.New()
		write(t, writes, clinics[i], "contact:1")
		first, second, err := writes.Heads(t.Context(), clinics[i], uuid.Nil)
		require.NoError(t, err)
		require.NotEqual(t, first, second, "each has its own")
		reached[i].Store(first)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var asked atomic.Int64
	var all sync.WaitGroup
	for i := range clinics {
		all.Go(func() {
			for ctx.Err() == nil {
				j := (i + int(asked.Add(1))) % len(clinics)
				leastI, leastJ := reached[i].Load(), reached[j].Load()
				first, second, err := reads.Heads(t.Context(), clinics[i], clinics[j])
				if err != nil || first < leastI || second < leastJ {
					t.Errorf("%d after %d, %d after %d: %v", first, leastI, second, leastJ, err)
					return
				}
			}
		})
	}
	for n := range 300 {
		i := n % len(clinics)
		write(t, writes, clinics[i], "contact:1")
		reached[i].Add(2) // a step before, a step after
	}
	stop()
	all.Wait()
	// Of the same clinic, however many want to know.
	var same sync.WaitGroup
	require.Positive(t, asked.Load())
	before := hgets(t, server)
	server.Hang(t)
	for range 50 {
		same.Go(func() {
			if _, _, err := reads.Heads(t.Context(), clinics[0], uuid.Nil); err != nil {
				t.Error(err)
			}
		})
	}
	<-time.After(100 * time.Millisecond) // for most to have come
	server.Resume(t)
	same.Wait()
	require.Less(t, hgets(t, server)-before, 50, "two fields at once for all who wait")
}

func TestHeads_WhoGoesAwayTakesNobodyWithIt(t *testing.T) {
	t.Parallel()
	server := testkit.NewRedis(t)
	reads := newShared(t, server, 5*time.Second)
	clinic := uuid.New()
	write(t, reads, clinic, "contact:1")
	want, _, err := reads.Heads(t.Context(), clinic, clinic)
	require.NoError(t, err)
	server.Hang(t)
	impatient, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			ctx := t.Context()
			if i%2 == 0 {
				ctx = impatient
			}
			got, _, err := reads.Heads(ctx, clinic, clinic)
			if i%2 == 1 && (err != nil || got != want) {
				t.Errorf("%d, and not %d: %v", got, want, err)
			}
		})
	}
	<-time.After(50 * time.Millisecond) // for most to have come
	leave()
	server.Resume(t)
	all.Wait()
}
