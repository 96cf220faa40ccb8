// Package tenant says who asks, for which clinic and in which role. The scope
// lives in the request's context; where there is none, nothing is answered.
package tenant

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/models"
)

// ErrNoScope is returned where a clinic's data is asked for without a scope.
var ErrNoScope = errors.New("tenant: no scope in the context")

// PermissionDeveloper lets a subject see what a request cost: its statements,
// its cost and the cache's reasons.
const PermissionDeveloper = "developer"

// Scope is one authenticated subject acting for one clinic.
type Scope struct {
	// Subject is the token's "sub" claim, or "key:" and the id of a partner's key.
	Subject string
	// Name is for people to read; it may be empty.
	Name     string
	ClinicID uuid.UUID
	Role     models.Role
	// Permissions are rights beyond the role's, sorted.
	Permissions []string
}

// May tells whether the scope holds a permission beyond its role's.
func (s *Scope) May(permission string) bool {
	return slices.Contains(s.Permissions, permission)
}

type contextKey struct{}

// With returns a context that carries the scope.
func With(ctx context.Context, scope *Scope) context.Context {
	return context.WithValue(ctx, contextKey{}, scope)
}

// From returns the context's scope, or ErrNoScope.
func From(ctx context.Context) (*Scope, error) {
	scope, ok := ctx.Value(contextKey{}).(*Scope)
	if !ok || scope == nil || scope.ClinicID == uuid.Nil {
		return nil, ErrNoScope
	}
	return scope, nil
}

// Without returns a context that carries no scope any more: for the few
// look-ups across a subject's clinics.
func Without(ctx context.Context) context.Context {
	return context.WithValue(ctx, contextKey{}, (*Scope)(nil))
}
