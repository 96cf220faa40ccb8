package gqlserver

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	gqlexecutor "github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/fingerprint"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/profile"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// executor is gqlgen's, but for how an operation comes about: here nothing is
// validated before its shape is checked, and nothing runs without a scope, the
// right to it and a bounded cost. It implements graphql.GraphExecutor, so that
// whatever transport is added stands behind the same checks.
type executor struct {
	*gqlexecutor.Executor

	checker         *operation.Checker
	documents       Documents
	cache           Cache
	writing         func(ctx context.Context, mutation string) context.Context
	tags            etags
	presenter       *presenter
	noIntrospection bool
	textLimit       int

	parameterMutators []graphql.OperationParameterMutator
	contextMutators   []graphql.OperationContextMutator
	fieldMiddleware   graphql.FieldMiddleware
	rootMiddleware    graphql.RootFieldMiddleware
}

var _ graphql.GraphExecutor = (*executor)(nil)

func newExecutor(config Config, checker *operation.Checker, p *presenter) (*executor, error) {
	e := &executor{
		Executor: gqlexecutor.New(config.Schema), checker: checker, presenter: p, documents: config.Documents,
		cache: config.Cache, writing: config.Writing, tags: newETags(config.Secret),
		noIntrospection: config.Operations.NoIntrospection,
		textLimit:       config.Operations.WithDefaults().TextBytes,
		rootMiddleware:  func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler { return next(ctx) },
	}
	e.SetErrorPresenter(p.present)
	e.SetRecoverFunc(p.recovered)
	for _, extension := range config.Extensions {
		// gqlgen's Use panics on both.
		if err := extension.Validate(config.Schema); err != nil {
			return nil, fmt.Errorf("gqlserver: extension %s: %w", extension.ExtensionName(), err)
		}
		if !e.hook(extension) {
			return nil, fmt.Errorf("gqlserver: extension %s has no hook", extension.ExtensionName())
		}
	}
	if e.fieldMiddleware == nil {
		e.fieldMiddleware = func(ctx context.Context, next graphql.Resolver) (any, error) { return next(ctx) }
	}
	return e, nil
}

// hook takes an extension's hooks. gqlgen keeps those of its own executor to
// itself, so what CreateOperationContext needs of them is kept here as well.
func (e *executor) hook(extension graphql.HandlerExtension) bool {
	hooked := false
	if m, ok := extension.(graphql.OperationParameterMutator); ok {
		e.parameterMutators = append(e.parameterMutators, m)
		hooked = true
	}
	if m, ok := extension.(graphql.OperationContextMutator); ok {
		e.contextMutators = append(e.contextMutators, m)
		hooked = true
	}
	if m, ok := extension.(graphql.FieldInterceptor); ok {
		if outer := e.fieldMiddleware; outer == nil {
			e.fieldMiddleware = m.InterceptField // Most fields are leaves: a closure for each is worth sparing.
		} else {
			e.fieldMiddleware = func(ctx context.Context, next graphql.Resolver) (any, error) {
				return outer(ctx, func(ctx context.Context) (any, error) { return m.InterceptField(ctx, next) })
			}
		}
		hooked = true
	}
	if m, ok := extension.(graphql.RootFieldInterceptor); ok {
		outer := e.rootMiddleware
		e.rootMiddleware = func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
			return outer(ctx, func(ctx context.Context) graphql.Marshaler { return m.InterceptRootField(ctx, next) })
		}
		hooked = true
	}
	_, around := extension.(graphql.OperationInterceptor)
	_, response := extension.(graphql.ResponseInterceptor)
	if around || response {
		e.Use(extension)
		hooked = true
	}
	return hooked
}

// verdictKey is where an operation's verdict is among its stats.
const verdictKey = "taskmed.verdict"

// printKey is where the fingerprint of an operation's document is.
const printKey = "taskmed.print"

