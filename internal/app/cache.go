package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/taskmed/taskmed/internal/answering"
	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/sessions"
)

// cache is what the parts have of the response cache.
type cache struct {
	// answers are what clients are given.
	answers gqlserver.Cache
	// told is told of each write; opened knows which database connections reach.
	told   database.Coherence
	opened func(ctx context.Context, conn *pgconn.PgConn) (moved bool, err error)
	// sessions keeps who has which rights, of what a store says.
	sessions func(store *auth.Store) credentials
	closer
}

// credentials are who has which rights.
type credentials interface {
	auth.Memberships
	auth.Keys
}

// openCache makes the cache, or what does nothing in its place.
func openCache(settings config.Config, secret []byte, program *answering.Program, log *slog.Logger, watching observer) (cache, error) {
	if !settings.Cache {
		return cache{
			answers: gqlserver.Uncached{}, closer: nothing{},
			sessions: func(store *auth.Store) credentials { return store },
		}, nil
	}
	kept, err := answers.New(answers.Config{
		RedisURL: settings.RedisURL, RedisTimeout: settings.RedisTimeout, ListenURL: settings.ListenURL(),
		Bytes: settings.CacheBytes, Secret: secret,
		// A transaction ends with its longest statement or its request, a reader with
		// its request; both have the time to notice.
		LongestCommit:  settings.StatementTimeout + 2*time.Second,
		LongestRequest: settings.RequestTimeout + 5*time.Second,
		Log:            log, Metrics: watching.Registerer(), Hook: watching.RedisHook(),
	})
	if err != nil {
		return cache{}, err
	}
	return cache{
		answers: answering.From(kept, settings.RedisURL != "", program),
		told:    kept, opened: kept.Opened, closer: kept,
		sessions: func(store *auth.Store) credentials { return sessions.In(kept, store) },
	}, nil
}
