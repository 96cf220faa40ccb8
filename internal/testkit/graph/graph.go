// Package graph gives tests the schema with all that answers it, without a server
// around it: no HTTP, no rights, no cache. The context says who asks.
package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/billing"
	"github.com/taskmed/taskmed/internal/calendar"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/loaders"
	"github.com/taskmed/taskmed/internal/nouns"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/people/guesses"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/resolvers"
)

// Graph answers operations.
type Graph struct {
	// Entities are all nouns.
	Entities *entity.Registry
	// Schema is the schema alone.
	Schema *ast.Schema

	executor *executor.Executor
}

// T is a test of testing's or of rapid's.
type T interface {
	require.TestingT
	Helper()
}

// New makes a graph that reads by db; now is its clock.
func New(t testing.TB, db *database.DB, cursors *paging.Cursors, now func() time.Time) *Graph {
	t.Helper()
	g := &Graph{Schema: generated.NewExecutableSchema(generated.Config{}).Schema()}
	table, err := rights.New(g.Schema)
	require.NoError(t, err)
	objects, err := generated.Objects()
	require.NoError(t, err)
	g.Entities, err = entity.New(entity.Config{
		DB: db, Cursors: cursors, Schema: g.Schema, Objects: objects, Rights: table, Roots: generated.RootRelations(),
	}, nouns.All()...)
	require.NoError(t, err)
	fetchers, err := loaders.New(loaders.Config{DB: db, Registry: g.Entities, Schema: g.Schema, Objects: objects, Now: now})
	require.NoError(t, err)
	root := resolvers.New(resolvers.Packages{
		People: people.New(db, g.Entities, cursors, now, guesses.Alone{}), Diary: scheduling.New(db, now), Chart: records.New(db, now),
		Calendar: calendar.New(db, g.Entities, cursors, entity.Server{}, now), Ledger: billing.New(db, now), Objects: objects, Rights: table,
	})
	g.executor = executor.New(generated.NewExecutableSchema(generated.Config{Resolvers: root, Schema: g.Schema}))
	g.executor.Use(fetchers.Extension())
	return g
}

// Do runs an operation. Its variables are given as Go values that JSON has a form for.
func (g *Graph) Do(t T, ctx context.Context, document string, variables any) *graphql.Response { //nolint:revive // a test comes first
	t.Helper()
	params := &graphql.RawParams{Query: document}
	text, err := json.Marshal(variables)
	require.NoError(t, err)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&params.Variables))
	ctx = graphql.StartOperationTrace(ctx)
	operation, refused := g.executor.CreateOperationContext(ctx, params)
	if len(refused) > 0 {
		return g.executor.DispatchError(graphql.WithOperationContext(ctx, operation), refused)
	}
	next, ctx := g.executor.DispatchOperation(ctx, operation)
	return next(ctx)
}

// Try runs an operation and reads its data into a value, if it has any. It gives the
// first of its errors, in which the cause can be found.
func (g *Graph) Try(t T, ctx context.Context, document string, variables, into any) error { //nolint:revive // likewise
	t.Helper()
	response := g.Do(t, ctx, document, variables)
	if len(response.Errors) > 0 {
		return response.Errors[0]
	}
	if into != nil {
		require.NoError(t, json.Unmarshal(response.Data, into), "%s", response.Data)
	}
	return nil
}

// Must is Try of an operation that may have no errors.
func (g *Graph) Must(t T, ctx context.Context, document string, variables, into any) { //nolint:revive // likewise
	t.Helper()
	require.NoError(t, g.Try(t, ctx, document, variables, into), document)
}
