package dashboard

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// Interval is how often a Snapshot is taken.
	Interval = 5 * time.Second
	// Kept is how far a History goes back.
	Kept = time.Hour
)

// History keeps the last hour's snapshots and hands each to its subscribers.
type History struct {
	mu   sync.Mutex
	kept []Snapshot
	// next is where the next one goes once there are as many as are kept.
	next        int
	subscribers map[chan Snapshot]struct{}
}

// NewHistory makes an empty one.
func NewHistory() *History { return &History{subscribers: map[chan Snapshot]struct{}{}} }

// Add keeps a snapshot in place of the oldest and hands it on. What the one before it
// tells of its operations and fields in detail is dropped: an hour of it would take
// megabytes.
func (h *History) Add(snapshot Snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.kept) > 0 {
		latest := &h.kept[(h.next+len(h.kept)-1)%len(h.kept)]
		latest.SlowOperations, latest.SlowFields = withoutDetails(latest.SlowOperations, latest.SlowFields)
	}
	if len(h.kept) < int(Kept/Interval) {
		h.kept = append(h.kept, snapshot)
	} else {
		h.kept[h.next] = snapshot
		h.next = (h.next + 1) % len(h.kept)
	}
	for subscriber := range h.subscribers {
		select {
		case subscriber <- snapshot:
		default: // Its reader is slow.
		}
	}
}

// All gives what is kept, the oldest first.
func (h *History) All() []Snapshot {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]Snapshot, 0, len(h.kept))
	all = append(all, h.kept[h.next:]...)
	return append(all, h.kept[:h.next]...)
}

// Subscribe gives each snapshot as it is taken, until the context ends, which
// closes the channel. Whoever reads too slowly misses some.
func (h *History) Subscribe(ctx context.Context) <-chan Snapshot {
	snapshots := make(chan Snapshot, 1)
	h.mu.Lock()
	h.subscribers[snapshots] = struct{}{}
	h.mu.Unlock()
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subscribers, snapshots)
		close(snapshots)
	})
	return snapshots
}

// withoutDetails copies: subscribers may still be reading the originals.
func withoutDetails(operations []Operation, fields []Field) ([]Operation, []Field) {
	operations, fields = slices.Clone(operations), slices.Clone(fields)
	for i := range operations {
		operations[i].Fields, operations[i].Statements = nil, nil
	}
	for i := range fields {
		fields[i].Statements = nil
	}
	return operations, fields
}
