package app

import (
	"context"
	"net/http"

	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// fit tells why the database must not be served now.
type fit func() error

// unfit is what a client is told; why is for operators.
func (f fit) unfit() error {
	if err := f(); err != nil {
		return &models.Error{Code: models.Unavailable, Message: "the service is not ready, try again in a moment", Cause: err}
	}
	return nil
}

// entrance lets nobody in while the database must not be served: not even a kept
// answer is given, for a balancer may be slow to look at /readyz.
type entrance struct {
	fit

	auth gqlserver.Authenticator
}

// Authenticate implements gqlserver.Authenticator.
func (e entrance) Authenticate(ctx context.Context, r *http.Request) (*tenant.Scope, error) {
	if err := e.unfit(); err != nil {
		return nil, err
	}
	return e.auth.Authenticate(ctx, r)
}
