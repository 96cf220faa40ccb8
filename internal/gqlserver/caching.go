package gqlserver

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/fingerprint"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/tenant"
)

// Cache keeps the answers of queries.
type Cache interface {
	// Answer gives the kept answer to a question; if there is none, it has the
	// answer computed, once for all who wait for the same. compute may be called
	// again later, under a context of the cache's own, to keep the answer fresh.
	Answer(ctx context.Context, question *Question, compute Compute) CacheAnswer
}

// Question is what an answer depends on beside the clinic's data.
type Question struct {
	Scope   *tenant.Scope
	Caching operation.Caching
	// Name is the operation's own name in its document, Print the document's
	// fingerprint, and Variables are the coerced ones as canonical JSON.
	Name      string
	Print     fingerprint.Fingerprint
	Variables []byte
	// Text is the document, for who wants to ask again.
	Text string
	// Afresh passes over what is kept: the answer is computed and then kept.
	Afresh bool
}

// Computed is what computing an answer came to.
type Computed struct {
	// Data is the answer's data as JSON, and Digest names it.
	Data   json.RawMessage
	Digest string
	// Unfit says in words why the answer must not be kept or shown to anyone
	// else; "" where it may.
	Unfit string
}

// Compute runs the operation under a context.
type Compute func(ctx context.Context) Computed

// CacheAnswer is what the cache has to say.
type CacheAnswer struct {
	// Data is the answer's data as JSON, shared: do not change it. It is nil where
	// this very call computed, which Computed then says, or where it could not wait.
	Data     json.RawMessage
	Digest   string
	Computed *Computed
	// Hit is whether it was kept before the question came. With Data and no hit
	// somebody else computed it meanwhile.
	Hit bool
	// Bypassed is whether nothing can be kept now, whatever the question.
	Bypassed bool
	// Tier is where it was kept; Reason says in words why it is no hit.
	Tier, Reason string
	// Age is how long ago it was computed, Stored whether it was kept now.
	Age    time.Duration
	Stored bool
}

// noteKey is where what the cache said is among an operation's stats.
const noteKey = "taskmed.cache"

// note is what a client is told about how its answer came about.
type note struct {
	CacheAnswer

	caching operation.Caching
	// bypass says that the cache was not asked at all, request that the client
	// did not want what was kept.
	bypass, request bool
	// unfit is why the answer must not be kept by anyone.
	unfit string
}

func noteOf(op *graphql.OperationContext) *note {
	n, _ := op.Stats.GetExtension(noteKey).(*note)
	return n
}

// DispatchOperation implements graphql.GraphExecutor: an answer that is kept is
// given without running anything. It comes after auth and rights, and before
// every extension's interceptors.
func (e *executor) DispatchOperation(ctx context.Context, op *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	n := &note{caching: cachingOf(op), bypass: true}
	op.Stats.SetExtension(noteKey, n)
	directives := requested(op.Headers)
	switch {
	case op.Operation.Operation == ast.Mutation && e.writing != nil:
		ctx = e.writing(ctx, mutationOf(op))
		fallthrough
	case op.Operation.Operation != ast.Query, n.caching.Why != "":
		n.Reason, n.unfit = n.caching.Why, n.caching.Why
		return e.Executor.DispatchOperation(ctx, op)
	case directives.noStore:
		n.Reason, n.unfit = "no-store asked for", "no-store asked for"
		return e.Executor.DispatchOperation(ctx, op)
	}
	scope, err := tenant.From(ctx)
	if err != nil { // Nothing gets here without one.
		n.Reason, n.unfit = "no scope", "no scope"
		return e.Executor.DispatchOperation(ctx, op)
	}
	run := &run{executor: e, op: op, scope: scope}
	if e.cache == nil {
		n.Reason = "off"
		return once(func(ctx context.Context) *graphql.Response { return run.alone(ctx, n) }), ctx
	}
	n.bypass, n.request = false, directives.noCache
	return once(func(ctx context.Context) *graphql.Response {
		return run.cached(ctx, n)
	}), ctx
}

// mutationOf names a mutation by its first field: clients' own names of
// operations may be anything.
func mutationOf(op *graphql.OperationContext) string {
	for _, selection := range op.Operation.SelectionSet {
		if field, ok := selection.(*ast.Field); ok {
			return field.Name
		}
	}
	return "mutation"
}

