// Package loaders fetches what hangs below entities, for a whole level of an
// answer at once.
//
// The usual way is the look-ahead: the moment entities are known, so is everything
// that was asked for below them. All of a level goes to Postgres in one round trip,
// and what comes back is kept on the entities, place by place, before their
// resolvers run. No timer is involved. Whatever is asked for without having been
// fetched is left to data loaders, one for each place of the answer, which collect
// keys for a millisecond.
package loaders

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/maypok86/otter/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vikstrous/dataloadgen"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/objects"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/tenant"
)

// Config is what loaders fetch by.
type Config struct {
	DB       *database.DB
	Registry *entity.Registry
	Schema   *ast.Schema
	Objects  *objects.Table
	// Now is the clock, which each answer reads once.
	Now func() time.Time
	// Fetching, if set, is told of a place that is about to be fetched for a number
	// of parents, 0 where that is not known yet; what it returns is called after.
	Fetching func(ctx context.Context, place *selection.Field, parents int) func(error)
}

// Loaders make each response its own.
type Loaders struct {
	Config

	planner *selection.Planner
	plans   *otter.Cache[planKey, *selection.Plan]
	// conditions are the variables that @skip and @include look at, by document.
	conditions *otter.Cache[*ast.QueryDocument, []string]
	// drafts are *[]byte that answers are written in, since it is not known how long they
	// become.
	drafts sync.Pool
}

type planKey struct {
	operation *ast.OperationDefinition
	mask      string
}

// mostPlans bounds the plans that are kept; documents are bounded elsewhere.
const mostPlans = 2000

// New makes Loaders.
func New(config Config) (*Loaders, error) {
	plans, err := otter.New(&otter.Options[planKey, *selection.Plan]{MaximumSize: mostPlans})
	if err != nil {
		return nil, fmt.Errorf("loaders: %w", err)
	}
	conditions, err := otter.New(&otter.Options[*ast.QueryDocument, []string]{MaximumSize: mostPlans})
	if err != nil {
		return nil, fmt.Errorf("loaders: %w", err)
	}
	return &Loaders{
		Config: config, planner: selection.NewPlanner(config.Schema, config.Objects), plans: plans, conditions: conditions,
	}, nil
}

// plan unfolds an operation, or finds how it was unfolded before.
func (l *Loaders) plan(operation *graphql.OperationContext) (*selection.Plan, error) {
	conditions, known := l.conditions.GetIfPresent(operation.Doc)
	if !known {
		conditions = selection.Conditions(operation.Doc)
		l.conditions.Set(operation.Doc, conditions)
	}
	key := planKey{operation.Operation, selection.Mask(conditions, operation.Variables)}
	if plan, known := l.plans.GetIfPresent(key); known {
		return plan, nil
	}
	plan, err := l.planner.Plan(operation)
	if err != nil {
		return nil, err
	}
	l.plans.Set(key, plan)
	return plan, nil
}

// Response is what is fetched for one response. It must never serve two: what it
// holds does not age.
type Response struct {
	from      *Loaders
	operation *graphql.OperationContext
	plan      *selection.Plan
	scope     *tenant.Scope

	roots sync.Once
	// fetched are the values of the root's fields, by their places.
	fetched map[*selection.Field]result

	mu      sync.Mutex
	loaders map[*selection.Field]*dataloadgen.Loader[uuid.UUID, any]
}

type result struct {
	value any
	err   error
}

type responseKey struct{}

func from(ctx context.Context) (*Response, error) {
	r, ok := ctx.Value(responseKey{}).(*Response)
	if !ok {
		return nil, errors.New("loaders: no response in the context")
	}
	return r, nil
}

// arguments reads a place's arguments as the field's resolver would.
func (r *Response) arguments(ctx context.Context, place *selection.Field) (entity.Args, error) {
	if place.Of == nil || place.Of.Arguments == nil {
		return nil, nil //nolint:nilnil // a field without arguments
	}
	return place.Of.Arguments(ctx, place.Raw(r.operation.Variables))
}

// Root is the value of the field of Query that is being resolved. The first of
// them to be asked for has all of them fetched.
func Root[T any](ctx context.Context) (T, error) {
	var none T
	r, err := from(ctx)
	if err != nil {
		return none, err
	}
	r.roots.Do(func() { r.fetchRoots(ctx) })
	at := graphql.GetFieldContext(ctx)
	got, ok := r.fetched[r.placeOf(at)]
	if !ok {
		return none, fmt.Errorf("loaders: Query.%s is fetched by nobody", at.Field.Name)
	}
	return typed[T](got.value, got.err)
}

// Child is the value of a relation of an object: what was fetched for its place, or
// else what the place's data loader finds.
func Child[T any](ctx context.Context, object any) (T, error) {
	var none T
	r, err := from(ctx)
	if err != nil {
		return none, err
	}
	at := graphql.GetFieldContext(ctx)
	place := r.placeOf(at)
	if place == nil {
		return none, fmt.Errorf("loaders: %s.%s stands at no place of its operation", at.Object, at.Field.Name)
	}
	if holds, ok := object.(holder); ok {
		if value, found, err := holds.Kept(place); found {
			return typed[T](value, err)
		}
	}
	value, err := r.load(ctx, place, at.Object, object)
	return typed[T](value, err)
}

// holder is an entity that holds what was fetched below it.
type holder interface {
	Keep(place, child any, err error)
	Kept(place any) (child any, found bool, err error)
}

func typed[T any](value any, err error) (T, error) {
	var none T
	if err != nil || value == nil {
		return none, err
	}
	of, ok := value.(T)
	if !ok {
		return none, fmt.Errorf("loaders: a %T was fetched where a %s is wanted", value, reflect.TypeFor[T]())
	}
	return of, nil
}

// Wanted is what is selected of the connection that is being resolved, and of the
// entities in it.
func Wanted(ctx context.Context) (selection.Wanted, error) {
	r, err := from(ctx)
	if err != nil {
		return selection.Wanted{}, err
	}
	place := r.placeOf(graphql.GetFieldContext(ctx))
	if place == nil {
		return selection.Wanted{}, nil
	}
	return selection.Connection(place), nil
}

// Selects tells whether a field is selected of the object that is being resolved.
func Selects(ctx context.Context, name string) bool {
	r, err := from(ctx)
	if err != nil {
		return false
	}
	place := r.placeOf(graphql.GetFieldContext(ctx))
	return place != nil && selection.Has(place.Below(), name)
}

// placeOf finds where in the plan a field of the answer stands; nil if nowhere.
func (r *Response) placeOf(at *graphql.FieldContext) *selection.Field {
	if at == nil {
		return nil
	}
	fields := r.plan.Fields
	if above := fieldAbove(at); above != nil {
		place := r.placeOf(above)
		if place == nil {
			return nil
		}
		fields = place.On(at.Object)
	}
	for _, field := range fields {
		if field.Key == at.Field.Alias {
			return field
		}
	}
	return nil
}

// fieldAbove is the field that a field is selected of, past the indices of lists;
// nil at the root.
func fieldAbove(at *graphql.FieldContext) *graphql.FieldContext {
	for above := at.Parent; above != nil; above = above.Parent {
		if above.Index == nil && above.Field.Field != nil {
			return above
		}
	}
	return nil
}
