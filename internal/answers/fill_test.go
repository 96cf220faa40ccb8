package answers_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/touched"
)

// aboard waits until so many want an answer that somebody is computing.
func aboard(t *testing.T, cache *answers.Cache, clinic uuid.UUID, k answers.Key, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return cache.Aboard(clinic, k) == n }, 60*time.Second, time.Millisecond)
}

// rush is n requests at once for one answer, whose first computing does not end
// before all of them have come. It gives how many computed.
func rush(t *testing.T, cache *answers.Cache, clinic uuid.UUID, k answers.Key, n int, fill func(r answers.Request)) int {
	t.Helper()
	var ran atomic.Int32
	var group sync.WaitGroup
	all := make(chan struct{})
	compute := func(ctx context.Context) (*answers.Entry, error) {
		body := strconv.Itoa(int(ran.Add(1)))
		<-all
		return answer(body, "contact:1")(ctx)
	}
	for range n {
		group.Go(func() { fill(answers.Request{Clinic: clinic, Key: k, Compute: compute}) })
	}
	aboard(t, cache, clinic, k, n)
	close(all)
	group.Wait()
	require.Zero(t, cache.Aboard(clinic, k), "nobody is left waiting")
	return int(ran.Load())
}

// TestFill_OneOfManyComputes is C7, whatever becomes of the computed answer.
func TestFill_OneOfManyComputes(t *testing.T) {
	t.Parallel()
	const many = 500
	fill := func(cache *answers.Cache) func(r answers.Request) {
		return func(r answers.Request) {
			entry, _, err := cache.Fill(t.Context(), r)
			if err != nil || len(entry.Body) == 0 {
				t.Errorf("%v, %v", entry, err)
			}
		}
	}
	everywhere(t, func(t *testing.T, config answers.Config) {
		t.Helper()
		cache, clinic := newCache(t, config), uuid.New()
		for n := range 3 {
			ran := rush(t, cache, clinic, key("kept", n), many, fill(cache))
			require.LessOrEqual(t, ran, 2, "an answer that is kept")
			require.Positive(t, ran)
		}
		_, err := cache.Raise(t.Context(), clinic, []touched.Tag{"contact:1"})
		require.NoError(t, err)
		require.LessOrEqual(t, rush(t, cache, clinic, key("fenced"), many, fill(cache)), 2, "an answer that is being written")
		_, outcome := cache.Get(t.Context(), clinic, key("fenced"))
		require.False(t, outcome.Hit)

		cache.Close()
		require.LessOrEqual(t, rush(t, cache, clinic, key("bypassed"), many, fill(cache)), 2, "nothing can be kept")
	})
	everywhere(t, func(t *testing.T, config answers.Config) {
		t.Helper()
		ends := make(chan struct{})
		config.Barrier = func(context.Context) error { <-ends; return nil }
		cache, clinic := newCache(t, config), uuid.New()
		require.LessOrEqual(t, rush(t, cache, clinic, key("closed"), many, fill(cache)), 2, "a clinic that is not open")
		_, outcome := cache.Get(t.Context(), clinic, key("closed"))
		require.False(t, outcome.Hit)
		close(ends)
	})
	t.Run("while Redis hangs", func(t *testing.T) {
		t.Parallel()
		server := newRedis(t)
		cache, clinic := newCache(t, answers.Config{RedisURL: server.url(), RedisTimeout: 500 * time.Millisecond}), uuid.New()
		keep(t, cache, clinic, key("a"), answer("1"))
		require.NoError(t, server.cmd.Process.Signal(syscall.SIGSTOP))
		require.LessOrEqual(t, rush(t, cache, clinic, key("hangs"), many, fill(cache)), 2)
	})
}

