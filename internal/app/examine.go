package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/taskmed/taskmed/internal/answering"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/tenant"
)

// Examiner computes kept answers anew: a server without sockets, whose every
// transaction is read-only.
type Examiner struct {
	*answering.Examiner

	made *readOnlyServer
}

// NewExaminer makes an examiner for servers with the same settings: their
// database and their secret, with which cursors are sealed.
func NewExaminer(ctx context.Context, settings config.Config, log *slog.Logger) (*Examiner, error) {
	secret, err := settings.SecretBytes()
	if err != nil {
		return nil, fmt.Errorf("TASKMED_SECRET %w", err)
	}
	made, err := newReadOnlyServer(ctx, settings, readOnlyParts{secret: secret, auth: nobody{}, log: log})
	if err != nil {
		return nil, err
	}
	return &Examiner{Examiner: answering.NewExaminer(made.server, answering.NewProgram(made.schema, "")), made: made}, nil
}

// Close lets go of the database.
func (e *Examiner) Close() { e.made.db.Close() }

// nobody lets nobody in: an examiner takes no requests.
type nobody struct{}

// Authenticate implements gqlserver.Authenticator.
func (nobody) Authenticate(context.Context, *http.Request) (*tenant.Scope, error) {
	return nil, tenant.ErrNoScope
}
