// Package web holds the three pages: the playground, which a developer sees at "/",
// the operators' dashboard at "/dashboard" on the admin listener, and the inspector of
// webhooks, which `taskmed dev` alone has, at "/webhooks". They are
// built from this folder by Vite (`make web`) and embedded here, so that the
// taskmed binary serves them without a file on disk or a host on the network.
package web

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// dist is what Vite wrote. Before the first build it holds nothing but a
// placeholder, so that `go build ./...` works on a fresh clone.
//
//go:embed all:dist
var dist embed.FS

// contentSecurityPolicy lets the page run its own scripts and workers and talk
// to its own origin, and nothing else. Inline styles are allowed because the
// editor (Monaco) positions every token with them.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; worker-src 'self'; " +
	"style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Config is what the page has to know about the server that serves it.
type Config struct {
	// Endpoint is the path of the GraphQL endpoint on the same origin; "/graphql" if empty.
	Endpoint string
	// Title names the installation in the page's bar and in the browser's tab; "TaskMed" if empty.
	Title string
	// DemoClinics are offered in the page's picker, tokens included. Only
	// `taskmed dev` sets them: whoever opens the page can act with them. They are
	// handed out to requests for a loopback host only, so that neither a
	// neighbour on the network nor a rebound DNS name gets a token.
	DemoClinics []DemoClinic
	// Inspector is the page of Inspector, served at "/webhooks" to requests for a
	// loopback host, which the playground's bar then links to; may be nil. Only
	// `taskmed dev` sets it.
	Inspector http.Handler
}

// DemoClinic is a seeded clinic that the playground can act in without a login.
type DemoClinic struct {
	// ID is the clinic's global id, sent as X-Clinic-Id.
	ID   string `json:"id"`
	Name string `json:"name"`
	Slug string `json:"slug"`
	// Tokens are bearer tokens by role: OWNER, ADMIN, PRACTITIONER, ...
	Tokens map[string]string `json:"tokens"`
}

// pageConfig is the answer of /playground/config.json.
type pageConfig struct {
	Endpoint string       `json:"endpoint"`
	Title    string       `json:"title"`
	Clinics  []DemoClinic `json:"clinics"`
	// Webhooks is the inspector's path, "" where there is none.
	Webhooks string `json:"webhooks"`
}

// Handler serves the playground: its page at "/", its files under
// "/playground/" and what it needs to know at "/playground/config.json".
// Everything else is a 404. Only GET and HEAD are answered.
func Handler(cfg Config) http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil { // fs.Sub fails for an invalid path only, and this one is a constant.
		panic(fmt.Sprintf("web: embedded files: %v", err))
	}
	return newHandler(cfg, files)
}

func newHandler(cfg Config, files fs.FS) http.Handler {
	if cfg.Endpoint == "" {
		cfg.Endpoint = "/graphql"
	}
	if cfg.Title == "" {
		cfg.Title = "TaskMed"
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", indexHandler(cfg, files))
	mux.Handle("GET /playground", http.RedirectHandler("/", http.StatusMovedPermanently))
	mux.Handle("GET /playground/{$}", http.RedirectHandler("/", http.StatusMovedPermanently))
	mux.Handle("GET /playground/config.json", configHandler(cfg))
	mux.Handle("GET /playground/", http.StripPrefix("/playground/", assetHandler(files)))
	if cfg.Inspector != nil {
		mux.Handle("GET /webhooks", loopbackOnly(cfg.Inspector))
		mux.Handle("GET /webhooks/", loopbackOnly(cfg.Inspector))
	}
	return secureHeaders(mux)
}

func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// indexHandler answers the page itself. It is small and names the hashed files,
// so it is revalidated every time and the files never are.
func indexHandler(cfg Config, files fs.FS) http.Handler {
	page, err := fs.ReadFile(files, "index.html")
	if errors.Is(err, fs.ErrNotExist) {
		page = []byte(notBuilt(cfg))
	}
	sum := sha256.Sum256(page)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Vary", "Accept")
		if !acceptsHTML(r.Header.Get("Accept")) {
			http.Error(w, "The playground is an HTML page; the API is at "+cfg.Endpoint, http.StatusNotAcceptable)
			return
		}
		h.Set("ETag", etag)
		serveBytes(w, r, page)
	})
}

func configHandler(cfg Config) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := pageConfig{Endpoint: cfg.Endpoint, Title: cfg.Title, Clinics: []DemoClinic{}}
		if isLoopbackHost(r.Host) && len(cfg.DemoClinics) > 0 {
			answer.Clinics = cfg.DemoClinics
		}
		if isLoopbackHost(r.Host) && cfg.Inspector != nil {
			answer.Webhooks = inspectorPath
		}
		body, err := json.Marshal(answer)
		if err != nil { // Strings and maps of strings always marshal.
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "application/json")
		serveBytes(w, r, body)
	})
}

// acceptsHTML is true for browsers and for clients that do not say, and false
// for one that asks for JSON alone: it wanted the API and mistook the path.
func acceptsHTML(accept string) bool {
	return accept == "" || strings.Contains(accept, "text/html") ||
		strings.Contains(accept, "text/*") || strings.Contains(accept, "*/*")
}

func isLoopbackHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func notBuilt(cfg Config) string {
	return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>TaskMed</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif; }
  body { max-width: 36rem; margin: 15vh auto; padding: 0 1.5rem; }
  code { padding: .1em .35em; border-radius: 4px; background: color-mix(in srgb, currentColor 12%, transparent); }
</style>
<h1>The playground is not built yet</h1>
<p>This binary was built without it. Run <code>make web</code>, then build <code>taskmed</code> again.</p>
<p>The API works all the same: <code>POST ` + cfg.Endpoint + `</code>.</p>
</html>
`
}
