// Package gqlserver is the edge: it takes HTTP requests, refuses what must not
// get further (see docs/http.md), runs GraphQL operations on the generated
// schema and writes their answers. GraphQL over HTTP is served as its
// specification says (https://graphql.github.io/graphql-over-http/draft/).
package gqlserver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/gqlserver/streams"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/internal/sockets"
	"github.com/taskmed/taskmed/internal/tenant"
)

// Authenticator turns a request's credentials into a scope. Its errors are
// *models.Error of code UNAUTHENTICATED, FORBIDDEN or UNAVAILABLE; any other is
// answered as an internal error.
type Authenticator interface {
	Authenticate(ctx context.Context, r *http.Request) (*tenant.Scope, error)
}

// Observer sees the API's requests.
type Observer interface {
	// Begin watches one from its first header to its last byte: it gives what the
	// answer is written to, the request's context, and what is deferred to the end,
	// which may look at a panic but must not end it.
	Begin(w http.ResponseWriter, r *http.Request) (out http.ResponseWriter, ctx context.Context, end func())
	// Statements is how many SQL statements the context's request has made; false
	// where nobody counts.
	Statements(ctx context.Context) (n int64, counted bool)
	// Look watches a look-up in the cache, and what is computed below it: looked is
	// told what came of it, where it was kept and why it is no hit.
	Look(ctx context.Context) (below context.Context, looked func(outcome, tier, reason string, stored bool))
}

// unobserved is an Observer that sees nothing.
type unobserved struct{}

// Begin implements Observer.
func (unobserved) Begin(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, context.Context, func()) {
	return w, r.Context(), func() {}
}

// Statements implements Observer.
func (unobserved) Statements(context.Context) (int64, bool) { return 0, false }

// Look implements Observer.
func (unobserved) Look(ctx context.Context) (context.Context, func(outcome, tier, reason string, stored bool)) {
	return ctx, func(string, string, string, bool) {}
}

// Config is what a Server is made of.
type Config struct {
	// Schema is the generated executable schema. Required, as are Auth and Log.
	Schema graphql.ExecutableSchema
	Auth   Authenticator
	Log    *slog.Logger
	// Rights is the schema's table of rights; read from the schema if nil.
	Rights *rights.Table
	// Limits bound sockets and requests, Operations what a request may ask for.
	Limits     Limits
	Operations operation.Limits
	// Extensions hook into operations, the first outermost: gqlgen's interfaces
	// OperationContextMutator, OperationInterceptor, ResponseInterceptor and FieldInterceptor.
	Extensions []graphql.HandlerExtension
	// Mutations runs mutations' own fields; nil where they are run as queries are.
	Mutations Mutations
	// Events are what subscriptions are told of; nil where they are refused.
	Events Events
	// Streams counts connections that stay; may be nil.
	Streams streams.Counted
	// Documents knows documents by their hash or id; nil where only texts are taken.
	Documents Documents
	// Cache keeps answers; nil where every query is run.
	Cache Cache
	// Secret keys the ETags; servers that share it give the same. Random if empty.
	Secret []byte
	// Playground answers everything on the public listener that is not the API; may be nil.
	Playground http.Handler
	// Routes are what else the public listener answers, by http.ServeMux's patterns.
	Routes map[string]http.Handler
	// Shared are those that pages of Origins may use as well, each with its method.
	Shared map[string]http.Handler
	// Origins are other sites whose pages may call the API, as "https://app.example.com".
	Origins []string
	// Statements tells developers what their requests asked of the database; may be nil.
	Statements Statements
	// Observer sees the API's requests; may be nil.
	Observer Observer
	// Ready tells why the server cannot answer now; nil if it always can.
	Ready func(ctx context.Context) error
	// Metrics is what /metrics on the admin listener shows; may be nil.
	Metrics prometheus.Gatherer
	// AdminRoutes are what else the admin listener answers, by http.ServeMux's patterns.
	AdminRoutes map[string]http.Handler
}

// Limits bound what a client can make the server hold. Zero means the default.
type Limits struct {
	// HeaderBytes is 32 KiB, Connections 10,000, ReadHeader 5 s, Read 15 s, Write 30 s,
	// Idle 90 s, Drain 1 s, Grace 20 s.
	sockets.Limits

	// Streams bound connections that stay.
	Streams streams.Limits
	// BodyBytes bounds a request's body (1 MiB).
	BodyBytes int64
	// Request (10 s) bounds the execution and must be less than Write.
	Request time.Duration
	// Ready bounds one readiness check (1 s).
	Ready time.Duration
}

// WithDefaults fills in what is zero.
func (l Limits) WithDefaults() Limits {
	for field, value := range map[*time.Duration]time.Duration{
		&l.ReadHeader: 5 * time.Second, &l.Read: 15 * time.Second, &l.Write: 30 * time.Second,
		&l.Idle: 90 * time.Second, &l.Request: 10 * time.Second, &l.Drain: time.Second,
		&l.Grace: 20 * time.Second, &l.Ready: time.Second,
	} {
		if *field == 0 {
			*field = value
		}
	}
	if l.BodyBytes == 0 {
		l.BodyBytes = 1 << 20
	}
	if l.HeaderBytes == 0 {
		l.HeaderBytes = 32 << 10
	}
	if l.Connections == 0 {
		l.Connections = 10_000
	}
	return l
}

// withDefaults puts what does nothing in the place of what is not there.
func (c Config) withDefaults() Config {
	c.Limits, c.Operations = c.Limits.WithDefaults(), c.Operations.WithDefaults()
	if c.Documents == nil {
		c.Documents = textsAlone{}
	}
	if c.Mutations == nil {
		c.Mutations = plainly{}
	}
	if c.Cache == nil {
		c.Cache = Uncached{}
	}
	if c.Statements == nil {
		c.Statements = unseen{}
	}
	if c.Observer == nil {
		c.Observer = unobserved{}
	}
	if c.Ready == nil {
		c.Ready = func(context.Context) error { return nil }
	}
	return c
}

func (c Config) validate() error {
	var faults []error
	if c.Schema == nil {
		faults = append(faults, errors.New("gqlserver: no schema"))
	}
	if c.Auth == nil {
		faults = append(faults, errors.New("gqlserver: no authenticator"))
	}
	if c.Log == nil {
		faults = append(faults, errors.New("gqlserver: no log"))
	}
	if c.Limits.Request >= c.Limits.Write {
		faults = append(faults, errors.New("gqlserver: a request may take as long as writing its answer: Limits.Request must be less than Limits.Write"))
	}
	return errors.Join(faults...)
}
