package app

import (
	"context"
	"io"
	"log/slog"

	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/persisted"
)

// documents are what is known by its hash or was published.
type documents struct {
	*persisted.Operations

	registry *persisted.Registry
	// ping tells whether the Redis that shares them answers; nil without one.
	ping func(context.Context) error
}

func openDocuments(settings config.Config, db *database.DB, log *slog.Logger, watching observer, opened *open) (d documents, err error) {
	wanted := persisted.TextsConfig{Log: log, Metrics: watching.Registerer()}
	if settings.RedisURL != "" {
		redis, err := persisted.OpenRedis(settings.RedisURL, settings.RedisTimeout)
		if err != nil {
			return d, err
		}
		opened.redis = quietly{redis}
		redis.AddHook(watching.RedisHook())
		wanted.Shared, d.ping = redis, redis.Ping
	}
	texts, err := persisted.NewTexts(wanted)
	if err != nil {
		return d, err
	}
	d.registry = persisted.NewRegistry(persisted.RegistryConfig{Source: persisted.InPostgres(db), Log: log})
	opened.registry = d.registry
	d.Operations = persisted.New(texts, d.registry, settings.Operations == config.RegisteredOperations)
	return d, nil
}

// ready tells whether what may run is known, where that matters.
func (d documents) ready(settings config.Config) error {
	if settings.Operations != config.RegisteredOperations {
		return nil
	}
	return d.registry.Loaded()
}

// quietly closes what says how that went: its connections are closed, whatever it says.
type quietly struct{ io.Closer }

// Close implements closer.
func (q quietly) Close() { _ = q.Closer.Close() }
