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
	posts := inboundserver.Handler(made.talk, fit, log)
	return map[string]http.Handler{
		inboundserver.PostPattern: posts, inboundserver.AskPattern: posts,
		feedserver.Pattern: feedserver.Handler(made.calendar, fit, log),
	}
}

// shared are those that pages of other sites, which may call the API, use too: a clinic's
// own front end puts and shows files.
func shared(fit func() error, made *graph, log *slog.Logger) map[string]http.Handler {
	files := attachmentserver.Handler(made.files, fit, log)
	return map[string]http.Handler{attachmentserver.PutPattern: files, attachmentserver.GetPattern: files}
}
