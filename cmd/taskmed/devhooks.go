package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"github.com/taskmed/taskmed/internal/webhooks/inspector"
	"github.com/taskmed/taskmed/models"
	"github.com/taskmed/taskmed/web"
)

// devHooks receive the demo clinics' webhooks; nil where TASKMED_PRIVATE_WEBHOOKS is off.
type devHooks struct{ *inspector.Inspector }

func receiveHooks(ctx context.Context, wanted bool, clinics demo, out io.Writer) (*devHooks, error) {
	if !wanted {
		return nil, nil //nolint:nilnil // its methods take a nil
	}
	config := inspector.Config{Out: out}
	for _, clinic := range clinics.playground {
		config.Clinics = append(config.Clinics, inspector.Clinic{
			ID: clinic.ID, Slug: clinic.Slug, Name: clinic.Name, Token: clinic.Tokens[string(models.RoleOwner)],
		})
	}
	made, err := inspector.New(ctx, config)
	if err != nil {
		return nil, err
	}
	return &devHooks{made}, nil
}

func (h *devHooks) page() http.Handler {
	if h == nil {
		return nil
	}
	return web.Inspector(h.Since)
}

// register has the clinics tell. Without webhooks the rest is still of use.
func (h *devHooks) register(ctx context.Context, url string, log *slog.Logger) {
	if h == nil {
		return
	}
	if err := h.Register(ctx, url); err != nil && ctx.Err() == nil {
		log.WarnContext(ctx, "some webhooks will not be shown", slog.Any("error", err))
	}
}

func (h *devHooks) close() {
	if h != nil {
		h.Close()
	}
}

// serialWriter is written to by several.
type serialWriter struct {
	mu  sync.Mutex
	out io.Writer
}

// Write implements io.Writer.
func (w *serialWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}
