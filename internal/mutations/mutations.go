// Package mutations says how a mutation's own field is run: plainly; as a dry run,
// whose writes are taken back once the answer has been made of them; or once for a
// key, whose repetition is answered as the first time was.
package mutations

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/idempotency"
	"github.com/taskmed/taskmed/internal/outbox"
	"github.com/taskmed/taskmed/models"
)

// Header is the field of a request in which a client names all of its writes
// (draft-ietf-httpapi-idempotency-key-header).
const Header = "Idempotency-Key"

// DryRunExtension is where an answer tells what its dry runs would have done, by
// response name.
const DryRunExtension = "dryRun"

const (
	dryRunDirective     = "dryRun"
	idempotentDirective = "idempotent"
	mutationType        = "Mutation"
)

// Config says what mutations run on.
type Config struct {
	DB *database.DB
	// Keys may be nil where every mutation is a dry run.
	Keys   *idempotency.Keys
	Schema *ast.Schema
	// MayRead tells whether a role may read entities of an object type: it hears of no
	// others.
	MayRead func(role models.Role, object string) bool
	// Resolvers is the interface of the mutations' resolvers, whose results are
	// remembered.
	Resolvers reflect.Type
	// Rehearse makes every mutation a dry run, whatever its client says.
	Rehearse bool
	// Calling are mutations that write nothing and wait for others: they run without a
	// transaction, and in a dry run look at IsDryRun themselves. With a key each
	// repetition runs again, as of any mutation that wrote nothing.
	Calling []string
}

// Runner runs mutations' own fields. It may be used by many requests.
type Runner struct {
	db       *database.DB
	keys     *idempotency.Keys
	mayRead  func(role models.Role, object string) bool
	rehearse bool
	calling  []string
	// results are the resolvers' types by the mutation's name.
	results map[string]reflect.Type
}

// New makes a Runner; it is an error if a mutation has no resolver.
func New(config Config) (*Runner, error) {
	r := &Runner{db: config.DB, keys: config.Keys, mayRead: config.MayRead, rehearse: config.Rehearse, calling: config.Calling, results: map[string]reflect.Type{}}
	for _, field := range config.Schema.Mutation.Fields {
		if strings.HasPrefix(field.Name, "__") {
			continue
		}
		for method := range config.Resolvers.Methods() {
			if strings.EqualFold(method.Name, field.Name) {
				r.results[field.Name] = method.Type.Out(0)
			}
		}
		if result := r.results[field.Name]; result == nil || result.Kind() != reflect.Pointer {
			return nil, fmt.Errorf("mutations: %s has no resolver that gives a payload: run make generate", field.Name)
		}
	}
	return r, nil
}

// way is how one root field is run.
type way struct {
	unit *database.Unit
	dry  bool
	once *once // nil for a dry run
}

type wayKey struct{}

// Root runs a mutation's own field with all below it.
func (r *Runner) Root(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	field := graphql.GetRootFieldContext(ctx)
	w, err := r.way(ctx, field.Field)
	if err != nil {
		graphql.AddError(graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: mutationType, Field: field.Field}), err)
		return graphql.Null
	}
	if w == nil {
		return next(ctx)
	}
	if slices.Contains(r.calling, field.Field.Name) {
		return next(context.WithValue(ctx, dryKey{}, w.dry))
	}
	ctx, w.unit = r.db.WithUnit(ctx)
	defer w.unit.Rollback(ctx)
	return next(context.WithValue(ctx, wayKey{}, w))
}

type dryKey struct{}

// IsDryRun is whether a mutation that calls others is to do as if it had.
func IsDryRun(ctx context.Context) bool {
	dry, _ := ctx.Value(dryKey{}).(bool)
	return dry
}

// way is how a field says that it wants to be run; nil if plainly.
func (r *Runner) way(ctx context.Context, field graphql.CollectedField) (*way, error) {
	if field.Name == "__typename" {
		return nil, nil
	}
	if r.rehearse || field.Directives.ForName(dryRunDirective) != nil {
		return &way{dry: true}, nil
	}
	named, err := onceOf(ctx, field)
	if named == nil || err != nil {
		return nil, err
	}
	return &way{once: named}, nil
}

