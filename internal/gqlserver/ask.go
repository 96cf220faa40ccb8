package gqlserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/tenant"
)

// Asked is a query as a client asked it. Variables are a JSON object, or empty.
type Asked struct {
	Text, Name string
	Variables  []byte
}

// Ask prepares a query as if a client with the scope had asked it: it passes the same
// checks. It gives what a cache would be asked, and what computes the answer,
// once.
func (s *Server) Ask(ctx context.Context, scope *tenant.Scope, asked Asked) (*Question, Compute, error) {
	q := request{Server: s, in: &http.Request{}, scope: scope, said: &said{query: asked.Text, operationName: asked.Name}}
	if len(asked.Variables) > 0 {
		if err := decode(bytes.NewReader(asked.Variables), &q.said.variables); err != nil {
			return nil, nil, fmt.Errorf("read the variables: %w", err)
		}
	}
	if faults := q.check(tenant.With(ctx, scope)); len(faults) > 0 {
		return nil, nil, fmt.Errorf("it is refused: %w", faults)
	}
	if q.op.Operation.Operation != ast.Query || q.verdict.Caching.Why != "" {
		return nil, nil, errors.New("its answer is not kept")
	}
	question, err := q.question()
	if err != nil {
		return nil, nil, err
	}
	own := &run{runner: q.runner, op: q.op}
	return question, func(ctx context.Context) Computed { return own.compute(tenant.With(ctx, scope)) }, nil
}
