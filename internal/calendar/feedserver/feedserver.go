// Package feedserver serves calendar feeds over HTTP.
package feedserver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/taskmed/taskmed/internal/calendar"
	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/models"
)

// Pattern is what of the public listener's requests is a feed's, as http.ServeMux has it.
const Pattern = "GET " + calendar.Path + "{file}"

const (
	// longest bounds how long one file takes.
	longest = 10 * time.Second
	// most bounds the files that are made at once: calendar clients come in flocks, and
	// the clinic's people come first.
	most = 4
	// patience is how long one waits for its turn.
	patience = 2 * time.Second
)

// Feeds gives the calendar of a feed's name, or models.ErrNotFound.
type Feeds interface {
	ReadFeed(ctx context.Context, name string) (*calendar.File, error)
}

// Handler answers requests for feeds. fit tells whether the database may be served.
func Handler(feeds Feeds, fit func() error, log *slog.Logger) http.Handler {
	return &handler{feeds, fit, log, make(chan struct{}, most)}
}

type handler struct {
	feeds Feeds
	fit   func() error
	log   *slog.Logger
	turns chan struct{}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	// The address is a secret: it must not travel on, nor lie in anybody's cache or index.
	header.Set("Cache-Control", "private, no-cache")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Robots-Tag", "noindex")
	ctx, done := context.WithTimeout(r.Context(), longest)
	defer done()
	file, err := h.read(ctx, r.PathValue("file"))
	switch {
	case errors.Is(err, models.ErrNotFound):
		http.Error(w, "there is no such calendar", http.StatusNotFound)
	case err != nil:
		if r.Context().Err() == nil {
			h.log.WarnContext(ctx, "a calendar feed could not be read", slog.String("request_id", requestid.From(ctx)), slog.Any("error", err))
		}
		header.Set("Retry-After", "30")
		http.Error(w, "the calendar cannot be read now: try again later", http.StatusServiceUnavailable)
	default:
		header.Set("ETag", file.ETag)
		if matches(r.Header.Get("If-None-Match"), file.ETag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		header.Set("Content-Type", "text/calendar; charset=utf-8")
		header.Set("Content-Disposition", `inline; filename="taskmed.ics"`)
		header.Set("Content-Length", strconv.Itoa(len(file.Body)))
		_, _ = w.Write(file.Body) // whoever is gone reads no more
	}
}

func (h *handler) read(ctx context.Context, asked string) (*calendar.File, error) {
	name, ok := strings.CutSuffix(asked, ".ics")
	if !ok {
		return nil, models.ErrNotFound
	}
	if err := h.fit(); err != nil {
		return nil, err
	}
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-wait.C:
		return nil, errors.New("too many calendars are being read at once")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return h.feeds.ReadFeed(ctx, name)
}

// matches compares as If-None-Match does: weakly (RFC 9110, section 13.1.2).
func matches(header, etag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == etag {
			return true
		}
	}
	return false
}
