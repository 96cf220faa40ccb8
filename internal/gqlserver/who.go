package gqlserver

import (
	"context"
	"net/http"
	"strings"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// who finds out who asks, for which clinic, and begins to note what a developer is
// shown.
func (q *request) who(ctx context.Context) (context.Context, *refusal) {
	scope, err := q.config.Auth.Authenticate(ctx, q.in)
	if err != nil {
		return ctx, q.refuseCredentials(ctx, err)
	}
	q.scope = scope
	ctx = tenant.With(ctx, scope)
	if scope.May(tenant.PermissionDeveloper) {
		ctx, q.watched = q.watch(ctx)
	}
	return ctx, nil
}

// refuseCredentials speaks in the words of the authenticator.
func (q *request) refuseCredentials(ctx context.Context, err error) *refusal {
	shown := q.presenter.present(ctx, err)
	code, _ := shown.Extensions["code"].(models.Code)
	status := http.StatusInternalServerError
	switch code {
	case models.Unauthenticated:
		status = http.StatusUnauthorized
		if strings.TrimSpace(q.in.Header.Get("Authorization")) != "" {
			q.out.Header().Set("WWW-Authenticate", `Bearer realm="taskmed", error="invalid_token"`) // RFC 6750, section 3.1
		}
	case models.Forbidden:
		status = http.StatusForbidden
	case models.BadUserInput:
		status = http.StatusBadRequest
	case models.RateLimited:
		status = http.StatusTooManyRequests
	case models.Unavailable:
		status = http.StatusServiceUnavailable
	case models.CostLimit, models.OutcomeUnknown, models.Expired, models.Conflict, models.Internal:
	}
	return &refusal{status, code, shown.Message}
}
