package loaders

import (
	"bytes"
	"context"
	"io"
	"reflect"

	"github.com/99designs/gqlgen/graphql"

	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/internal/writer"
)

// extension gives each response loaders of its own, fetches below whatever the
// resolvers give, and writes what is there without asking gqlgen field by field.
type extension struct{ *Loaders }

// Extension is the server's. It must be inside of whatever watches fields: what it
// gives to those outside may be written JSON.
func (l *Loaders) Extension() graphql.HandlerExtension { return extension{l} }

var _ interface {
	graphql.ResponseInterceptor
	graphql.FieldInterceptor
} = extension{}

// ExtensionName implements graphql.HandlerExtension.
func (extension) ExtensionName() string { return "Loaders" }

// Validate implements graphql.HandlerExtension.
func (extension) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse implements graphql.ResponseInterceptor. Attached to a request
// instead, a subscription's second event would read the first one's data.
func (e extension) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	operation := graphql.GetOperationContext(ctx)
	if operation.Operation == nil { // It was refused before it could be read.
		return next(ctx)
	}
	plan, err := e.plan(operation)
	if err != nil {
		graphql.AddError(ctx, err)
		return &graphql.Response{Errors: graphql.GetErrors(ctx)}
	}
	scope, err := tenant.From(ctx)
	if err != nil {
		graphql.AddError(ctx, err)
		return &graphql.Response{Errors: graphql.GetErrors(ctx)}
	}
	ctx, done := e.DB.WithLease(touched.Begin(ctx, e.Now()))
	defer done()
	return next(context.WithValue(ctx, responseKey{}, &Response{from: e.Loaders, operation: operation, plan: plan, scope: scope}))
}

// InterceptField implements graphql.FieldInterceptor.
func (e extension) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	at := graphql.GetFieldContext(ctx)
	if at == nil || len(at.Field.Selections) == 0 {
		return next(ctx) // a leaf
	}
	value, err := next(ctx)
	if err != nil || isNil(value) {
		return value, err
	}
	r, err := from(ctx)
	if err != nil {
		return nil, err
	}
	if at.IsResolver {
		if place := r.placeOf(at); place != nil && place.Of != nil {
			if _, fetched := e.Registry.Relation(at.Object, at.Field.Name); !fetched {
				r.below(ctx, place, value)
			}
			if written, ok := r.write(ctx, place, value); ok {
				return written, nil
			}
		}
	}
	e.note(ctx, value)
	return value, nil
}

// written is a field's value as JSON.
type written []byte

// MarshalGQL implements graphql.Marshaler.
func (w written) MarshalGQL(to io.Writer) {
	if answer, ok := to.(*bytes.Buffer); ok {
		const closing = 64 // or what closes the answer would have all of it copied once more
		answer.Grow(len(w) + closing)
	}
	_, _ = to.Write(w)
}

// write writes a value with all that is below it, if all of it is there; the
// protected entities in it are noted.
func (r *Response) write(ctx context.Context, place *selection.Field, value any) (written, bool) {
	const longest = 256 << 10 // longer ones are not kept
	draft, ok := r.from.drafts.Get().(*[]byte)
	if !ok {
		draft = new([]byte)
	}
	out, ok := writer.Append((*draft)[:0], r.from.Objects, place, value, func(protected []writer.Written) {
		ids := make([]string, len(protected))
		for i, of := range protected {
			ids[i] = of.Object.GlobalID(of.Value)
		}
		touched.AddProtected(ctx, ids...)
	})
	if !ok {
		return nil, false
	}
	text := bytes.Clone(out)
	if cap(out) <= longest {
		*draft = out
		r.from.drafts.Put(draft)
	}
	return text, true
}

// note notes the protected entities that a field's value consists of, where gqlgen
// writes it: one of them, or a list.
func (l *Loaders) note(ctx context.Context, value any) {
	if object := l.Objects.Of(value); object != nil {
		if object.Protected && object.GlobalID != nil {
			touched.AddProtected(ctx, object.GlobalID(value))
		}
		return
	}
	list := reflect.ValueOf(value)
	if list.Kind() != reflect.Slice {
		return
	}
	for i := range list.Len() {
		if element := list.Index(i).Interface(); !isNil(element) {
			l.note(ctx, element)
		}
	}
}

// isNil is whether a value is no value, a typed nil included.
func isNil(value any) bool {
	if value == nil {
		return true
	}
	of := reflect.ValueOf(value)
	return (of.Kind() == reflect.Pointer || of.Kind() == reflect.Interface) && of.IsNil()
}
