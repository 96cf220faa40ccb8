package gqlserver

import (
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
)

// variables gives the operation its variables, coerced.
func (q *request) variables() (faults gqlerror.List) {
	if q.said.passedAs(q.op.RawQuery) {
		q.op.Variables, q.canonical = q.said.passed.coerced, q.said.passed.canonical
		return nil
	}
	q.op.Variables, faults = q.checker.Variables(q.checked, q.said.variables)
	return faults
}

// comparable gives the variables as text, equal ones as equal texts.
func (q *request) comparable() (_ []byte, err error) {
	if q.canonical == nil {
		q.canonical, err = operation.Canonical(q.op.Variables)
	}
	return q.canonical, err
}

// cost refuses what the role may not select or what would cost too much.
func (q *request) cost() gqlerror.List {
	q.verdict = q.checker.Admit(q.checked, q.op.Variables, q.scope.Role)
	return q.verdict.Faults
}

// estimate is what the operation would cost; 0 if it did not come so far.
func (q *request) estimate() int64 {
	if q.verdict == nil {
		return 0
	}
	return q.verdict.Cost
}
