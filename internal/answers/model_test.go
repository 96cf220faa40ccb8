package answers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/touched"
)

// The model: a tiny database, whose rows are counters, read and written through
// the cache by readers and writers on two instances, with a pause at any step of
// the protocol, and writers who die at any step. What a read gives must not be
// older than any write that was acknowledged, or any value that somebody had
// seen, before the read began.

const rows = 4

// longest bounds a commit and a request in the model.
const longest = 60 * time.Millisecond

// errCut is what a writer gets who is cut off from Redis.
var errCut = errors.New("cut off from redis")

// history is one clinic's life.
type history struct {
	// mute cuts some writers off from Redis.
	mute   bool
	clinic uuid.UUID
	caches []*answers.Cache
	db     *rowStore
	random func(n int) int
	pause  func()

	mu sync.Mutex
	// least is what a read that begins now must show at least.
	least [rows]int
	stale []string
	hits  *atomic.Int64
	late  sync.WaitGroup
}

// acknowledged notes that a write is done, if it is.
func (h *history) acknowledged(values [rows]int, which []int, done bool) {
	if done {
		h.seen(values, which)
	}
}

// seen notes what a read showed: nobody may be shown less from then on.
func (h *history) seen(values [rows]int, which []int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, row := range which {
		h.least[row] = max(h.least[row], values[row])
	}
}

func (h *history) some() []int {
	var which []int
	for row := range rows {
		if h.random(2) == 0 {
			which = append(which, row)
		}
	}
	if len(which) == 0 {
		which = []int{h.random(rows)}
	}
	return which
}

func (h *history) tags(which []int) []touched.Tag {
	var tags []touched.Tag
	for _, row := range which {
		tags = append(tags, touched.Tag(fmt.Sprint("row:", row)))
	}
	return tags
}

func (h *history) write(ctx context.Context) {
	cache := h.caches[h.random(len(h.caches))]
	which := h.some()
	tags := h.tags(which)
	if h.random(10) == 0 {
		tags = []touched.Tag{touched.Everything}
	}
	end := h.db.begin()
	h.pause()
	by := time.Now().Add(longest)
	var settle func(ctx context.Context, outcome touched.Outcome)
	err := errCut
	if !h.mute || h.random(4) > 0 {
		settle, err = cache.Raise(ctx, h.clinic, tags)
	}
	if err != nil {
		// As a cache that listens and the database do: everybody stands aside, the
		// transaction notifies at its commit, and each comes back once it has heard of
		// that and that the announcer has ended, whether the others have or not.
		announcer := uuid.NewString()
		for _, other := range h.caches {
			h.pause()
			other.Heard(ctx, announcer, false, h.clinic)
		}
		h.pause()
		values, ok := end(which, time.Now().Add(time.Hour))
		h.acknowledged(values, which, ok)
		for _, other := range h.caches {
			h.pause()
			other.Heard(ctx, announcer, true, h.clinic, tags...)
		}
		if settle != nil {
			settle(ctx, touched.Committed)
		}
		return
	}
	h.pause()
	switch fate := h.random(20); fate {
	case 0:
		end(nil, by)
		settle(ctx, touched.RolledBack)
	case 1: // it dies before its commit
		end(nil, by)
	case 2: // it dies while its commit is on the way
		h.late.Go(func() {
			<-time.After(time.Duration(h.random(int(longest))))
			end(which, by)
		})
		if h.random(2) == 0 {
			settle(ctx, touched.Unknown)
		}
	default:
		values, ok := end(which, by)
		h.pause()
		if fate == 3 { // it dies after its commit
			return
		}
		outcome := touched.Committed
		if !ok {
			outcome = touched.RolledBack
		}
		settle(ctx, outcome)
		h.acknowledged(values, which, ok)
	}
}

func (h *history) read(ctx context.Context) {
	cache := h.caches[h.random(len(h.caches))]
	which := h.some()
	h.mu.Lock()
	least := h.least
	h.mu.Unlock()
	compute := func(context.Context) (*answers.Entry, error) {
		h.pause()
		values := h.db.read()
		h.pause()
		body, err := json.Marshal(values)
		return &answers.Entry{Body: body, Tags: h.tags(which), ExpiresAt: time.Now().Add(time.Minute)}, err
	}
	entry, outcome, err := cache.Fill(ctx, answers.Request{Clinic: h.clinic, Key: key(which), Compute: compute})
	var got [rows]int
	if err == nil {
		err = json.Unmarshal(entry.Body, &got)
	}
	h.mu.Lock()
	if err != nil {
		h.stale = append(h.stale, err.Error())
	}
	for _, row := range which {
		if got[row] < least[row] {
			h.stale = append(h.stale, fmt.Sprintf("row %d: %d, but %d was acknowledged or seen (%+v)", row, got[row], least[row], outcome))
		}
	}
	h.mu.Unlock()
	if outcome.Hit {
		h.hits.Add(1)
	}
	h.seen(got, which)
}

