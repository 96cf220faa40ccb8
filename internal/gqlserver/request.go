package gqlserver

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/gqlserver/streams"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// request is one request on its way to its answer. This file is the whole way, by
// its calls; what a step does stands in the file that is named beside what it fills in.
type request struct {
	*Server

	in      *http.Request
	out     http.ResponseWriter
	media   mediaType // limits.go
	started time.Time

	scope   *tenant.Scope // who.go
	watched *watched      // developer.go; nil unless a developer asks
	said    *said         // read.go

	id        string // document.go: the name that the document was asked for by
	op        *graphql.OperationContext
	checked   *operation.Operation
	canonical []byte             // nil until it is wanted
	verdict   *operation.Verdict // nil before
	told      *note              // cache.go; nil if it did not come so far
}

// serveGraphQL takes a request from its first header to its last byte.
func (s *Server) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	switch {
	case streams.WantsSocket(r):
		s.serveSocket(w, r) // visitor.go
		return
	case streams.WantsEvents(r):
		s.serveEvents(w, r)
		return
	}
	out, ctx, end := s.config.Observer.Begin(w, r)
	defer end()
	q := request{Server: s, in: r, out: out}
	q.serve(ctx) //nolint:contextcheck // it extends the request's
}

// serve is the way. The cheap refusals come first, and nothing is read before it is
// known who asks.
func (q *request) serve(ctx context.Context) {
	if q.elsewhere() {
		return
	}
	if why := q.limits(); why != nil {
		q.refuse(why)
		return
	}
	ctx, end := q.bounded(ctx)
	defer end()
	ctx, why := q.who(ctx)
	if why == nil {
		why = q.read()
	}
	if why != nil {
		q.refuse(why)
		return
	}
	faults := q.check(ctx)
	if q.in.Method == http.MethodGet && q.op.Operation != nil && q.op.Operation.Operation != ast.Query {
		q.out.Header().Set("Allow", "POST, OPTIONS")
		q.refuse(&refusal{http.StatusMethodNotAllowed, models.BadUserInput, "GET runs queries only: send POST"})
		return
	}
	q.write(ctx, q.answer(ctx, faults))
}

// bounded is the context of what may take time; end lets go of it.
func (q *request) bounded(ctx context.Context) (_ context.Context, end func()) {
	q.started = time.Now()
	own := &deadline{Context: q.config.Cache.Expect(ctx, q.in), at: q.started.Add(q.config.Limits.Request)}
	return own, own.end
}

// check decides whether the operation may run, before any of it does.
func (q *request) check(ctx context.Context) gqlerror.List {
	q.op = q.runner.operation(q.watched)
	faults := q.document(ctx)
	if len(faults) == 0 {
		faults = q.variables()
	}
	if len(faults) == 0 {
		faults = q.cost()
	}
	if len(faults) == 0 {
		faults = q.runner.mutate(graphql.WithOperationContext(ctx, q.op), q.op)
	}
	if len(faults) == 0 {
		if q.op.Operation.Operation == ast.Mutation {
			q.runner.asMutation(q.op)
		}
		q.admitted(ctx)
	}
	return faults
}

// admitted has what passed remembered.
func (q *request) admitted(ctx context.Context) {
	if q.id != "" {
		q.config.Documents.Admitted(ctx, q.id, q.op.RawQuery)
	}
	q.remember()
}

// answer gives the operation's one response, whatever happens in it: a kept one, or
// what running it comes to.
func (q *request) answer(ctx context.Context, faults gqlerror.List) (response *graphql.Response) {
	opCtx := graphql.WithOperationContext(ctx, q.op)
	defer func() {
		if reason := recover(); reason != nil {
			response = q.alone(opCtx, q.presenter.recovered(opCtx, reason))
		}
	}()
	if len(faults) == 0 && q.op.Operation.Operation == ast.Subscription {
		faults = gqlerror.List{operation.Fault(models.BadUserInput, q.op.Operation.Position, "a plain request cannot carry a subscription: send Accept: text/event-stream, or use a WebSocket")}
	}
	if len(faults) > 0 {
		return q.runner.DispatchError(opCtx, faults)
	}
	if response = q.cacheOrRun(ctx); response == nil { // The time was up before anything ran.
		return q.alone(opCtx, errors.Join(ctx.Err(), context.DeadlineExceeded))
	}
	return response
}

func (q *request) alone(ctx context.Context, err error) *graphql.Response {
	return &graphql.Response{Errors: gqlerror.List{q.presenter.present(ctx, err)}}
}
