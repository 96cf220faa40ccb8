package gqlserver

import "github.com/vektah/gqlparser/v2/gqlerror"

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
