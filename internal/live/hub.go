package live

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/rights"
)

// readers is how many feeds and followers read at once: requests need connections, too.
const readers = 4

// Config is what a Hub is made of. DB, Rights and Cursors are required.
type Config struct {
	DB      *database.DB
	Rights  *rights.Table
	Cursors *paging.Cursors
	// RedisURL is where other instances ring and are rung at; empty for one alone.
	RedisURL string
	// RedisTimeout bounds one command to Redis (100 ms).
	RedisTimeout time.Duration
	// Every is how often a feed looks of which nobody rings (1 s).
	Every time.Duration
	// Log may be nil.
	Log *slog.Logger
}

// Hub has the feeds of the clinics that are followed on this server.
type Hub struct {
	config Config
	bell   *bell
	turns  chan struct{}

	ctx     context.Context //nolint:containedctx // it ends the feeds, which begin later
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	feeds  map[uuid.UUID]*feed
}

// New makes a Hub; Close ends it.
func New(config Config) (*Hub, error) {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Every == 0 {
		config.Every = time.Second
	}
	if config.RedisTimeout == 0 {
		config.RedisTimeout = 100 * time.Millisecond
	}
	h := &Hub{config: config, feeds: map[uuid.UUID]*feed{}, turns: make(chan struct{}, readers)}
	h.ctx, h.stop = context.WithCancel(context.Background())
	var err error
	if h.bell, err = newBell(config, h.Ring); err != nil {
		h.stop()
		return nil, err
	}
	return h, nil
}

// Close ends all feeds; who follows gets UNAVAILABLE.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.stop()
	h.running.Wait()
	h.bell.close()
}

// Stamped is told which clinics have new changes, on the server that gave them their
// positions, and tells all others. It does not wait.
func (h *Hub) Stamped(clinics []uuid.UUID) {
	h.Ring(clinics)
	h.bell.ring(clinics)
}

// Ring has the clinics' feeds look for what is new. It does not wait.
func (h *Hub) Ring(clinics []uuid.UUID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, clinic := range clinics {
		if f := h.feeds[clinic]; f != nil {
			f.ring()
		}
	}
}

// join gives a clinic's feed, and begins it where there is none.
func (h *Hub) join(clinic uuid.UUID) (*feed, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, unavailable(errEnded)
	}
	f := h.feeds[clinic]
	if f == nil {
		f = &feed{hub: h, clinic: clinic, rung: make(chan struct{}, 1), begun: make(chan struct{}), news: make(chan struct{})}
		var ctx context.Context
		ctx, f.stop = context.WithCancel(h.ctx)
		h.feeds[clinic] = f
		h.running.Go(func() { f.run(ctx) })
	}
	f.followers++
	return f, nil
}

// left ends a feed that nobody follows any more.
func (h *Hub) left(f *feed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.followers--; f.followers > 0 {
		return
	}
	f.stop()
	if h.feeds[f.clinic] == f {
		delete(h.feeds, f.clinic)
	}
}

// forget has the next follower begin another feed.
func (h *Hub) forget(f *feed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.feeds[f.clinic] == f {
		delete(h.feeds, f.clinic)
	}
}

// turn waits until this one may read.
func (h *Hub) turn(ctx context.Context) (release func(), err error) {
	select {
	case h.turns <- struct{}{}:
		return func() { <-h.turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
