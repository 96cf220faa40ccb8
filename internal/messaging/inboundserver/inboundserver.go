// Package inboundserver takes what channels' providers post over HTTP.
package inboundserver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/taskmed/taskmed/internal/messaging"
	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/models"
)

// What of the public listener's requests is providers', as http.ServeMux has it: what they
// post, and whether an address is ours.
const (
	PostPattern = "POST " + messaging.InboundPath + "{name}"
	AskPattern  = "GET " + messaging.InboundPath + "{name}"
)

const (
	// longest bounds how long one post takes: providers want an answer soon, or post again.
	longest = 5 * time.Second
	// longestBody is Meta's bound on a webhook.
	longestBody = 3 << 20
	// most bounds the posts that are taken at once.
	most = 32
	// patience is how long one waits for its turn.
	patience = time.Second
)

// Taker keeps what providers post. Its errors are models.ErrNotFound,
// messaging.ErrUnsigned and messaging.ErrUnread.
type Taker interface {
	Take(ctx context.Context, name string, header func(string) string, body []byte) error
	Challenge(ctx context.Context, name string, query func(string) string) (string, error)
}

// Handler answers providers. fit tells whether the database may be served.
func Handler(taker Taker, fit func() error, log *slog.Logger) http.Handler {
	return &handler{taker, fit, log, make(chan struct{}, most)}
}

type handler struct {
	taker Taker
	fit   func() error
	log   *slog.Logger
	turns chan struct{}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	ctx, done := context.WithTimeout(r.Context(), longest)
	defer done()
	answer, err := h.answer(ctx, w, r)
	var tooLong *http.MaxBytesError
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, answer) //nolint:gosec // text/plain, nosniff; whoever is gone posts again
	case errors.Is(err, models.ErrNotFound):
		http.Error(w, "there is no such address", http.StatusNotFound)
	case errors.Is(err, messaging.ErrUnsigned):
		http.Error(w, "this is not signed as it should be", http.StatusUnauthorized)
	case errors.As(err, &tooLong):
		http.Error(w, "this is too long", http.StatusRequestEntityTooLarge)
	case errors.Is(err, messaging.ErrUnread):
		h.log.WarnContext(ctx, "a channel's provider posted what is not understood", slog.String("request_id", requestid.From(ctx)), slog.Any("error", err))
		http.Error(w, "this is not of the form that this address takes", http.StatusBadRequest)
	default:
		if r.Context().Err() == nil {
			h.log.WarnContext(ctx, "what a channel's provider posted could not be kept", slog.String("request_id", requestid.From(ctx)), slog.Any("error", err))
		}
		w.Header().Set("Retry-After", "5")
		http.Error(w, "this cannot be taken now: post it again later", http.StatusServiceUnavailable)
	}
}

func (h *handler) answer(ctx context.Context, w http.ResponseWriter, r *http.Request) (string, error) {
	if err := h.fit(); err != nil {
		return "", err
	}
	var body []byte
	if r.Method == http.MethodPost {
		var err error
		if body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, longestBody)); err != nil {
			return "", err
		}
	}
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-wait.C:
		return "", errors.New("too many posts are being taken at once")
	case <-ctx.Done():
		return "", ctx.Err()
	}
	name := r.PathValue("name")
	if r.Method == http.MethodPost {
		return "", h.taker.Take(ctx, name, r.Header.Get, body)
	}
	answer, err := h.taker.Challenge(ctx, name, r.URL.Query().Get)
	// It is the provider's own text, and goes back as it came: nobody's page is made of it.
	return strings.TrimSpace(answer), err
}
