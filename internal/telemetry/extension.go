package telemetry

import (
	"context"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/telemetry/metrics"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// extension watches operations and the fields that have a resolver.
type extension struct{ *Telemetry }

// Extension is to be the outermost of the server's.
func (t *Telemetry) Extension() graphql.HandlerExtension { return extension{t} }

var _ interface {
	graphql.OperationContextMutator
	graphql.ResponseInterceptor
	graphql.FieldInterceptor
} = extension{}

// ExtensionName implements graphql.HandlerExtension.
func (extension) ExtensionName() string { return "Telemetry" }

// Validate implements graphql.HandlerExtension.
func (extension) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext implements graphql.OperationContextMutator: the
// operation is valid and about to run, or to be answered from the cache.
func (e extension) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	r := requestOf(ctx)
	if r == nil {
		return nil
	}
	name := metrics.Other
	if e.known != nil {
		if known, ok := e.known(op); ok {
			name = known
		}
	}
	scope, err := tenant.From(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.name, r.kind = name, string(op.Operation.Operation)
	if err == nil {
		r.clinic = scope.ClinicID
	}
	r.span.Name(r.kind, r.name, r.clinic)
	return nil
}

// InterceptResponse implements graphql.ResponseInterceptor.
func (e extension) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	ctx, span := e.Execute(ctx)
	response := next(ctx)
	span.End(response != nil && len(response.Errors) > 0)
	r := requestOf(ctx)
	if r == nil || response == nil || len(response.Errors) == 0 {
		return response
	}
	for _, err := range response.Errors {
		code, _ := err.Extensions["code"].(models.Code)
		r.note(code)
	}
	if scope, err := tenant.From(ctx); err == nil {
		r.of(scope.ClinicID)
	}
	return response
}

// noticeable is below which a field's time is not worth noting as a part of its
// operation's: most fields are there already when they are asked for.
const noticeable = 20 * time.Microsecond

// InterceptField implements graphql.FieldInterceptor.
func (e extension) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	at := graphql.GetFieldContext(ctx)
	if at == nil || !at.IsResolver {
		return next(ctx)
	}
	f := e.fields.Of(at.Field.Definition)
	if f == nil {
		return next(ctx)
	}
	began := time.Now()
	value, err := next(ctx)
	took := time.Since(began)
	f.Count(took, err != nil)
	if took >= noticeable {
		if r := requestOf(ctx); r != nil {
			r.addField(f, took)
		}
	}
	return value, err
}