// Resolve runs the resolver of a field of a mutation.
func (r *Runner) Resolve(ctx context.Context, next graphql.Resolver) (any, error) {
	field := graphql.GetFieldContext(ctx)
	if field.Object != mutationType {
		return next(ctx)
	}
	w, _ := ctx.Value(wayKey{}).(*way)
	if w == nil {
		return next(ctx)
	}
	if err := w.unit.Begin(ctx); err != nil {
		return nil, err
	}
	if w.dry {
		result, err := next(ctx)
		if err == nil && w.unit.Wrote() {
			err = r.tell(ctx, field.Field.Alias, w.unit)
		}
		return result, err
	}
	return r.runOnce(ctx, w, field.Field.Name, next)
}

// runOnce runs a resolver in the transaction that takes its key, unless that was taken
// before. Where nothing was written nothing is remembered.
func (r *Runner) runOnce(ctx context.Context, w *way, mutation string, next graphql.Resolver) (any, error) {
	defer w.unit.Rollback(ctx) // what is read below the payload is read as ever
	if w.once.request != "" {
		if _, _, err := r.keys.Take(ctx, w.unit, w.once.request, w.once.requested); err != nil {
			return nil, err
		}
	}
	remembered, used, err := r.keys.Take(ctx, w.unit, w.once.key, w.once.input)
	if err != nil {
		return nil, err
	}
	if used {
		return r.read(mutation, remembered)
	}
	result, err := next(ctx)
	if err != nil || !w.unit.Wrote() {
		return result, err
	}
	text, err := json.Marshal(result)
	if err == nil {
		_, err = r.read(mutation, text) // rather refused now than unreadable later
	}
	if err != nil {
		return nil, fmt.Errorf("mutations: what %s came to cannot be kept: %w", mutation, err)
	}
	if err := r.keys.Remember(ctx, w.unit, w.once.key, text); err != nil {
		return nil, err
	}
	return result, w.unit.Commit(ctx)
}

// read reads what a mutation came to.
func (r *Runner) read(mutation string, remembered []byte) (any, error) {
	result := reflect.New(r.results[mutation].Elem())
	if err := json.Unmarshal(remembered, result.Interface()); err != nil {
		return nil, fmt.Errorf("mutations: what %s came to cannot be read: %w", mutation, err)
	}
	return result.Interface(), nil
}

// DryRun is what a dry run would have done.
type DryRun struct {
	// Written are the global ids of what would have been created, changed or deleted.
	Written []string `json:"written"`
	// Notified are the events that the feed, subscriptions and webhooks would have told.
	Notified []outbox.Notice `json:"notified"`
	// Invalidated are the tags of the cache's answers that would have been. Those of
	// searches are told as one: they are made of values that not every role sees.
	Invalidated []string `json:"invalidated"`
}

// tell has the answer say what a dry run would have done.
func (r *Runner) tell(ctx context.Context, alias string, unit *database.Unit) error {
	tags, err := unit.Touched(ctx)
	if err != nil {
		return err
	}
	notified, err := outbox.Pending(ctx, r.db, r.mayRead)
	if err != nil {
		return err
	}
	told := DryRun{Written: []string{}, Notified: notified, Invalidated: []string{}}
	for _, tag := range tags {
		if kind, id, of := tag.Entity(); of {
			told.Written = append(told.Written, kind.Global(id))
		}
		text := string(tag)
		if noun, _, search := strings.Cut(text, "/search/"); search {
			text = noun + "/search"
		}
		told.Invalidated = append(told.Invalidated, text)
	}
	told.Invalidated = slices.Compact(told.Invalidated) // tags are in order
	all, _ := graphql.GetExtension(ctx, DryRunExtension).(map[string]DryRun)
	if all == nil {
		all = map[string]DryRun{}
		graphql.RegisterExtension(ctx, DryRunExtension, all)
	}
	all[alias] = told
	return nil
}
