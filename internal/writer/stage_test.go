package writer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/objects"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/writer"
)

// stage runs operations on the schema as the server has it. No resolver is ever
// called: a field middleware gives what they would.
type stage struct {
	table  *objects.Table
	schema graphql.ExecutableSchema
}

func newStage(t testing.TB) *stage {
	t.Helper()
	table, err := generated.Objects()
	require.NoError(t, err)
	return &stage{table, generated.NewExecutableSchema(generated.Config{})}
}

// prepared is an operation with what its root fields give.
type prepared struct {
	stage *stage
	plan  *selection.Plan
	given map[*selection.Field]given
	run   func(fields graphql.FieldMiddleware) *graphql.Response
}

type given struct {
	value any
	err   error
}

// prepare plans a document and lets a world answer its root fields.
func (s *stage) prepare(t testing.TB, document string, variables map[string]any, seed uint64, calm bool) *prepared {
	t.Helper()
	p := &prepared{stage: s, given: map[*selection.Field]given{}}
	params := func() *graphql.RawParams { return &graphql.RawParams{Query: document, Variables: variables} }
	ctx := graphql.StartOperationTrace(context.Background())
	operation, problems := executor.New(s.schema).CreateOperationContext(ctx, params())
	require.Empty(t, problems, document)
	plan, err := selection.NewPlanner(s.schema.Schema(), s.table).Plan(operation)
	require.NoError(t, err, document)
	p.plan = plan
	w := &world{dice: rand.New(rand.NewPCG(seed, 1)), table: s.table, schema: s.schema.Schema(), calm: calm, made: map[*objects.Object][]any{}}
	for _, field := range plan.Fields {
		if field.Of != nil {
			value, err := w.answer(field)
			p.given[field] = given{value, err}
		}
	}
	p.run = func(fields graphql.FieldMiddleware) *graphql.Response {
		e := executor.New(s.schema)
		e.AroundFields(fields)
		e.SetRecoverFunc(func(context.Context, any) error { return errPanicked })
		ctx := graphql.StartOperationTrace(context.Background())
		operation, problems := e.CreateOperationContext(ctx, params())
		require.Empty(t, problems, document)
		next, ctx := e.DispatchOperation(ctx, operation)
		return next(ctx)
	}
	return p
}

// place finds the place of a field that is being answered.
func (p *prepared) place(fc *graphql.FieldContext) *selection.Field {
	set := p.plan.Fields
	if above := entity(fc); above != nil && above.Field.Field != nil {
		set = p.place(above).On(fc.Object)
	}
	i := slices.IndexFunc(set, func(field *selection.Field) bool { return field.Key == fc.Field.Alias })
	return set[i]
}

// entity is the context of the field that gave the object which has a field.
func entity(fc *graphql.FieldContext) *graphql.FieldContext {
	above := fc.Parent
	for above != nil && above.Index != nil {
		above = above.Parent
	}
	return above
}

var errPanicked = errors.New("it panicked")

var errUnfetched = errors.New("nothing was fetched for the place")

// resolved is what the field's resolver would give.
func (p *prepared) resolved(fc *graphql.FieldContext) (any, error) {
	place := p.place(fc)
	if place.Above == nil {
		return p.given[place].value, p.given[place].err
	}
	holder := reflect.ValueOf(fc.Parent.Result)
	for holder.Kind() == reflect.Interface || holder.Elem().Kind() != reflect.Struct {
		holder = holder.Elem()
	}
	child, found, err := holder.Interface().(interface {
		Kept(place any) (any, bool, error)
	}).Kept(place)
	if !found {
		return nil, errUnfetched
	}
	return child, err
}

// stock lets the library answer; it gives the global ids of all protected
// entities that fields had, too.
func (p *prepared) stock() (response *graphql.Response, protected []string) {
	var lock sync.Mutex
	return p.run(func(ctx context.Context, next graphql.Resolver) (any, error) {
		fc := graphql.GetFieldContext(ctx)
		if !fc.IsResolver {
			value, err := next(ctx)
			if place := p.place(fc); place.Of.Composite {
				lock.Lock()
				defer lock.Unlock()
				protected = append(protected, p.protected(place, value)...)
			}
			return value, err
		}
		value, err := p.resolved(fc)
		lock.Lock()
		defer lock.Unlock()
		protected = append(protected, p.protected(p.place(fc), value)...)
		return value, err
	}), protected
}

func (p *prepared) protected(place *selection.Field, value any) []string {
	if value == nil || !place.Of.Composite {
		return nil
	}
	values := []any{value}
	if place.Of.List {
		values = place.Of.Elements(value)
	}
	var ids []string
	for _, value := range values {
		object := p.stage.table.Of(value)
		if object == nil || !object.Protected {
			continue
		}
		if null, _ := object.Nil(value); !null {
			ids = append(ids, object.GlobalID(value))
		}
	}
	return ids
}

type text []byte

func (t text) MarshalGQL(w io.Writer) { _, _ = w.Write(t) }

// tally is how many root fields the writer was asked to write, and did.
type tally struct{ asked, wrote int }

// compiled lets the writer answer, at the root and below, and the library where
// it does not.
func (p *prepared) compiled() (response *graphql.Response, protected []string, roots tally) {
	var lock sync.Mutex
	return p.run(func(ctx context.Context, next graphql.Resolver) (any, error) {
		fc := graphql.GetFieldContext(ctx)
		if !fc.IsResolver {
			return next(ctx)
		}
		value, err := p.resolved(fc)
		if err != nil {
			return value, err
		}
		place := p.place(fc)
		var ids []string
		out, ok := writer.Append(nil, p.stage.table, place, value, func(protected []writer.Written) {
			for _, of := range protected {
				ids = append(ids, of.Object.GlobalID(of.Value))
			}
		})
		lock.Lock()
		defer lock.Unlock()
		if place.Above == nil {
			roots.asked++
			if ok {
				roots.wrote++
			}
		}
		if !ok {
			return value, nil
		}
		protected = append(protected, ids...)
		return text(out), nil
	}), protected, roots
}

// requireSame compares what both answer, to the byte.
func (p *prepared) requireSame(t testing.TB, document string) tally {
	t.Helper()
	stock, seen := p.stock()
	compiled, noted, roots := p.compiled()
	if !bytes.Equal(stock.Data, compiled.Data) {
		require.Equal(t, string(stock.Data), string(compiled.Data), document)
	}
	require.Equal(t, messages(stock), messages(compiled), document)
	if roots.asked == roots.wrote {
		slices.Sort(seen)
		slices.Sort(noted)
		require.Equal(t, seen, noted, document)
	}
	return roots
}

func messages(response *graphql.Response) []string {
	all := []string{}
	for _, problem := range response.Errors {
		all = append(all, problem.Path.String()+": "+problem.Message)
	}
	slices.Sort(all)
	return all
}

func kind(dice *rand.Rand) ast.Operation {
	if dice.IntN(4) == 0 {
		return ast.Mutation
	}
	return ast.Query
}
