package gqlserver

import (
	"net/http"

	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/models"
)

// around gives every request its id and the headers that every answer has, and
// survives a panic.
func (s *Server) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestid.Accept(r.Header.Get("X-Request-Id"))
		header := w.Header()
		header.Set("X-Request-Id", id)
		header["X-Content-Type-Options"] = s.fixed.nosniff
		if s.draining.Load() {
			// The connection is not used again, so stopping cuts none that is just being used.
			header.Set("Connection", "close")
		}
		r = r.WithContext(requestid.With(r.Context(), id))
		defer s.survive(w, r)
		next.ServeHTTP(w, r)
	})
}

// survive is deferred: it answers a request whose handler panicked.
func (s *Server) survive(w http.ResponseWriter, r *http.Request) {
	reason := recover()
	if reason == nil {
		return
	}
	if reason == http.ErrAbortHandler { //nolint:errorlint // net/http's own marker, compared as it does
		panic(reason)
	}
	_ = s.presenter.recovered(r.Context(), reason) // It is in the log now.
	s.fail(w, r, jsonType, http.StatusInternalServerError, models.Internal, internalMessage)
}
