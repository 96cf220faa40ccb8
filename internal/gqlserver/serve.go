package gqlserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Serve answers on both listeners until the context ends, then stops without
// cutting a request: it fails /readyz and goes on answering for Limits.Drain,
// takes no more connections, and gives running requests Limits.Grace to end.
// It closes the listeners. The error says that requests had to be cut, or why
// it could not serve. admin may be nil.
func (s *Server) Serve(ctx context.Context, public, admin net.Listener) error {
	// Requests outlive the context: it says when to stop, not that all is lost.
	running, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	servers := []*http.Server{s.httpServer(running, s.public, s.limits.Write)}
	servers[0].ConnState = s.count
	listeners := []net.Listener{netutil.LimitListener(public, s.limits.Connections)}
	if admin != nil {
		// A CPU profile takes as long as it was asked to.
		servers = append(servers, s.httpServer(running, s.admin, 0))
		listeners = append(listeners, admin)
	}
	failed := make(chan error, len(servers))
	for i := range servers {
		go func() { failed <- servers[i].Serve(listeners[i]) }()
	}
	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("gqlserver: %w", err)
	case <-ctx.Done():
		s.drain()
	}
	return errors.Join(err, s.shutdown(running, cut, servers))
}

func (s *Server) httpServer(running context.Context, handler http.Handler, write time.Duration) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: s.limits.ReadHeader,
		ReadTimeout:       s.limits.Read,
		WriteTimeout:      write,
		IdleTimeout:       s.limits.Idle,
		MaxHeaderBytes:    s.limits.HeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return running },
		// What clients do to their connections is no fault of the server's.
		ErrorLog: slog.NewLogLogger(s.config.Log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.connections.Add(-1)
	case http.StateActive, http.StateIdle:
	}
}

// drain goes on answering while balancers notice. It ends as soon as nobody is
// connected.
func (s *Server) drain() {
	s.draining.Store(true)
	end := time.NewTimer(s.limits.Drain)
	defer end.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for s.connections.Load() > 0 {
		select {
		case <-end.C:
			return
		case <-look.C:
		}
	}
}

func (s *Server) shutdown(running context.Context, cut context.CancelFunc, servers []*http.Server) error {
	s.draining.Store(true)
	grace, cancel := context.WithTimeout(running, s.limits.Grace)
	defer cancel()
	var faults []error
	for _, server := range servers {
		if err := server.Shutdown(grace); err != nil {
			cut()
			faults = append(faults, fmt.Errorf("gqlserver: requests were cut after %s: %w", s.limits.Grace, err), server.Close())
		}
	}
	return errors.Join(faults...)
}
