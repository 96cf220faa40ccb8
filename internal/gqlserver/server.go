package gqlserver

import (
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/models"
)

// Path is where the API is.
const Path = "/graphql"

// Server answers the public and the admin listener's requests.
type Server struct {
	config    Config
	checker   *operation.Checker
	runner    *runner
	presenter *presenter
	origins   *origins
	// draining is set once the server is to stop.
	draining atomic.Bool
	// connections are those of the public listener.
	connections connections
	buffers     bufferPool
	fixed       fixedHeaders
	remembered  *remembered
	lines       linePool
	public      http.Handler
	admin       http.Handler
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
	s.public = s.publicHandler()
	s.admin = s.adminHandler()
	return s, nil
}

// Public is the handler of the public listener: the API, the playground, and
// /livez and /readyz for balancers.
func (s *Server) Public() http.Handler { return s.public }

// Admin is the handler of the admin listener: /metrics, /livez, /readyz with
// its reason, and /debug/pprof/. It has no authentication: loopback only.
func (s *Server) Admin() http.Handler { return s.admin }

func (s *Server) publicHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(Path, s.serveGraphQL)
	mux.HandleFunc("GET /livez", s.serveLive)
	mux.HandleFunc("GET /readyz", s.serveReady(false))
	for pattern, handler := range s.config.Routes {
		mux.Handle(pattern, handler)
	}
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
		if s.draining.Load() {
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
