// Package app is the one place where the parts are put together, top to
// bottom, and closed in reverse.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/jackc/pgx/v5/multitracer"

	"github.com/taskmed/taskmed/internal/answering"
	"github.com/taskmed/taskmed/internal/attachments"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/fitness"
	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/gqlserver/streams"
	"github.com/taskmed/taskmed/internal/idempotency"
	"github.com/taskmed/taskmed/internal/messaging"
	"github.com/taskmed/taskmed/internal/outbox"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/profile"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/sockets"
	"github.com/taskmed/taskmed/internal/telemetry"
	"github.com/taskmed/taskmed/internal/webhooks"
	"github.com/taskmed/taskmed/migrations"
	"github.com/taskmed/taskmed/web"
)

// Options are what a command decides and the environment does not.
type Options struct {
	Log *slog.Logger
	// DevKey, if set, signs tokens that are believed. Never in production.
	DevKey *auth.DevKey
	// Demo clinics are offered by the playground with their tokens. Never in production.
	Demo []web.DemoClinic
	// Inspector is web.Inspector's page of webhooks, which the playground leads to; may be
	// nil. Never in production.
	Inspector http.Handler
	// Extensions run within the server's own: tests plant faults with them.
	Extensions []graphql.HandlerExtension
	// Now is the clock; nil is time.Now.
	Now func() time.Time

	// Attachments are how tests get into the room of files.
	Attachments attachments.Seams
	// Webhooks and Sending are how tests look at webhooks, and have them sent faster.
	Webhooks webhooks.Seams
	Sending  webhooks.SenderConfig

	// build has the server pass for another build of the program, in tests, where
	// all servers are one executable.
	build string
}

// App is a server that is ready to serve.
type App struct {
	// fitness knows whether the database may be served.
	fitness *fitness.Watcher
	server  *gqlserver.Server
	// documents and cache are what is kept between requests.
	documents documents
	cache     cache
	// observer watches the others.
	observer observing
	// talk has messages sent and understood while the server serves.
	talk *messaging.Worker
	// files has what is not needed any more removed while the server serves.
	files *attachments.Sweeper

	open open
}

// open are the parts to be closed, in this order: the cache before the database, though
// it is opened before. What is not there, or not yet, is nothing.
type open struct{ streams, attendant, leader, hub, keeper, auth, registry, redis, guesses, cache, fitness, database, observer closer }

type closer interface{ Close() }

type nothing struct{}

func (nothing) Close() {}