func (h *history) run(ctx context.Context) []string {
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for range 4 {
				h.pause()
				h.write(ctx)
			}
		})
	}
	for range 4 {
		group.Go(func() {
			for range 12 {
				h.read(ctx)
			}
		})
	}
	group.Wait()
	h.late.Wait()
	// Everything has ended: what is kept now must be right, also once the fences
	// of the dead have run out.
	for range 8 {
		h.read(ctx)
	}
	return h.stale
}

// model runs histories on the caches until a number of them has run or, if
// untilStale, one is stale. It gives what was stale.
type model struct {
	config    answers.Config
	instances int
	without   answers.Protections
	mute      bool
	// hits are counted for whoever makes trouble meanwhile; nil if nobody does.
	hits *atomic.Int64
}

func (m model) run(t *testing.T, histories int, untilStale bool) []string {
	t.Helper()
	random := func(n int) int { return rand.IntN(n) }
	pause := func() {
		switch random(6) {
		case 0:
			<-time.After(time.Duration(random(400)) * time.Microsecond)
		case 1:
			<-time.After(time.Duration(random(3)) * time.Millisecond)
		default:
		}
	}
	db := &barriers{}
	config := m.config
	config.LongestCommit, config.LongestRequest = longest, longest
	config.Barrier = db.barrier
	if config.RedisURL != "" {
		config.Prefix = prefix(t)
	}
	var caches []*answers.Cache
	for range m.instances {
		caches = append(caches, newCacheWithout(t, config, m.without, func(string) { pause() }))
	}
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		stale []string
		left  atomic.Int64
		ran   atomic.Int64
	)
	hits := m.hits
	if hits == nil {
		hits = &atomic.Int64{}
	}
	hits.Store(0)
	left.Store(int64(histories))
	for range 12 {
		group.Go(func() {
			// On a slow machine that many may not hit often enough to show anything.
			for left.Add(-1) >= 0 || !untilStale && int(hits.Load()) <= histories/4 && ran.Load() < int64(10*histories) {
				h := &history{
					clinic: uuid.New(), caches: caches, random: random, pause: pause, hits: hits, mute: m.mute,
					db: &rowStore{running: map[int]chan struct{}{}},
				}
				db.add(h.db)
				ran.Add(1)
				found := h.run(t.Context())
				db.remove(h.db)
				mu.Lock()
				stale = append(stale, found...)
				mu.Unlock()
				if untilStale && len(found) > 0 {
					left.Store(0)
				}
			}
		})
	}
	group.Wait()
	t.Logf("%d histories, %d hits, %d stale", ran.Load(), hits.Load(), len(stale))
	if !untilStale {
		require.Greater(t, int(hits.Load()), histories/4, "the model must hit, or it shows nothing")
	}
	return stale
}

// barriers is the barrier of all databases of the model: they share a server.
type barriers struct {
	mu  sync.Mutex
	all map[*rowStore]struct{}
}

func (b *barriers) add(d *rowStore) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[*rowStore]struct{}{}
	}
	b.all[d] = struct{}{}
}

func (b *barriers) remove(d *rowStore) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, d)
}

func (b *barriers) barrier(ctx context.Context) error {
	b.mu.Lock()
	var all []*rowStore
	for d := range b.all {
		all = append(all, d)
	}
	b.mu.Unlock()
	for _, d := range all {
		if err := d.barrier(ctx); err != nil {
			return err
		}
	}
	return nil
}

func TestModel_NoReadIsOlderThanWhatWasAcknowledgedOrSeen(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	shared := answers.Config{RedisURL: d.RedisURL}
	for name, m := range map[string]model{
		"two instances on Redis":     {config: shared, instances: 2},
		"one instance without Redis": {instances: 1},
		"writers cut off from Redis": {config: shared, instances: 2, mute: true},
	} {
		t.Run(name, func(t *testing.T) {
			wanting := []answers.Protections{{Fence: true}, {Check: true}, {Late: true}}
			if m.mute {
				wanting = []answers.Protections{{Aside: true}, {Hasty: true}}
			}
			for _, without := range wanting {
				broken := m
				broken.without = without
				require.NotEmpty(t, broken.run(t, 20*testkit.Longer(t, 250), true), "the model must notice that %+v is missing", without)
			}
			require.Empty(t, m.run(t, testkit.Longer(t, 250), false))
		})
	}
}
