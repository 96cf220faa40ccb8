package answers_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/touched"
)

// wire is a way to Redis that a test can cut for one instance alone.
type wire struct {
	to       string
	listener net.Listener

	mu    sync.Mutex
	isCut bool
	conns map[net.Conn]struct{}
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{to: to, listener: listener, conns: map[net.Conn]struct{}{}}
	var group sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		w.cut()
		group.Wait()
	})
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { w.carry(conn) })
		}
	})
	return w
}

func (w *wire) url() string { return "redis://" + w.listener.Addr().String() + "/0" }

// cut ends all connections and refuses others until heal.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	for conn := range w.conns {
		_ = conn.Close()
	}
}

func (w *wire) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = false
}

// admits tells whether a connection is let through.
func (w *wire) admits(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isCut {
		return false
	}
	for _, conn := range conns {
		w.conns[conn] = struct{}{}
	}
	return true
}

func (w *wire) carry(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	onward, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer func() { _ = onward.Close() }()
	if !w.admits(conn, onward) {
		return
	}
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.conns, conn)
		delete(w.conns, onward)
	}()
	var group sync.WaitGroup
	for from, to := range map[net.Conn]net.Conn{conn: onward, onward: conn} {
		group.Go(func() {
			_, _ = io.Copy(to, from)
			_ = to.Close()
		})
	}
	group.Wait()
}

// TestAside_NobodyServesWhileSomebodyWritesWhoCannotTellRedis cuts one of two
// instances off from Redis.
func TestAside_NobodyServesWhileSomebodyWritesWhoCannotTellRedis(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	const aside = "redis is out of reach of an instance that writes"
	cutOff := func(t *testing.T, without answers.Protections) (servedOld bool) {
		t.Helper()
		server := newRedis(t)
		way := newWire(t, server.addr())
		config := answers.Config{RedisURL: way.url(), Prefix: prefix(t), ListenURL: d.AppURL}
		writes := newCacheWithout(t, config, without, nil)
		defer writes.Close() // The next Redis is another, which none may use as long as this one is used.
		config.RedisURL = server.url()
		reads, clinic := newCacheWithout(t, config, without, nil), uuid.New()
		defer reads.Close()
		ready(t, writes)
		require.Equal(t, "old", keep(t, reads, clinic, key("a"), answer("old", "contact:1")))
		require.Equal(t, "old", keep(t, writes, clinic, key("a"), answer("old", "contact:1")))

		way.cut()
		settle, err := writes.Raise(t.Context(), clinic, []touched.Tag{"contact:1"})
		require.Error(t, err, "the transaction must notify")
		// It may commit from here on.
		_, outcome := reads.Get(t.Context(), clinic, key("a"))
		servedOld = outcome.Hit
		began := time.Now()
		settleNext, err := writes.Raise(t.Context(), uuid.New(), []touched.Tag{"contact:1"})
		require.Error(t, err)
		t.Logf("the next such write waited %s", time.Since(began).Round(time.Millisecond))
		if !without.Aside {
			require.Eventually(t, func() bool {
				_, outcome = reads.Get(t.Context(), clinic, key("a"))
				require.True(t, outcome.Bypassed)
				return outcome.Reason == aside
			}, 20*time.Second, time.Millisecond)
		}
		// Who begins only now stands aside, too.
		late, err := answers.NewWithout(config, without, nil)
		require.NoError(t, err)
		defer late.Close()
		require.Eventually(t, func() bool {
			_, outcome := late.Get(t.Context(), clinic, key("a"))
			require.False(t, outcome.Hit)
			return outcome.Reason == aside || without.Aside
		}, 20*time.Second, time.Millisecond)

		token := uuid.NewString()
		notify(t, d, clinic, token, "contact:1")
		settle(t.Context(), touched.Committed)
		settleNext(t.Context(), touched.RolledBack)
		if err := writes.AwaitNotified(t.Context(), token); err != nil {
			require.False(t, writes.Listening(), "%s", err)
		}
		way.heal()
		if without.Aside {
			return servedOld // and it may for a while yet
		}
		for _, cache := range []*answers.Cache{reads, writes, late} {
			require.Equal(t, "new", keep(t, cache, clinic, key("a"), answer("new", "contact:1")))
		}
		return servedOld
	}
	// On a busy machine it may not serve for another reason, for once.
	noticed := false
	for range 5 {
		noticed = noticed || cutOff(t, answers.Protections{Aside: true})
	}
	require.True(t, noticed, "the test must notice who goes on serving")
	require.False(t, cutOff(t, answers.Protections{}))
}

func TestAside_AWriterWhoReachesRedisAgainMeanwhileRaises(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	server := newRedis(t)
	way := newWire(t, server.addr())
	// It heals the moment that the writer has found it cut.
	cache, clinic := newCacheWithout(t, answers.Config{RedisURL: way.url(), ListenURL: d.AppURL}, answers.Protections{}, func(point string) {
		if point == "aside" {
			way.heal()
		}
	}), uuid.New()
	require.Equal(t, "old", keep(t, cache, clinic, key("a"), answer("old", "contact:1")))
	way.cut()
	settle, err := cache.Raise(t.Context(), clinic, []touched.Tag{"contact:1"})
	require.NoError(t, err)
	settle(t.Context(), touched.Committed)
	require.Equal(t, "new", keep(t, cache, clinic, key("a"), answer("new", "contact:1")))
}
