package app

import (
	"context"
	"log/slog"
	"net/url"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/jackc/pgx/v5"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/attachments"
	"github.com/taskmed/taskmed/internal/attachments/store"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/people/guesses"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/webhooks"
)

// readOnlyConnections bounds the connections of a server without sockets.
const readOnlyConnections = 4

// readOnlyServer is a server without sockets, for an operator's commands: what
// it sends to Postgres cannot write, unless its tracer lets it.
type readOnlyServer struct {
	db     *database.DB
	server *gqlserver.Server
	schema *ast.Schema
}

// readOnlyParts are what one such server has and another has not.
type readOnlyParts struct {
	// secret seals and opens cursors.
	secret []byte
	auth   gqlserver.Authenticator
	// tracer may be nil.
	tracer pgx.QueryTracer
	log    *slog.Logger
}

// newReadOnlyServer makes a server with the settings' limits over their database.
func newReadOnlyServer(ctx context.Context, settings config.Config, parts readOnlyParts) (_ *readOnlyServer, err error) {
	cursors, err := paging.NewCursors(parts.secret)
	if err != nil {
		return nil, err
	}
	s := &readOnlyServer{}
	s.db, err = database.Open(ctx, database.Config{
		URL: readOnly(settings.DatabaseURL), MaxConns: readOnlyConnections, Tracer: parts.tracer,
		AcquireTimeout: settings.AcquireTimeout, StatementTimeout: settings.StatementTimeout,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.db.Close()
		}
	}()
	made, err := newGraph(graphParts{db: s.db, cursors: cursors, guesses: guesses.Alone{}, offers: scheduling.Uncounted{}, channels: channels(settings), files: attachments.Config{Store: store.Nowhere{}, Largest: settings.Attachments.Bytes}, hooks: webhooks.Config{Offline: true}, now: time.Now})
	if err != nil {
		return nil, err
	}
	s.schema = made.executable.Schema()
	s.server, err = gqlserver.New(gqlserver.Config{
		Schema: made.executable,
		Auth:   parts.auth, Log: parts.log, Rights: made.rights, Secret: parts.secret,
		Operations: operation.Limits{Tokens: settings.TokenLimit, Depth: settings.DepthLimit, Cost: int64(settings.CostLimit)},
		Mutations:  made.mutations,
		Extensions: []graphql.HandlerExtension{made.loaders.Extension()},
	})
	return s, err
}

// readOnly is a database's address for connections whose transactions cannot write.
func readOnly(address string) string {
	const parameter = "default_transaction_read_only"
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme == "" {
		return address + " " + parameter + "=on" // keywords and values
	}
	values := parsed.Query()
	values.Set(parameter, "on")
	parsed.RawQuery = values.Encode()
	return parsed.String()
}
