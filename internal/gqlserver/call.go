package gqlserver

import (
	"context"
	"sync"
	"time"
)

// call is a request's context. It is context.WithDeadline for requests that are
// mostly answered from memory: its timer is made when somebody first waits for it,
// for making one takes longer than looking an answer up.
type call struct {
	context.Context //nolint:containedctx // it is a context

	// asked is what the request says, nil until that is known, and where it is read
	// anew each time. It is set before the context is handed on.
	asked *asked

	// at is when its time is up.
	at time.Time

	mu sync.Mutex
	// made is the context with the timer; nil until it is wanted.
	made   context.Context //nolint:containedctx // likewise
	cancel context.CancelFunc
	ended  bool
}

// end cancels the context.
func (c *call) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
}

// Deadline implements context.Context.
func (c *call) Deadline() (time.Time, bool) {
	if sooner, ok := c.Context.Deadline(); ok && sooner.Before(c.at) {
		return sooner, true
	}
	return c.at, true
}

// Done implements context.Context.
func (c *call) Done() <-chan struct{} { return c.timed().Done() }

func (c *call) timed() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil {
		c.made, c.cancel = context.WithDeadline(c.Context, c.at)
		if c.ended {
			c.cancel()
		}
	}
	return c.made
}

// Err implements context.Context.
func (c *call) Err() error {
	c.mu.Lock()
	made, ended := c.made, c.ended
	c.mu.Unlock()
	if made == nil && !ended && c.Context.Err() == nil && time.Now().Before(c.at) {
		return nil
	}
	return c.timed().Err()
}

// Value implements context.Context. Contexts made from this one look for the one
// with the timer this way, and need no goroutine to watch it then.
func (c *call) Value(key any) any {
	if _, own := key.(askedKey); own {
		return c.asked
	}
	c.mu.Lock()
	made := c.made
	c.mu.Unlock()
	if made != nil {
		return made.Value(key)
	}
	return c.Context.Value(key)
}
