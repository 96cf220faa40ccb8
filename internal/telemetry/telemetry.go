// Package telemetry lets operators and developers see what the server does and
// what it costs: metrics, the log's request line, traces, alerts and the
// figures behind the dashboard. docs/observability.md, which is generated from
// this package, lists all of them.
//
// What it keeps is bounded whatever clients send: names come from the schema,
// the registered operations and the code's own SQL, and clinics are told apart
// up to a thousand.
package telemetry

import (
	"context"
	"sync"
	"time"
)

const (
	// Interval is how often a Snapshot is taken.
	Interval = 5 * time.Second
	// Kept is how far History goes back.
	Kept = time.Hour
)

// Config is what a Telemetry watches.
type Config struct {
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Telemetry watches one instance. Its methods may be called at any time from
// any goroutine.
type Telemetry struct {
	now func() time.Time

	mu          sync.Mutex
	history     ring
	subscribers map[chan Snapshot]struct{}
}

// New makes a Telemetry; Close ends what it runs.
func New(config Config) *Telemetry {
	now := config.Now
	if now == nil {
		now = time.Now
	}
	return &Telemetry{now: now, history: newRing(int(Kept / Interval)), subscribers: map[chan Snapshot]struct{}{}}
}

// Close ends what New began.
func (t *Telemetry) Close() {}

// History gives the snapshots of the last hour, the oldest first.
func (t *Telemetry) History() []Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.history.all()
}

// Subscribe gives each snapshot as it is taken, until the context ends, which
// closes the channel. Whoever reads too slowly misses some.
func (t *Telemetry) Subscribe(ctx context.Context) <-chan Snapshot {
	snapshots := make(chan Snapshot, 1)
	t.mu.Lock()
	t.subscribers[snapshots] = struct{}{}
	t.mu.Unlock()
	context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.subscribers, snapshots)
		close(snapshots)
	})
	return snapshots
}

// publish keeps a snapshot and hands it to the subscribers.
func (t *Telemetry) publish(snapshot Snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.history.add(snapshot)
	for subscriber := range t.subscribers {
		select {
		case subscriber <- snapshot:
		default: // Its reader is slow.
		}
	}
}
