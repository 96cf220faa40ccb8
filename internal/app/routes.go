package app

import (
	"log/slog"
	"net/http"

	"github.com/taskmed/taskmed/internal/calendar/feedserver"
)

// routes are what the public listener answers beside the API and the playground.
func routes(fit func() error, made *graph, log *slog.Logger) map[string]http.Handler {
	return map[string]http.Handler{
		feedserver.Pattern: feedserver.Handler(made.calendar, fit, log),
	}
}
