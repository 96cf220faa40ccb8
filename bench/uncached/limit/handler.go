// Package limit answers the three reference queries as a handler written by
// hand for them alone would: net/http, pgx, SQL with joins, rows scanned and
// JSON appended. It has no GraphQL, no sign-in, no row-level security and no
// limits: what TaskMed costs more is the price of all that.
package limit

import (
	"context"
	"fmt"
	"net/http"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/taskmed/taskmed/internal/paging"
)

// Handler answers GET /day, /contact and /contacts, and /metrics with what it
// has allocated.
type Handler struct {
	pool    *pgxpool.Pool
	cursors *paging.Cursors
	now     func() time.Time
	buffers sync.Pool
	mux     http.ServeMux
}

// New opens a pool to a database, as a role that row-level security does not
// bind. Close it.
func New(ctx context.Context, databaseURL string, secret []byte, now func() time.Time) (*Handler, error) {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("the database's URL: %w", err)
	}
	// As many as TaskMed has.
	config.MaxConns = 20
	// Planning the page of a contact anew each time takes Postgres longer than
	// running it.
	config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	h := &Handler{now: now, buffers: sync.Pool{New: func() any { return new([]byte) }}}
	if h.cursors, err = paging.NewCursors(secret); err != nil {
		return nil, err
	}
	if h.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("make the pool: %w", err)
	}
	h.mux.HandleFunc("GET /day", h.serve(h.day))
	h.mux.HandleFunc("GET /contact", h.serve(h.contact))
	h.mux.HandleFunc("GET /contacts", h.serve(h.contacts))
	h.mux.HandleFunc("GET /metrics", allocated)
	return h, nil
}

// Close ends the connections.
func (h *Handler) Close() { h.pool.Close() }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// question is what the clients of all three send.
type question struct {
	clinic pgtype.UUID
	// of gives a parameter.
	of func(name string) string
}

// answering appends an answer to a buffer.
type answering func(ctx context.Context, q question, to []byte) ([]byte, error)

func (h *Handler) serve(answer answering) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		values := r.URL.Query()
		clinic, err := parseID(clinicPrefix, values.Get("clinic"))
		if err != nil {
			http.Error(w, "clinic is no id of a clinic", http.StatusBadRequest)
			return
		}
		buffer, _ := h.buffers.Get().(*[]byte)
		defer h.buffers.Put(buffer)
		*buffer, err = answer(r.Context(), question{clinic, values.Get}, (*buffer)[:0])
		if err != nil {
			http.Error(w, "it failed", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(*buffer) // The client is gone: there is nobody to tell.
	}
}

// allocated tells the same as Prometheus' collector for Go does.
func allocated(w http.ResponseWriter, _ *http.Request) {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/tiny/allocs:objects"}}
	metrics.Read(samples)
	_, _ = fmt.Fprintf(w, "go_memstats_mallocs_total %d\n", samples[0].Value.Uint64()+samples[1].Value.Uint64())
}
