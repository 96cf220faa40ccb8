package sockets

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// gate bounds how many connections of a listener are open: more wait in the
// kernel's queue. Unlike netutil.LimitListener, it stops without resetting
// connections that were already made but not yet taken.
type gate struct {
	net.Listener

	slots    chan struct{}
	stopping atomic.Bool
	closed   chan struct{}
	once     sync.Once
}

func newGate(listener net.Listener, connections int) *gate {
	return &gate{Listener: listener, slots: make(chan struct{}, connections), closed: make(chan struct{})}
}

const (
	// quiet is for how long nobody may connect before a stopping gate closes.
	quiet = 5 * time.Millisecond
	// longestSweep is when it closes though clients go on connecting.
	longestSweep = time.Second
)

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		select {
		case g.slots <- struct{}{}:
		case <-g.closed:
			return nil, net.ErrClosed
		}
		sweeping := g.stopping.Load()
		if sweeping {
			g.wake(time.Now().Add(quiet))
		}
		conn, err := g.Listener.Accept()
		if err == nil {
			return &slot{Conn: conn, free: func() { <-g.slots }}, nil
		}
		<-g.slots
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		if sweeping {
			return nil, errors.Join(net.ErrClosed, g.Close())
		}
	}
}

// stop takes the connections that are waiting, then closes.
func (g *gate) stop() {
	g.stopping.Store(true)
	time.AfterFunc(longestSweep, func() { _ = g.Close() }) // It is closed by then, as a rule.
	if !g.wake(time.Now()) {
		_ = g.Close() // No deadlines, no sweep.
	}
}

func (g *gate) wake(deadline time.Time) bool {
	timed, ok := g.Listener.(interface{ SetDeadline(t time.Time) error })
	return ok && timed.SetDeadline(deadline) == nil
}

// Close implements net.Listener; it may be called again.
func (g *gate) Close() error {
	var err error
	g.once.Do(func() {
		close(g.closed)
		err = g.Listener.Close()
	})
	return err
}

// slot is a connection that frees its place when it is closed.
type slot struct {
	net.Conn

	once sync.Once
	free func()
}

// Close implements net.Conn.
func (s *slot) Close() error {
	err := s.Conn.Close()
	s.once.Do(s.free)
	return err
}
