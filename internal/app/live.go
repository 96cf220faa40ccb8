package app

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/gqlserver/streams"
	"github.com/taskmed/taskmed/internal/live"
	"github.com/taskmed/taskmed/internal/paging"
)

// openLive makes the hub that subscriptions are told by.
func openLive(settings config.Config, db *database.DB, cursors *paging.Cursors, made *graph, log *slog.Logger) (*live.Hub, error) {
	return live.New(live.Config{
		DB: db, Rights: made.rights, Cursors: cursors, RedisURL: settings.RedisURL, RedisTimeout: settings.RedisTimeout, Log: log,
	})
}

// streamLimits are those of connections that stay.
func streamLimits(settings config.Config) streams.Limits {
	return streams.Limits{
		Connections: settings.LiveConnections, ClinicConnections: settings.LiveClinic, Operations: settings.LiveOperations,
		AtOnce: max(1, int(settings.DatabaseMaxConns)*2/5),
	}
}

// events are a hub's, as the edge has them.
type events struct{ hub *live.Hub }

// Follow implements gqlserver.Events.
func (e events) Follow(ctx context.Context, field string, args map[string]any, after string) (gqlserver.Follower, error) {
	follower, err := e.hub.Follow(ctx, field, args, after)
	if err != nil {
		return nil, err
	}
	return followed{follower}, nil
}

type followed struct{ *live.Follower }

// Next implements gqlserver.Follower.
func (f followed) Next(ctx context.Context) (gqlserver.Event, error) {
	event, err := f.Follower.Next(ctx)
	return gqlserver.Event(event), err
}

// stamped tells all who want to know which clinics have new changes. None of them waits.
func stamped(told ...func(clinics []uuid.UUID)) func(clinics []uuid.UUID) {
	return func(clinics []uuid.UUID) {
		for _, tell := range told {
			tell(clinics)
		}
	}
}
