package gqlserver

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// origins decides which other sites' pages may call the API.
type origins struct {
	allowed    map[string]bool
	protection *http.CrossOriginProtection
}

func newOrigins(list []string) (*origins, error) {
	o := &origins{allowed: map[string]bool{}, protection: http.NewCrossOriginProtection()}
	for _, origin := range list {
		if err := o.protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("gqlserver: allowed origin: %w", err)
		}
		o.allowed[origin] = true
	}
	return o, nil
}

// What a page of an allowed origin may send, and may read of an answer.
const (
	corsRequest = "authorization, content-type, x-clinic-id, x-request-id, idempotency-key, graphql-require-preflight, " +
		"x-requested-with, apollo-require-preflight, apollographql-client-name, apollographql-client-version, traceparent, last-event-id, x-taskmed-explain"
	corsAnswer = "X-Request-Id, Cache-Status, Age, ETag, Retry-After, RateLimit, RateLimit-Policy"

	// The same of what is shared: files.
	corsFileRequest = "content-type, range, if-range, x-request-id"
	corsFile        = "X-Request-Id, ETag, Retry-After, Accept-Ranges, Content-Range, Content-Disposition"
)

// sameOrAllowed tells whether a page of an origin may open a WebSocket: a browser asks
// nobody before it does.
func (o *origins) sameOrAllowed(r *http.Request, origin string) bool {
	if o.allowed[origin] {
		return true
	}
	of, err := url.Parse(origin)
	return err == nil && of.Host != "" && of.Host == r.Host
}

// allow writes what the browser needs to let the page read the answer.
func (o *origins) allow(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if !o.allowed[origin] {
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", corsAnswer)
}

// preflight answers OPTIONS. Credentials are bearer tokens, so cookies are
// never asked for.
func (o *origins) preflight(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Allow", allowedMethods)
	if o.allowed[r.Header.Get("Origin")] && r.Header.Get("Access-Control-Request-Method") != "" {
		o.allow(w, r)
		header.Set("Access-Control-Allow-Methods", "GET, POST")
		header.Set("Access-Control-Allow-Headers", corsRequest)
		header.Set("Access-Control-Max-Age", "7200")
		header.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	}
	w.WriteHeader(http.StatusNoContent)
}

// share serves routes, by http.ServeMux's patterns with a method, to pages of allowed
// origins as well, and answers what their browsers ask before. Nothing of a browser's own
// lets anybody in there: a page that knows such an address was given it.
func (o *origins) share(mux *http.ServeMux, routes map[string]http.Handler) {
	methods := map[string][]string{}
	for pattern, handler := range routes {
		method, path, _ := strings.Cut(pattern, " ")
		methods[path] = append(methods[path], method)
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Vary", "Origin")
			if o.allowed[r.Header.Get("Origin")] {
				w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
				w.Header().Set("Access-Control-Expose-Headers", corsFile)
			}
			handler.ServeHTTP(w, r)
		})
	}
	for path, all := range methods {
		slices.Sort(all)
		methods, allow := strings.Join(all, ", "), strings.Join(append(all, http.MethodOptions), ", ")
		mux.HandleFunc("OPTIONS "+path, func(w http.ResponseWriter, r *http.Request) {
			header := w.Header()
			header.Set("Allow", allow)
			header.Add("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
			if o.allowed[r.Header.Get("Origin")] && r.Header.Get("Access-Control-Request-Method") != "" {
				header.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
				header.Set("Access-Control-Allow-Methods", methods)
				header.Set("Access-Control-Allow-Headers", corsFileRequest)
				header.Set("Access-Control-Max-Age", "7200")
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
}

// forged tells whether another site's page may be behind the request without
// the user's knowledge. A POST must be of this site or an allowed origin, and
// its media type alone makes a browser ask first. A GET must carry a header
// that a page cannot send without asking first.
func (o *origins) forged(r *http.Request) bool {
	if r.Method == http.MethodPost {
		return o.protection.Check(r) != nil
	}
	for _, name := range [...]string{
		"Authorization", "Graphql-Require-Preflight", "X-Requested-With", "Apollo-Require-Preflight", "Apollographql-Client-Name",
	} {
		if strings.TrimSpace(r.Header.Get(name)) != "" {
			return false
		}
	}
	return true
}
