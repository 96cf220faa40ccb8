package gqlserver

import (
	"context"
	"sync"
	"time"
)

// deadline is a request's context. It is context.WithDeadline for requests that are
// mostly answered from memory: its timer is made when somebody first waits for it. The
// timer takes 1.1 µs of the processor and six allocations, of a hit's 60 (see
// docs/decisions/0013).
type deadline struct {
	context.Context //nolint:containedctx // it is a context

	// at is when its time is up.
	at time.Time

	mu sync.Mutex
	// made is the context with the timer; nil until it is wanted.
	made   context.Context //nolint:containedctx // likewise
	cancel context.CancelFunc
	ended  bool
}

// end cancels the context.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.cancel != nil {
		d.cancel()
	}
}

// Deadline implements context.Context.
func (d *deadline) Deadline() (time.Time, bool) {
	if sooner, ok := d.Context.Deadline(); ok && sooner.Before(d.at) {
		return sooner, true
	}
	return d.at, true
}

// Done implements context.Context.
func (d *deadline) Done() <-chan struct{} { return d.timed().Done() }

func (d *deadline) timed() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.made == nil {
		d.made, d.cancel = context.WithDeadline(d.Context, d.at)
		if d.ended {
			d.cancel()
		}
	}
	return d.made
}

// Err implements context.Context.
func (d *deadline) Err() error {
	d.mu.Lock()
	made, ended := d.made, d.ended
	d.mu.Unlock()
	if made == nil && !ended && d.Context.Err() == nil && time.Now().Before(d.at) {
		return nil
	}
	return d.timed().Err()
}

// Value implements context.Context. Contexts made from this one look for the one
// with the timer this way, and need no goroutine to watch it then.
func (d *deadline) Value(key any) any {
	d.mu.Lock()
	made := d.made
	d.mu.Unlock()
	if made != nil {
		return made.Value(key)
	}
	return d.Context.Value(key)
}