// once is a handler of one response.
func once(respond func(ctx context.Context) *graphql.Response) graphql.ResponseHandler {
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		return respond(ctx)
	}
}

func cachingOf(op *graphql.OperationContext) operation.Caching {
	verdict, ok := op.Stats.GetExtension(verdictKey).(*operation.Verdict)
	if !ok {
		return operation.Caching{Why: "not checked"}
	}
	return verdict.Caching
}

// run is one request for an operation's answer.
type run struct {
	executor *executor
	op       *graphql.OperationContext
	scope    *tenant.Scope
	// ran is the latest response that this request, or the cache on its behalf,
	// computed.
	ran atomic.Pointer[graphql.Response]
}

// alone runs the operation for this request and for nobody else.
func (r *run) alone(ctx context.Context, n *note) *graphql.Response {
	computed := r.compute(ctx)
	n.Digest, n.unfit = computed.Digest, computed.Unfit
	return r.ran.Load()
}

func (r *run) cached(ctx context.Context, n *note) *graphql.Response {
	question, err := r.question(n.caching)
	if err != nil {
		n.Reason = "its variables cannot be compared"
		return r.alone(ctx, n)
	}
	question.Afresh = n.request
	n.CacheAnswer = r.executor.cache.Answer(ctx, question, r.compute)
	n.bypass = n.Bypassed
	switch {
	case n.Data != nil:
		return &graphql.Response{Data: n.Data}
	case n.Computed != nil:
		n.Digest, n.unfit = n.Computed.Digest, n.Computed.Unfit
		return r.ran.Load()
	case ctx.Err() != nil: // The time was up while somebody else computed.
		n.unfit = "ran out of time"
		return nil
	default:
		return r.alone(ctx, n)
	}
}

// question is what the cache is asked.
func (r *run) question(caching operation.Caching) (*Question, error) {
	variables, known := r.op.Stats.GetExtension(canonicalKey).([]byte)
	if !known {
		var err error
		if variables, err = canonical(r.op.Variables); err != nil {
			return nil, err
		}
	}
	return &Question{
		Scope: r.scope, Caching: caching, Name: r.op.Operation.Name, Print: printOf(r.op),
		Variables: variables, Text: r.op.RawQuery,
	}, nil
}

// compute implements Compute. Each run has an operation context of its own,
// since running writes into it: it may be another one's than the request's, and
// go on after the request.
func (r *run) compute(ctx context.Context) Computed {
	op := again(r.op)
	response := r.response(tenant.With(ctx, r.scope), op)
	r.ran.Store(response)
	return r.executor.judge(response)
}

// response survives a panic: the cache may be running it, with others waiting.
func (r *run) response(ctx context.Context, op *graphql.OperationContext) (response *graphql.Response) {
	defer func() {
		if reason := recover(); reason != nil {
			ctx := graphql.WithOperationContext(ctx, op)
			p := r.executor.presenter
			response = &graphql.Response{Errors: gqlerror.List{p.present(ctx, p.recovered(ctx, reason))}}
		}
	}()
	responses, runCtx := r.executor.Executor.DispatchOperation(ctx, op)
	return responses(runCtx)
}

// again is a context for running an operation once more.
func again(op *graphql.OperationContext) *graphql.OperationContext {
	fresh := &graphql.OperationContext{
		RawQuery: op.RawQuery, Variables: op.Variables, OperationName: op.OperationName, Doc: op.Doc,
		Extensions: op.Extensions, Headers: op.Headers, Operation: op.Operation,
		DisableIntrospection: op.DisableIntrospection, RecoverFunc: op.RecoverFunc,
		ResolverMiddleware: op.ResolverMiddleware, RootResolverMiddleware: op.RootResolverMiddleware,
		Stats: graphql.Stats{OperationStart: graphql.Now()},
	}
	fresh.Stats.SetExtension(verdictKey, op.Stats.GetExtension(verdictKey))
	return fresh
}

// judge tells what of a response may be kept: whole answers without errors.
func (e *executor) judge(response *graphql.Response) Computed {
	switch {
	case response == nil:
		return Computed{Unfit: "ran out of time"}
	case len(response.Errors) > 0:
		return Computed{Unfit: "has errors"}
	case response.Data == nil:
		return Computed{Unfit: "has no data"}
	case response.HasNext != nil:
		return Computed{Unfit: "comes in parts"}
	}
	return Computed{Data: response.Data, Digest: e.tags.digest(response.Data)}
}