func printOf(op *graphql.OperationContext) fingerprint.Fingerprint {
	mark, _ := op.Stats.GetExtension(printKey).(fingerprint.Fingerprint)
	return mark
}

// Cost is the cost of the operation that the context is of; 0 outside of one.
func Cost(ctx context.Context) int64 {
	if !graphql.HasOperationContext(ctx) {
		return 0
	}
	return costOf(graphql.GetOperationContext(ctx))
}

func costOf(op *graphql.OperationContext) int64 {
	verdict, ok := op.Stats.GetExtension(verdictKey).(*operation.Verdict)
	if !ok {
		return 0
	}
	return verdict.Cost
}

// CreateOperationContext implements graphql.GraphExecutor. The context must
// carry a tenant.Scope.
func (e *executor) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	op := &graphql.OperationContext{
		DisableIntrospection:   e.noIntrospection,
		RecoverFunc:            e.presenter.recovered,
		ResolverMiddleware:     e.fieldMiddleware,
		RootResolverMiddleware: e.rootMiddleware,
		Stats:                  graphql.Stats{Read: params.ReadTime, OperationStart: graphql.Now()},
	}
	if noted := profile.From(ctx); noted != nil {
		op.ResolverMiddleware = noted.Around(op.ResolverMiddleware)
	}
	scope, err := tenant.From(ctx)
	if err != nil {
		return op, gqlerror.List{operation.Fault(models.Unauthenticated, nil, unauthenticatedMessage)}
	}
	ctx = graphql.WithOperationContext(ctx, op)
	for _, mutator := range e.parameterMutators {
		if err := mutator.MutateOperationParameters(ctx, params); err != nil {
			return op, gqlerror.List{err}
		}
	}
	id, fault := e.resolve(ctx, params)
	if fault != nil {
		return op, gqlerror.List{fault}
	}
	op.RawQuery, op.OperationName = params.Query, params.OperationName
	op.Extensions, op.Headers = params.Extensions, params.Headers

	if faults := e.check(ctx, op, params, scope); len(faults) > 0 {
		return op, faults
	}
	for _, mutator := range e.contextMutators {
		if err := mutator.MutateOperationContext(ctx, op); err != nil {
			return op, gqlerror.List{err}
		}
	}
	if id != "" {
		e.documents.Admitted(ctx, id, params.Query)
	}
	return op, nil
}

func (e *executor) check(ctx context.Context, op *graphql.OperationContext, params *graphql.RawParams, scope *tenant.Scope) gqlerror.List {
	document, faults := e.checker.Document(params.Query)
	if len(faults) > 0 {
		return faults
	}
	found, fault := document.Operation(params.OperationName)
	if fault != nil {
		return gqlerror.List{fault}
	}
	op.Doc, op.Operation = document.AST, found.Definition
	if faults := e.coerce(ctx, op, params, found); len(faults) > 0 {
		return faults
	}
	verdict := e.checker.Admit(found, op.Variables, scope.Role)
	op.Stats.SetExtension(verdictKey, verdict)
	op.Stats.SetExtension(printKey, found.Print())
	return verdict.Faults
}

// coerce gives the operation its variables.
func (e *executor) coerce(ctx context.Context, op *graphql.OperationContext, params *graphql.RawParams, found *operation.Operation) (faults gqlerror.List) {
	known := askedOf(ctx)
	if known.passed(params.Query) {
		op.Variables = known.coerced
		op.Stats.SetExtension(canonicalKey, known.canonical)
		return nil
	}
	if known != nil && known.text != "" { // What its name stands for is another document by now.
		var err error
		if params.Variables, err = known.variables(); err != nil {
			return gqlerror.List{operation.Fault(models.BadUserInput, nil, "variables must be an object")}
		}
	}
	op.Variables, faults = e.checker.Variables(found, params.Variables)
	return faults
}

// notServed are operations that a plain answer cannot carry.
func notServed(kind ast.Operation) bool { return kind == ast.Subscription }