// New puts the parts together. It fails with *fitness.UnfitError for a database that
// must not be served. It does not wait for Postgres: while that does not answer
// nothing is served, and /readyz tells.
func New(ctx context.Context, settings config.Config, options Options) (_ *App, err error) {
	now := options.Now
	if now == nil {
		now = time.Now
	}
	secret, err := settings.SecretBytes()
	if err != nil {
		return nil, fmt.Errorf("TASKMED_SECRET %w", err)
	}
	cursors, err := paging.NewCursors(secret)
	if err != nil {
		return nil, err
	}

	schema := schemaAlone()
	a := &App{open: open{nothing{}, nothing{}, nothing{}, nothing{}, nothing{}, nothing{}, nothing{}, nothing{}, nothing{}, nothing{}, nothing{}, nothing{}, nothing{}}}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if a.observer, err = observe(ctx, settings, &options, schema, a.known()); err != nil {
		return nil, err
	}
	a.open.observer = a.observer
	// It looks while the rest is put together.
	a.fitness = fitness.Watch(ctx, fitness.Config{URL: settings.DatabaseURL, Log: options.Log, Rules: []fitness.Rule{outbox.Raised}})
	a.open.fitness = a.fitness
	a.cache, err = openCache(settings, secret, answering.NewProgram(schema, options.build), options.Log, a.observer) //nolint:contextcheck // what it runs ends with Close, not with the start
	if err != nil {
		return nil, err
	}
	a.open.cache = a.cache
	reached := database.Config{
		URL: settings.DatabaseURL, MaxConns: settings.DatabaseMaxConns,
		AcquireTimeout: settings.AcquireTimeout, StatementTimeout: settings.StatementTimeout,
		// Developers are shown their own statements.
		Tracer: multitracer.New(profile.Tracer{}, a.observer.Tracer()), Coherence: a.cache.told, Opened: a.cache.opened,
		AskerProofs: migrations.AskerProofs(secret),
	}
	db, err := database.Open(ctx, reached)
	if err != nil {
		return nil, err
	}
	a.open.database = db
	a.documents, err = openDocuments(settings, db, options.Log, a.observer, &a.open) //nolint:contextcheck // likewise
	if err != nil {
		return nil, err
	}

	known := a.cache.sessions(auth.NewStore(db))
	authenticator, err := auth.New(auth.Config{ //nolint:contextcheck // its refreshing of keys ends with Close, not with the start
		Memberships: known, Keys: known,
		JWKSURL: settings.JWKSURL, Issuer: settings.JWTIssuer, Audience: settings.JWTAudience,
		DevKey: options.DevKey, Log: options.Log, Now: options.Now,
	})
	if err != nil {
		return nil, err
	}
	a.open.auth = authenticator

	keys, err := idempotency.New(secret)
	if err != nil {
		return nil, err
	}
	kept, err := files(ctx, settings, options, a.observer)
	if err != nil {
		return nil, err
	}
	tries, err := countGuesses(settings, secret, a.observer, &a.open)
	if err != nil {
		return nil, err
	}
	made, err := newGraph(graphParts{db: db, keys: keys, guesses: tries, offers: scheduling.NewMetrics(a.observer.Registerer()), channels: channels(settings), files: kept, hooks: webhooks.Config{Loopback: bool(settings.PrivateWebhooks), Seams: options.Webhooks}, cursors: cursors, server: entity.Server{Secret: secret, URL: settings.URL()}, now: now, fetching: profile.Fetching(a.observer.Fetching)})
	if err != nil {
		return nil, err
	}

	hub, err := openLive(settings, db, cursors, made, options.Log) //nolint:contextcheck // what it runs ends with Close, not with the start
	if err != nil {
		return nil, err
	}
	a.open.hub = hub
	a.talk = messaging.NewWorker(made.talk, messaging.WorkerConfig{Log: options.Log, Counted: messaging.NewMetrics(a.observer.Registerer())})
	a.files = attachments.NewSweeper(made.files, sweeps)
	planner := profile.NewPlanner(settings.DatabaseURL)
	served := gqlserver.Config{
		Schema: made.executable, Auth: fitness.Entrance{Fit: a.fitness.Fit, Auth: authenticator}, Log: options.Log, Rights: made.rights,
		Limits: gqlserver.Limits{
			BodyBytes: settings.BodyBytes, Request: settings.RequestTimeout, Streams: streamLimits(settings),
			Limits: sockets.Limits{
				Connections: settings.MaxConnections, Grace: settings.StopTimeout,
				// An answer is written after its request has run.
				Write: settings.RequestTimeout + 15*time.Second,
			},
		},
		Operations: operation.Limits{
			Tokens: settings.TokenLimit, Depth: settings.DepthLimit, Cost: int64(settings.CostLimit),
			NoIntrospection: !settings.Introspection,
		},
		// The observer's is outermost, so that it sees what the others do.
		Extensions: slices.Concat(a.observer.extensions, []graphql.HandlerExtension{made.loaders.Extension()}, options.Extensions),
		Playground: playground(settings, options), Routes: routes(a.fitness.Fit, made, options.Log), Shared: shared(a.fitness.Fit, made, options.Log), Origins: settings.AllowedOrigins,
		Events: events{hub}, Streams: streams.NewMetrics(a.observer.Registerer()),
		Documents: a.documents, Mutations: made.mutations, Cache: a.cache.answers, Secret: secret, Statements: statements{planner},
		Observer: a.observer, Metrics: a.observer.metrics, AdminRoutes: a.observer.routes,
		Ready: func(ctx context.Context) error {
			return errors.Join(db.Ping(ctx), a.Fit(), a.documents.ready(settings))
		},
	}
	a.observer.Watch(telemetry.Servers{Postgres: db.Ping, Redis: a.documents.ping, Plan: planner.Plan, Pool: poolFigures(db)})
	if a.server, err = gqlserver.New(served); err != nil {
		return nil, err
	}
	a.open.streams = a.server
	if err := a.fitness.Await(ctx); err != nil {
		return nil, err
	}
	a.open.keeper = maintain(settings, options.Log, a.observer)                                                    //nolint:contextcheck // it ends with Close, not with the start
	a.open.attendant = attend(settings, options.Log, a.observer, a.fitness.Fit, made)                              //nolint:contextcheck // likewise
	a.open.leader = lead(settings, db, options.Log, a.observer, a.fitness.Fit, made, options.Sending, hub.Stamped) //nolint:contextcheck // it ends with Close, not with the start
	return a, nil
}

// statements are the database's, as developers are shown them.
type statements struct{ *profile.Planner }

// Count implements gqlserver.Statements.
func (statements) Count(ctx context.Context) (context.Context, func() (statements, roundTrips int64)) {
	ctx, counts := database.WithCounts(ctx)
	return ctx, func() (int64, int64) { return counts.Statements.Load(), counts.RoundTrips.Load() }
}

func playground(settings config.Config, options Options) http.Handler {
	if !settings.Playground {
		return nil
	}
	return web.Handler(web.Config{DemoClinics: options.Demo, Inspector: options.Inspector})
}

// Fit is nil while the database may be served: the server begins without Postgres, and
// nobody is let in before somebody has looked.
func (a *App) Fit() error { return a.fitness.Fit() }

// Handler is the public listener's: the API and the playground.
func (a *App) Handler() http.Handler { return a.server.Public() }

// Admin is the admin listener's handler: metrics, health, the dashboard, pprof.
func (a *App) Admin() http.Handler { return a.server.Admin() }

// Telemetry is what watches the server; nil where that is switched off.
func (a *App) Telemetry() *telemetry.Telemetry {
	watching, _ := a.observer.observer.(*telemetry.Telemetry)
	return watching
}

// Serve answers on both listeners until the context ends, and then stops
// without cutting a request.
func (a *App) Serve(ctx context.Context, public, admin net.Listener) error {
	return a.talk.Beside(ctx, func() error {
		return a.files.Beside(ctx, func() error { return a.server.Serve(ctx, public, admin) })
	})
}

// Close lets go of what New took.
func (a *App) Close() {
	o := a.open
	for _, part := range []closer{o.streams, o.attendant, o.leader, o.hub, o.keeper, o.auth, o.registry, o.redis, o.guesses, o.cache, o.fitness, o.database, o.observer} {
		part.Close()
	}
}
