package answers_test

import (
	"context"
	"sync"
	"time"
)

// rowStore is the model's Postgres.
type rowStore struct {
	mu      sync.Mutex
	values  [rows]int
	running map[int]chan struct{}
	next    int
}

// begin begins a transaction; end must be called with whether it commits.
func (d *rowStore) begin() (end func(write []int, by time.Time) (committed [rows]int, ok bool)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, done := d.next, make(chan struct{})
	d.next++
	d.running[id] = done
	return func(write []int, by time.Time) ([rows]int, bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.running, id)
		defer close(done)
		// Postgres gives a commit up that takes too long.
		if len(write) == 0 || time.Now().After(by) {
			return d.values, false
		}
		for _, row := range write {
			d.values[row]++
		}
		return d.values, true
	}
}

func (d *rowStore) read() [rows]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.values
}

// barrier waits for the transactions that are running now.
func (d *rowStore) barrier(ctx context.Context) error {
	d.mu.Lock()
	var running []chan struct{}
	for _, done := range d.running {
		running = append(running, done)
	}
	d.mu.Unlock()
	for _, done := range running {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
