package gqlserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/tenant"
)

// Asked is a query as a client asked it. Variables are a JSON object, or empty.
type Asked struct {
	Text, Name string
	Variables  []byte
}

// Warm has the cache keep the answer to a query, as if a client with the scope
// had asked: it passes the same checks, and is computed only if it is not kept.
// Nobody is given the answer.
func (s *Server) Warm(ctx context.Context, scope *tenant.Scope, asked Asked) (CacheAnswer, error) {
	e := s.executor
	if e.cache == nil {
		return CacheAnswer{}, errors.New("there is no cache to warm")
	}
	now := graphql.Now()
	params := &graphql.RawParams{Query: asked.Text, OperationName: asked.Name, ReadTime: graphql.TraceTiming{Start: now, End: now}}
	if len(asked.Variables) > 0 {
		if err := decode(bytes.NewReader(asked.Variables), &params.Variables); err != nil {
			return CacheAnswer{}, fmt.Errorf("read the variables: %w", err)
		}
	}
	ctx = tenant.With(ctx, scope)
	op, faults := e.CreateOperationContext(ctx, params)
	if len(faults) > 0 {
		return CacheAnswer{}, fmt.Errorf("it is refused: %w", faults)
	}
	caching := cachingOf(op)
	if op.Operation.Operation != ast.Query || caching.Why != "" {
		return CacheAnswer{}, errors.New("its answer is not kept")
	}
	r := &run{executor: e, op: op, scope: scope}
	question, err := r.question(caching)
	if err != nil {
		return CacheAnswer{}, err
	}
	// The loaders and whoever watches find the operation in the context.
	return e.cache.Answer(graphql.WithOperationContext(ctx, op), question, r.compute), nil
}
