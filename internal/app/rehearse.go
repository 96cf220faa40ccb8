package app

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/multitracer"

	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/rehearsal"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// rehearsed bounds a rehearsed statement, and twice the wait for a lock: what is
// rehearsed holds rows that somebody may want to change. A statement that takes
// longer was seen all the same.
const rehearsed = 2 * time.Second

// Rehearse runs every registered operation for a clinic, as a subject who may do
// everything. No data leaves the process, and nothing is kept: writes happen inside
// transactions that cannot commit (mutations.Config.Rehearse, and rehearsal.Guard behind it),
// everything else is read-only.
func Rehearse(ctx context.Context, settings config.Config, clinic uuid.UUID) (found rehearsal.Found, err error) {
	settings.StatementTimeout = rehearsed
	recorder := &rehearsal.Recorder{}
	made, err := newReadOnlyServer(ctx, settings, readOnlyParts{
		// Cursors are sealed and opened here alone.
		secret: bytes.Repeat([]byte("rehearsal"), 8), auth: everyone{clinic}, log: slog.New(slog.DiscardHandler),
		tracer: multitracer.New(rehearsal.Guard{}, recorder),
	})
	if err != nil {
		return found, err
	}
	defer made.db.Close()
	stage := rehearsal.Stage{
		Server: made.server.Public(), Schema: made.schema, Recorder: recorder, Clinic: clinic, URL: readOnly(settings.DatabaseURL),
	}
	return stage.Run(ctx)
}

// everyone is an owner of the clinic.
type everyone struct{ clinic uuid.UUID }

// Authenticate implements gqlserver.Authenticator.
func (e everyone) Authenticate(context.Context, *http.Request) (*tenant.Scope, error) {
	return &tenant.Scope{Subject: "taskmed:rehearsal", ClinicID: e.clinic, Role: models.RoleOwner}, nil
}
