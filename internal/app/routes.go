package app

import (
	"log/slog"
	"net/http"

	"github.com/taskmed/taskmed/internal/attachments/attachmentserver"
	"github.com/taskmed/taskmed/internal/calendar/feedserver"
	"github.com/taskmed/taskmed/internal/messaging/inboundserver"
)

// routes are what the public listener answers beside the API and the playground.
func routes(fit func() error, made *graph, log *slog.Logger) map[string]http.Handler {
	files := attachmentserver.Handler(made.files, fit, log)
	posts := inboundserver.Handler(made.talk, fit, log)
	return map[string]http.Handler{
		inboundserver.PostPattern: posts, inboundserver.AskPattern: posts,
		attachmentserver.PutPattern: files, attachmentserver.GetPattern: files,
		feedserver.Pattern: feedserver.Handler(made.calendar, fit, log),
	}
}
