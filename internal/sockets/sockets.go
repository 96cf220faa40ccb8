// Package sockets serves handlers on listeners: it bounds how many connections are open
// and how long each phase of one takes, and stops without cutting a request.
package sockets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Limits bound what clients can make the server hold. All must be given.
type Limits struct {
	// HeaderBytes bounds a request's headers and URL.
	HeaderBytes int
	// Connections bounds the public listener's open connections: more wait.
	Connections int
	// ReadHeader, Read, Write and Idle bound a connection's phases.
	ReadHeader, Read, Write, Idle time.Duration
	// Drain is how long requests are still taken once the server is to stop, so that
	// balancers notice; it ends early when no connection is open. Grace is what
	// running requests then have to end.
	Drain, Grace time.Duration
}

// Server serves a public and an admin handler. Public, Limits and Log are required.
type Server struct {
	Public, Admin http.Handler
	Limits        Limits
	Log           *slog.Logger
	// OnStop is called once the server is to stop, and does not wait: what stays open for
	// long begins to end. May be nil.
	OnStop func()

	stopping atomic.Bool
	// connections are those of the public listener.
	connections connections
}

// Stopping tells that the server is to stop: a connection is not to be used again.
func (s *Server) Stopping() bool { return s.stopping.Load() }

// Serve answers on both listeners until the context ends, then stops without
// cutting a request: it is Stopping and goes on answering for Limits.Drain,
// takes no more connections, and gives running requests Limits.Grace to end.
// It closes the listeners. The error says that requests had to be cut, or why
// it could not serve. admin may be nil. Serve once.
func (s *Server) Serve(ctx context.Context, public, admin net.Listener) error {
	// Requests outlive the context: it says when to stop, not that all is lost.
	running, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	entrance := newGate(public, s.Limits.Connections)
	servers := []*http.Server{s.httpServer(running, s.Public, s.Limits.Write)}
	servers[0].ConnState = s.connections.note
	listeners := []net.Listener{entrance}
	if admin != nil {
		// A CPU profile takes as long as it was asked to, and a dashboard listens
		// for as long as it is open: the stop does not wait for them.
		watching, leave := context.WithCancel(running)
		defer leave()
		operators := s.httpServer(watching, s.Admin, 0)
		operators.RegisterOnShutdown(leave)
		servers = append(servers, operators)
		listeners = append(listeners, admin)
	}
	failed := make(chan error, len(servers))
	for i := range servers {
		go func() { failed <- servers[i].Serve(listeners[i]) }()
	}
	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("sockets: %w", err)
	case <-ctx.Done():
		s.drain(entrance)
	}
	return errors.Join(err, s.shutdown(running, cut, servers))
}

func (s *Server) httpServer(running context.Context, handler http.Handler, write time.Duration) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: s.Limits.ReadHeader,
		ReadTimeout:       s.Limits.Read,
		WriteTimeout:      write,
		IdleTimeout:       s.Limits.Idle,
		MaxHeaderBytes:    s.Limits.HeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return running },
		// What clients do to their connections is no fault of the server's.
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
}

// drain goes on answering while balancers notice, with each answer the last on
// its connection. Then it takes no more connections and lets those that are
// busy end: http.Server.Shutdown drops requests that it reads once it was
// called, so by then there must be none.
func (s *Server) drain(entrance *gate) {
	s.stopping.Store(true)
	if s.OnStop != nil {
		s.OnStop()
	}
	until(s.Limits.Drain, func() bool { return s.connections.open() == 0 })
	entrance.stop()
	<-entrance.closed
	until(s.Limits.Grace, func() bool { return s.connections.busy() == 0 })
}

// until waits for a condition, but no longer than it may.
func until(longest time.Duration, done func() bool) {
	end := time.NewTimer(longest)
	defer end.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !done() {
		select {
		case <-end.C:
			return
		case <-look.C:
		}
	}
}

func (s *Server) shutdown(running context.Context, cut context.CancelFunc, servers []*http.Server) error {
	s.stopping.Store(true)
	// The grace is over, or nothing runs: this is for what came in between.
	grace, cancel := context.WithTimeout(running, time.Second)
	defer cancel()
	var faults []error
	for _, server := range servers {
		if err := server.Shutdown(grace); err != nil {
			cut()
			faults = append(faults, fmt.Errorf("sockets: requests were cut after %s: %w", s.Limits.Grace, err), server.Close())
		}
	}
	return errors.Join(faults...)
}

// connections knows the state of every open connection. The zero value is ready.
type connections struct {
	mu     sync.Mutex
	states map[net.Conn]http.ConnState
}

// note is an http.Server's ConnState hook.
func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(c.states, conn)
		return
	}
	if c.states == nil {
		c.states = map[net.Conn]http.ConnState{}
	}
	c.states[conn] = state
}

func (c *connections) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.states)
}

// busy counts those that are not waiting for their next request.
func (c *connections) busy() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, state := range c.states {
		if state != http.StateIdle {
			n++
		}
	}
	return n
}