// TestFill_WhoComesAfterTheReadingBeganIsNotGivenIt has a reader stand still
// after it has read, and a write acknowledged before the next one comes.
func TestFill_WhoComesAfterTheReadingBeganIsNotGivenIt(t *testing.T) {
	t.Parallel()
	late := func(t *testing.T, config answers.Config, without answers.Protections) string {
		t.Helper()
		cache, clinic := newCacheWithout(t, config, without, nil), uuid.New()
		keep(t, cache, clinic, key("open"), answer("", "open"))
		var value atomic.Int64
		reads, on := make(chan struct{}, 3), make(chan struct{})
		request := answers.Request{Clinic: clinic, Key: key("a"), Compute: func(ctx context.Context) (*answers.Entry, error) {
			read := value.Load()
			reads <- struct{}{}
			<-on
			return answer(strconv.FormatInt(read, 10), "contact:1")(ctx)
		}}
		var first, second *answers.Entry
		var group sync.WaitGroup
		group.Go(func() { first, _, _ = cache.Fill(t.Context(), request) })
		<-reads
		settle, err := cache.Raise(t.Context(), clinic, []touched.Tag{"contact:1"})
		require.NoError(t, err)
		value.Store(1)
		settle(t.Context(), touched.Committed)
		group.Go(func() { second, _, _ = cache.Fill(t.Context(), request) })
		aboard(t, cache, clinic, key("a"), 2)
		close(on)
		group.Wait()
		require.Equal(t, "0", string(first.Body))
		return string(second.Body)
	}
	everywhere(t, func(t *testing.T, config answers.Config) {
		t.Helper()
		require.Equal(t, "0", late(t, config, answers.Protections{Late: true}), "the test must notice what comes too late")
		require.Equal(t, "1", late(t, config, answers.Protections{}))
	})
}

func TestFill_WhoeverWaitedForAFailureOrARefusalComputes(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, config answers.Config) {
		t.Helper()
		cache, clinic := newCache(t, config), uuid.New()
		for name, compute := range map[string]answers.Compute{
			"failure": func(context.Context) (*answers.Entry, error) { return nil, errors.New("out of luck") },
			"refusal": func(context.Context) (*answers.Entry, error) { return nil, nil },
		} {
			ran := rush(t, cache, clinic, key(name), 20, func(r answers.Request) {
				counted := r.Compute
				r.Compute = func(ctx context.Context) (*answers.Entry, error) {
					if _, err := counted(ctx); err != nil {
						return nil, err
					}
					return compute(ctx)
				}
				entry, outcome, _ := cache.Fill(t.Context(), r)
				if entry != nil || outcome.Hit {
					t.Errorf("%s was kept", name)
				}
			})
			require.Equal(t, 20, ran, name)
		}
	})
}

// TestFill_AnotherComputesForTheRestWhereOneGaveUp has the one who computes go
// away, and then one who panics.
func TestFill_AnotherComputesForTheRestWhereOneGaveUp(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, config answers.Config) {
		t.Helper()
		cache, clinic := newCache(t, config), uuid.New()
		for name, giveUp := range map[string]func(cancel func()){
			"gone":      func(cancel func()) { cancel() },
			"panicking": func(func()) { panic("out of luck") },
		} {
			var first atomic.Bool
			var answered, gone atomic.Int32
			ran := rush(t, cache, clinic, key(name), 50, func(r answers.Request) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				defer func() {
					if recover() != nil {
						gone.Add(1)
					}
				}()
				counted := r.Compute
				r.Compute = func(ctx context.Context) (*answers.Entry, error) {
					entry, err := counted(ctx)
					if !first.Swap(true) {
						giveUp(cancel)
						return nil, nil
					}
					return entry, err
				}
				switch entry, _, err := cache.Fill(ctx, r); {
				case err != nil:
					t.Errorf("%s: %s", name, err)
				case entry == nil:
					gone.Add(1)
				default:
					answered.Add(1)
				}
			})
			require.EqualValues(t, 1, gone.Load(), name)
			require.EqualValues(t, 49, answered.Load(), name)
			require.LessOrEqual(t, ran, 3, name)
		}
	})
}

func TestFill_WhoGoesAwayWhileWaitingHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, config answers.Config) {
		t.Helper()
		cache, clinic := newCache(t, config), uuid.New()
		ctx, cancel := context.WithCancel(t.Context())
		reads, on := make(chan struct{}), make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() {
			_, _, err := cache.Fill(t.Context(), answers.Request{Clinic: clinic, Key: key("a"), Compute: func(ctx context.Context) (*answers.Entry, error) {
				close(reads)
				<-on
				return answer("1")(ctx)
			}})
			if err != nil {
				t.Error(err)
			}
		})
		<-reads
		for range 5 {
			group.Go(func() {
				_, _, err := cache.Fill(ctx, answers.Request{Clinic: clinic, Key: key("a"), Compute: answer("2")})
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%v", err)
				}
			})
		}
		aboard(t, cache, clinic, key("a"), 6)
		cancel()
		aboard(t, cache, clinic, key("a"), 1)
		close(on)
		group.Wait()
		require.Zero(t, cache.Aboard(clinic, key("a")))
		require.Equal(t, "1", keep(t, cache, clinic, key("a"), answer("3")))
	})
}
