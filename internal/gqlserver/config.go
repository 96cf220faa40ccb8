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
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/profile"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/internal/tenant"
)

// Authenticator turns a request's credentials into a scope. Its errors are
// *models.Error of code UNAUTHENTICATED, FORBIDDEN or UNAVAILABLE; any other is
// answered as an internal error.
type Authenticator interface {
	Authenticate(ctx context.Context, r *http.Request) (*tenant.Scope, error)
}

// Documents knows GraphQL documents by a shorter name. Its errors are *models.Error.
type Documents interface {
	// Resolve gives the text to run for a name, a text, or both; one of them may be "".
	Resolve(ctx context.Context, id, text string) (string, error)
	// Admitted is told of a text that came with a name and of which an operation
	// is valid and may run. Only then may the text be found by its name.
	Admitted(ctx context.Context, id, text string)
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
	// OperationParameterMutator, OperationContextMutator, OperationInterceptor,
	// ResponseInterceptor, RootFieldInterceptor and FieldInterceptor.
	Extensions []graphql.HandlerExtension
	// Documents knows documents by their hash or id; nil where only texts are taken.
	Documents Documents
	// Cache keeps answers; nil where every query is run.
	Cache Cache
	// Writing puts a mutation's name into the context that it runs under; may be nil.
	Writing func(ctx context.Context, mutation string) context.Context
	// Secret keys the ETags; servers that share it give the same. Random if empty.
	Secret []byte
	// Playground answers everything on the public listener that is not the API; may be nil.
	Playground http.Handler
	// Routes are what else the public listener answers, by http.ServeMux's patterns.
	Routes map[string]http.Handler
	// Origins are other sites whose pages may call the API, as "https://app.example.com".
	Origins []string
	// CountStatements begins to count the SQL statements made under the context
	// it returns, and the round trips to Postgres that they took; nil counts none.
	CountStatements func(ctx context.Context) (context.Context, func() (statements, roundTrips int64))
	// Statements is how many SQL statements the context's request has made; nil
	// where nobody counts all requests'.
	Statements func(ctx context.Context) int64
	// Explain gives a developer's statements their plans, for a clinic; nil where
	// there are none to be had. It bounds the time that it takes by itself.
	Explain func(ctx context.Context, clinic uuid.UUID, statements []*profile.Statement)
	// Ready tells why the server cannot answer now; nil if it always can.
	Ready func(ctx context.Context) error
	// Watch, if set, watches the API's requests from their first header to their last
	// byte: it gives what the answer is written to, the request's context, and what
	// is deferred to the end, which may look at a panic but must not end it.
	Watch func(w http.ResponseWriter, r *http.Request) (out http.ResponseWriter, ctx context.Context, end func())
	// Expect, if set, gives the context that the parts of a request share.
	Expect func(ctx context.Context, r *http.Request) context.Context
	// Metrics is what /metrics on the admin listener shows; may be nil.
	Metrics prometheus.Gatherer
	// AdminRoutes are what else the admin listener answers, by http.ServeMux's patterns.
	AdminRoutes map[string]http.Handler
}

// Limits bound what a client can make the server hold. Zero means the default.
type Limits struct {
	// BodyBytes bounds a request's body (1 MiB), HeaderBytes its headers and URL (32 KiB).
	BodyBytes   int64
	HeaderBytes int
	// Connections bounds the public listener's open connections (10,000): more wait.
	Connections int
	// ReadHeader (5 s), Read (15 s), Write (30 s) and Idle (90 s) bound a connection's
	// phases; Request (10 s) bounds the execution and must be less than Write.
	ReadHeader, Read, Write, Idle, Request time.Duration
	// Drain (1 s) is how long requests are still taken once the server is to stop,
	// so that balancers notice; it ends early when no connection is open. Grace
	// (20 s) is what running requests then have to end.
	Drain, Grace time.Duration
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
