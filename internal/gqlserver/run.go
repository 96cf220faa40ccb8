package gqlserver

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// runner is gqlgen's executor, which is handed operations that were checked here: it
// validates nothing, and nothing gets to it without a scope, the right to it and a
// bounded cost.
type runner struct {
	*executor.Executor

	presenter       *presenter
	tags            etags
	noIntrospection bool
	contextMutators []graphql.OperationContextMutator
	fieldMiddleware graphql.FieldMiddleware
	mutations       Mutations
}

func newRunner(config Config, p *presenter) (*runner, error) {
	r := &runner{
		Executor: executor.New(config.Schema), presenter: p, tags: newETags(config.Secret),
		noIntrospection: config.Operations.NoIntrospection, mutations: config.Mutations,
	}
	r.SetErrorPresenter(p.present)
	r.SetRecoverFunc(p.recovered)
	for _, extension := range config.Extensions {
		// gqlgen's Use panics on both.
		if err := extension.Validate(config.Schema); err != nil {
			return nil, fmt.Errorf("gqlserver: extension %s: %w", extension.ExtensionName(), err)
		}
		if !r.hook(extension) {
			return nil, fmt.Errorf("gqlserver: extension %s has no hook", extension.ExtensionName())
		}
	}
	if r.fieldMiddleware == nil {
		r.fieldMiddleware = func(ctx context.Context, next graphql.Resolver) (any, error) { return next(ctx) }
	}
	return r, nil
}

// hook takes an extension's hooks. gqlgen keeps those of its own executor to
// itself, so what an operation's context needs of them is kept here as well.
func (r *runner) hook(extension graphql.HandlerExtension) bool {
	hooked := false
	if m, ok := extension.(graphql.OperationContextMutator); ok {
		r.contextMutators = append(r.contextMutators, m)
		hooked = true
	}
	if m, ok := extension.(graphql.FieldInterceptor); ok {
		if outer := r.fieldMiddleware; outer == nil {
			r.fieldMiddleware = m.InterceptField // Most fields are leaves: a closure for each is worth sparing.
		} else {
			r.fieldMiddleware = func(ctx context.Context, next graphql.Resolver) (any, error) {
				return outer(ctx, func(ctx context.Context) (any, error) { return m.InterceptField(ctx, next) })
			}
		}
		hooked = true
	}
	_, around := extension.(graphql.OperationInterceptor)
	_, response := extension.(graphql.ResponseInterceptor)
	if around || response {
		r.Use(extension)
		hooked = true
	}
	return hooked
}

// operation begins an operation's context, with what its fields are run by.
func (r *runner) operation(noted *watched) *graphql.OperationContext {
	fields := r.fieldMiddleware
	if noted != nil {
		fields = noted.profile.Around(fields)
	}
	return &graphql.OperationContext{
		DisableIntrospection: r.noIntrospection, RecoverFunc: r.presenter.recovered, ResolverMiddleware: fields,
		RootResolverMiddleware: func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler { return next(ctx) },
	}
}

// Mutations says how a mutation's own fields are run.
type Mutations interface {
	// Root runs such a field with all below it.
	Root(ctx context.Context, next graphql.RootResolver) graphql.Marshaler
	// Resolve runs the resolver of any field of a mutation.
	Resolve(ctx context.Context, next graphql.Resolver) (any, error)
}

// plainly is Mutations where they are run as queries are.
type plainly struct{}

// Root implements Mutations.
func (plainly) Root(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	return next(ctx)
}

// Resolve implements Mutations.
func (plainly) Resolve(ctx context.Context, next graphql.Resolver) (any, error) { return next(ctx) }

// asMutation has the fields of an operation run as those of a mutation are.
func (r *runner) asMutation(op *graphql.OperationContext) {
	op.RootResolverMiddleware = r.mutations.Root
	fields := op.ResolverMiddleware
	op.ResolverMiddleware = func(ctx context.Context, next graphql.Resolver) (any, error) {
		return fields(ctx, func(ctx context.Context) (any, error) { return r.mutations.Resolve(ctx, next) })
	}
}

// mutate has extensions look at an operation that is about to run.
func (r *runner) mutate(ctx context.Context, op *graphql.OperationContext) gqlerror.List {
	for _, mutator := range r.contextMutators {
		if err := mutator.MutateOperationContext(ctx, op); err != nil {
			return gqlerror.List{err}
		}
	}
	return nil
}

// run runs an operation; nil if the time was up before that.
func (r *runner) run(ctx context.Context, op *graphql.OperationContext) *graphql.Response {
	responses, ctx := r.DispatchOperation(ctx, op)
	return responses(ctx)
}

// run computes one request's answer, in its goroutine.
type run struct {
	runner *runner
	op     *graphql.OperationContext
	// ran is the response that was computed.
	ran *graphql.Response
}

// alone runs the operation for this request and for nobody else.
func (r *run) alone(ctx context.Context, n *note) *graphql.Response {
	computed := r.compute(ctx)
	n.Digest, n.unfit = computed.Digest, computed.Unfit
	return r.ran
}

// compute implements Compute.
func (r *run) compute(ctx context.Context) Computed {
	r.ran = r.response(ctx)
	return r.runner.judge(r.ran)
}

// response survives a panic: others may be waiting for what the cache has computed.
func (r *run) response(ctx context.Context) (response *graphql.Response) {
	defer func() {
		if reason := recover(); reason != nil {
			ctx := graphql.WithOperationContext(ctx, r.op)
			p := r.runner.presenter
			response = &graphql.Response{Errors: gqlerror.List{p.present(ctx, p.recovered(ctx, reason))}}
		}
	}()
	return r.runner.run(ctx, r.op)
}

// judge tells what of a response may be kept: whole answers without errors.
func (r *runner) judge(response *graphql.Response) Computed {
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
	return Computed{Data: response.Data, Digest: r.tags.digest(response.Data)}
}
