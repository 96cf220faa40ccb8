package coherence

import (
	"errors"
	"sync"
	"time"
)

// errOpen is returned while Redis is not asked because it failed to answer.
var errOpen = errors.New("redis did not answer and is not asked for a moment")

const (
	// failuresToOpen in a row open the breaker.
	failuresToOpen = 3
	// Pause is how long nobody asks; then one may try.
	Pause = 250 * time.Millisecond
)

// breaker spares requests the wait for a Redis that does not answer.
type breaker struct {
	mu       sync.Mutex
	failures int
	until    time.Time
}

// allow tells whether Redis may be asked. Once the pause is over it lets one
// through and begins the next.
func (b *breaker) allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < failuresToOpen {
		return true
	}
	now := time.Now()
	if now.Before(b.until) {
		return false
	}
	b.until = now.Add(Pause)
	return true
}

func (b *breaker) report(failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !failed {
		b.failures = 0
		return
	}
	if b.failures++; b.failures == failuresToOpen {
		b.until = time.Now().Add(Pause)
	}
}
