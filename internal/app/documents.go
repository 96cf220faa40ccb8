package app

import (
	"errors"
	"log/slog"

	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/persisted"
)

// documents are what is known by its hash or was published.
type documents struct {
	*persisted.Operations

	registry *persisted.Registry
	redis    *persisted.Redis
}

func openDocuments(settings config.Config, db *database.DB, log *slog.Logger, watching observer) (d documents, err error) {
	wanted := persisted.TextsConfig{Log: log, Metrics: watching.registerer()}
	if settings.RedisURL != "" {
		if d.redis, err = persisted.OpenRedis(settings.RedisURL, settings.RedisTimeout); err != nil {
			return d, err
		}
		if hook := watching.redisHook(); hook != nil {
			d.redis.AddHook(hook)
		}
		wanted.Shared = d.redis
	}
	texts, err := persisted.NewTexts(wanted)
	if err != nil {
		return d, errors.Join(err, d.close())
	}
	d.registry = persisted.NewRegistry(persisted.RegistryConfig{Source: persisted.InPostgres(db), Log: log})
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

func (d documents) close() error {
	if d.registry != nil {
		d.registry.Close()
	}
	if d.redis != nil {
		return d.redis.Close()
	}
	return nil
}
