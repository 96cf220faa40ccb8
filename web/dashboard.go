package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// DashboardSource is what the dashboard shows: figures of type S, which its
// page reads as JSON (src/dashboard/snapshot.ts).
type DashboardSource[S any] interface {
	// History gives what is kept, the oldest first.
	History() []S
	// Subscribe gives what comes, until the context ends or the source does,
	// which closes the channel.
	Subscribe(ctx context.Context) <-chan S
	// Plan gives Postgres' plan for a statement that the figures name.
	Plan(ctx context.Context, statement string) (string, error)
}

const (
	// watchers bounds the pages that listen at once.
	watchers = 100
	// patience is how long a page may take to read one event.
	patience = 10 * time.Second
	// beat is how often a page is told that nothing has come.
	beat = 15 * time.Second
)

// Dashboard serves the operators' page at "/dashboard", its files under
// "/dashboard/", what is kept at "/dashboard/history.json" and what comes, as
// server-sent events, at "/dashboard/events", and the plan of ?statement= at
// "/dashboard/plan.json". It has no authentication: mount
// it on the admin listener, for "/dashboard" and "/dashboard/".
func Dashboard[S any](source DashboardSource[S]) http.Handler {
	files, err := fs.Sub(dist, "dist/dashboard")
	if err != nil { // fs.Sub fails for an invalid path only, and this one is a constant.
		panic(fmt.Sprintf("web: embedded files: %v", err))
	}
	return newDashboard(source, files, beat)
}

func newDashboard[S any](source DashboardSource[S], files fs.FS, beat time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /dashboard", plainPage(files, "dashboard.html"))
	mux.Handle("GET /dashboard/{$}", http.RedirectHandler("/dashboard", http.StatusMovedPermanently))
	mux.HandleFunc("GET /dashboard/history.json", func(w http.ResponseWriter, r *http.Request) {
		history := source.History()
		if history == nil {
			history = []S{}
		}
		writeJSON(w, r, history)
	})
	mux.HandleFunc("GET /dashboard/plan.json", func(w http.ResponseWriter, r *http.Request) {
		plan, err := source.Plan(r.Context(), r.URL.Query().Get("statement"))
		if err != nil { // Its words may name hosts.
			http.Error(w, "no plan is to be had for this statement", http.StatusNotFound)
			return
		}
		writeJSON(w, r, map[string]string{"plan": plan})
	})
	var watching atomic.Int64
	mux.HandleFunc("GET /dashboard/events", func(w http.ResponseWriter, r *http.Request) {
		if watching.Add(1) > watchers {
			watching.Add(-1)
			http.Error(w, "too many dashboards are open", http.StatusServiceUnavailable)
			return
		}
		defer watching.Add(-1)
		ctx, stop := context.WithCancel(r.Context())
		defer stop()
		stream(ctx, w, source.Subscribe(ctx), beat)
	})
	mux.Handle("GET /dashboard/", http.StripPrefix("/dashboard/", assetHandler(files)))
	return secureHeaders(mux)
}

// plainPage is a built page by its name; without a build it says how to make one.
func plainPage(files fs.FS, name string) http.Handler {
	page, err := fs.ReadFile(files, name)
	if errors.Is(err, fs.ErrNotExist) {
		page = []byte("<!doctype html><title>TaskMed</title><p>This binary was built without this page: run make web, then build it again.</p>\n")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		serveBytes(w, r, page)
	})
}

// writeJSON packs what it writes: an hour of figures is some megabytes of
// names that repeat.
func writeJSON(w http.ResponseWriter, r *http.Request, value any) {
	var body bytes.Buffer
	packed := takes(r.Header.Get("Accept-Encoding"), "gzip")
	var err error
	if packed {
		zip, _ := gzip.NewWriterLevel(&body, gzip.BestSpeed) // fails for an unknown level only
		err = errors.Join(json.NewEncoder(zip).Encode(value), zip.Close())
	} else {
		err = json.NewEncoder(&body).Encode(value)
	}
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	h.Set("Vary", "Accept-Encoding")
	if packed {
		h.Set("Content-Encoding", "gzip")
	}
	_, _ = w.Write(body.Bytes())
}

// stream writes events (WHATWG HTML, section 9.2) until the context ends, the
// source does, or the page no longer reads.
func stream[S any](ctx context.Context, w http.ResponseWriter, events <-chan S, beat time.Duration) {
	connection := http.NewResponseController(w)
	// The server's time-outs are for requests; this one lasts. What cannot set
	// deadlines has none.
	_ = connection.SetReadDeadline(time.Time{})
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	write := func(text string) bool {
		_ = connection.SetWriteDeadline(time.Now().Add(patience))
		_, err := w.Write([]byte(text))
		return err == nil && connection.Flush() == nil
	}
	if !write("retry: 2000\n\n") {
		return
	}
	quiet := time.NewTicker(beat)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-quiet.C:
			if !write(": still here\n\n") {
				return
			}
		case event, open := <-events:
			if !open {
				return
			}
			text, err := json.Marshal(event)
			if err != nil || !write("data: "+strings.TrimSpace(string(text))+"\n\n") {
				return
			}
			quiet.Reset(beat)
		}
	}
}
