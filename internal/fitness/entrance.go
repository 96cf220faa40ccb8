package fitness

import (
	"context"
	"net/http"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// Entrance lets nobody in while the database must not be served: not even a kept
// answer is given, for a balancer may be slow to look at /readyz.
type Entrance struct {
	// Fit tells why the database must not be served now.
	Fit func() error
	// Auth says who comes in.
	Auth interface {
		Authenticate(ctx context.Context, r *http.Request) (*tenant.Scope, error)
	}
}

// Authenticate implements gqlserver.Authenticator.
func (e Entrance) Authenticate(ctx context.Context, r *http.Request) (*tenant.Scope, error) {
	if err := e.Fit(); err != nil {
		return nil, &models.Error{Code: models.Unavailable, Message: "the service is not ready, try again in a moment", Cause: err}
	}
	return e.Auth.Authenticate(ctx, r)
}
