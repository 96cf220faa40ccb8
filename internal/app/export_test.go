package app

import (
	"context"
	"net/http"

	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
)

// Database is the server's own door to Postgres, whose writes its cache tells of.
func (a *App) Database() *database.DB { return a.open.database.(*database.DB) }

// Authenticate gives the scope of a request.
func (a *App) Authenticate(ctx context.Context, r *http.Request) (*tenant.Scope, error) {
	return a.open.auth.(*auth.Authenticator).Authenticate(ctx, r)
}

// AsBuild has a server pass for another build of the program: all servers of a
// test are one executable.
func AsBuild(options *Options, build string) { options.build = build }

// Sweep clears once what is due of attachments.
func (a *App) Sweep(ctx context.Context) (int, error) { return a.files.Round(ctx) }
