package gqlserver

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/gqlserver/streams"
	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/internal/sockets"
	"github.com/taskmed/taskmed/models"
)

// Path is where the API is.
const Path = "/graphql"

// Server answers the public and the admin listener's requests.
type Server struct {
	config     Config
	checker    *operation.Checker
	runner     *runner
	presenter  *presenter
	origins    *origins
	sockets    sockets.Server
	streams    *streams.Connections
	buffers    bufferPool
	fixed      fixedHeaders
	remembered *remembered
	lines      linePool
}

// New puts a Server together; it fails for a configuration that lacks a part,
// or a schema whose @allow, @cost or @listSize cannot be read.
func New(config Config) (*Server, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	if config.Rights == nil {
		table, err := rights.New(config.Schema.Schema())
		if err != nil {
			return nil, fmt.Errorf("gqlserver: %w", err)
		}
		config.Rights = table
	}
	checker, err := operation.New(config.Schema.Schema(), config.Rights, config.Operations)
	if err != nil {
		return nil, fmt.Errorf("gqlserver: %w", err)
	}
	origins, err := newOrigins(config.Origins)
	if err != nil {
		return nil, err
	}
	s := &Server{config: config, checker: checker, origins: origins, presenter: &presenter{log: config.Log}, fixed: newFixedHeaders()}
	if s.runner, err = newRunner(config, s.presenter); err != nil {
		return nil, err
	}
	if s.remembered, err = newRemembered(); err != nil {
		return nil, err
	}
	s.sockets.Public, s.sockets.Admin = s.publicHandler(), s.adminHandler()
	s.sockets.Limits, s.sockets.Log = config.Limits.Limits, config.Log
	s.streams = streams.New(config.Limits.Streams, config.Streams, config.Log)
	s.sockets.OnStop = s.streams.Stop
	return s, nil
}

// Public is the handler of the public listener: the API, the playground, and
// /livez and /readyz for balancers.
func (s *Server) Public() http.Handler { return s.sockets.Public }

// Admin is the handler of the admin listener: /metrics, /livez, /readyz with
// its reason, and /debug/pprof/. It has no authentication: loopback only.
func (s *Server) Admin() http.Handler { return s.sockets.Admin }

// Serve answers on both listeners until the context ends, then stops without cutting
// a request; meanwhile /readyz fails. admin may be nil. Serve once.
func (s *Server) Serve(ctx context.Context, public, admin net.Listener) error {
	err := s.sockets.Serve(ctx, public, admin)
	s.streams.Close(s.config.Limits.Grace)
	return err
}

// Close cuts connections that stay, where the server was not served.
func (s *Server) Close() {
	s.streams.Close(s.config.Limits.Streams.WithDefaults().Spread + time.Second)
}

func (s *Server) publicHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(Path, s.serveGraphQL)
	mux.HandleFunc("GET /livez", s.serveLive)
	mux.HandleFunc("GET /readyz", s.serveReady(false))
	for pattern, handler := range s.config.Routes {
		mux.Handle(pattern, handler)
	}
	s.origins.share(mux, s.config.Shared)
	if s.config.Playground != nil {
		mux.Handle("/", s.config.Playground)
	}
	return s.around(mux)
}

// around gives every request its id and the headers that every answer has, and
// survives a panic.
func (s *Server) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestid.Accept(r.Header.Get("X-Request-Id"))
		header := w.Header()
		header.Set("X-Request-Id", id)
		header["X-Content-Type-Options"] = s.fixed.nosniff
		if s.sockets.Stopping() {
			// The connection is not used again, so stopping cuts none that is just being used.
			header.Set("Connection", "close")
		}
		r = r.WithContext(requestid.With(r.Context(), id))
		defer s.survive(w, r)
		next.ServeHTTP(w, r)
	})
}

// survive is deferred: it answers a request whose handler panicked.
func (s *Server) survive(w http.ResponseWriter, r *http.Request) {
	reason := recover()
	if reason == nil {
		return
	}
	if reason == http.ErrAbortHandler { //nolint:errorlint // net/http's own marker, compared as it does
		panic(reason)
	}
	_ = s.presenter.recovered(r.Context(), reason) // It is in the log now.
	s.fail(w, r, jsonType, &refusal{http.StatusInternalServerError, models.Internal, internalMessage})
}

// serveLive answers as long as the process can answer at all: it asks nothing
// else, for restarting this process does not mend a database.
func (s *Server) serveLive(w http.ResponseWriter, _ *http.Request) {
	plain(w, http.StatusOK, "ok")
}

// serveReady tells balancers whether to send requests here. The reason is for
// the admin listener alone.
func (s *Server) serveReady(withReason bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.sockets.Stopping() {
			plain(w, http.StatusServiceUnavailable, "stopping")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), s.config.Limits.Ready)
		defer cancel()
		if err := s.config.Ready(ctx); err != nil {
			reason := "not ready"
			if withReason {
				reason += ": " + err.Error()
			}
			plain(w, http.StatusServiceUnavailable, reason)
			return
		}
		plain(w, http.StatusOK, "ok")
	}
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.serveLive)
	mux.HandleFunc("GET /readyz", s.serveReady(true))
	if s.config.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.config.Metrics, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	}
	for pattern, handler := range s.config.AdminRoutes {
		mux.Handle(pattern, handler)
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return s.around(http.NewCrossOriginProtection().Handler(mux))
}
