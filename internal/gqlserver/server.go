package gqlserver

import (
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/rights"
)

// Path is where the API is.
const Path = "/graphql"

// Server answers the public and the admin listener's requests.
type Server struct {
	config    Config
	limits    Limits
	executor  *executor
	presenter *presenter
	origins   *origins
	// draining is set once the server is to stop.
	draining atomic.Bool
	// connections are those of the public listener.
	connections connections
	buffers     bufferPool
	fixed       fixedHeaders
	remembered  *remembered // nil where each request is read anew
	lines       linePool
	public      http.Handler
	admin       http.Handler
}

// New puts a Server together; it fails for a configuration that lacks a part,
// or a schema whose @allow, @cost or @listSize cannot be read.
func New(config Config) (*Server, error) {
	config.Limits = config.Limits.WithDefaults()
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
	s := &Server{config: config, limits: config.Limits, origins: origins, presenter: &presenter{log: config.Log}, fixed: newFixedHeaders()}
	if s.executor, err = newExecutor(config, checker, s.presenter); err != nil {
		return nil, err
	}
	// What changes parameters would have to be asked each time.
	if len(s.executor.parameterMutators) == 0 {
		if s.remembered, err = newRemembered(); err != nil {
			return nil, err
		}
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
