package web

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const script = "console.log('the playground')"

// built stands for a build: what Vite's plugin leaves, in small.
func built(t *testing.T) fstest.MapFS {
	t.Helper()
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	_, err := zw.Write([]byte(script))
	require.NoError(t, err)
	require.NoError(t, zw.Close())
	return fstest.MapFS{
		".gitkeep":                    {},
		"index.html":                  {Data: []byte("<!doctype html><title>TaskMed playground</title>")},
		"icon.svg":                    {Data: []byte("<svg/>")},
		"assets/index-AbCd1234.js.gz": {Data: packed.Bytes()},
		"assets/index-AbCd1234.js.br": {Data: []byte("brotli")},
		"assets/inter-Zz.woff2":       {Data: []byte("font")},
	}
}

func demo() []DemoClinic {
	return []DemoClinic{{
		ID: "clinic_01h455vb4pex5vsknk084sn02q", Name: "Clínica Aurora", Slug: "aurora",
		Tokens: map[string]string{"OWNER": "token-of-the-owner"},
	}}
}

func get(t *testing.T, h http.Handler, target string, header http.Header) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	res := w.Result()
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(text)
}

func TestHandler_ShowsABrowserThePage(t *testing.T) {
	t.Parallel()
	h := newHandler(Config{}, built(t))

	res := get(t, h, "/", http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}})
	require.Equal(t, http.StatusOK, res.StatusCode)
	assert.Equal(t, "text/html; charset=utf-8", res.Header.Get("Content-Type"))
	assert.Equal(t, "no-cache", res.Header.Get("Cache-Control"), "the page names the hashed files, so it is asked for every time")
	assert.Contains(t, body(t, res), "TaskMed playground")

	again := get(t, h, "/", http.Header{"If-None-Match": {res.Header.Get("ETag")}})
	assert.Equal(t, http.StatusNotModified, again.StatusCode)

	wrong := get(t, h, "/", http.Header{"Accept": {"application/json"}})
	assert.Equal(t, http.StatusNotAcceptable, wrong.StatusCode)
	assert.Contains(t, body(t, wrong), "/graphql", "whoever wanted the API is told where it is")
}

func TestHandler_LetsThePageDoNothingElse(t *testing.T) {
	t.Parallel()
	h := newHandler(Config{}, built(t))

	for _, path := range []string{"/", "/playground/config.json", "/playground/assets/index-AbCd1234.js", "/nowhere"} {
		header := get(t, h, path, nil).Header
		policy := header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self';", "connect-src 'self'", "frame-ancestors 'none'"} {
			assert.Contains(t, policy, want, path)
		}
		for _, never := range []string{"unsafe-eval", "http:", "https:", "script-src 'self' 'unsafe-inline'", "blob:"} {
			assert.NotContains(t, policy, never, path)
		}
		assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), path)
		assert.Equal(t, "no-referrer", header.Get("Referrer-Policy"), path)
	}
}

func TestHandler_KeepsHashedFilesForEver(t *testing.T) {
	t.Parallel()
	h := newHandler(Config{}, built(t))
	const path = "/playground/assets/index-AbCd1234.js"

	forms := []struct{ accept, encoding, etag, content string }{
		{"gzip, deflate, br, zstd", "br", `"index-AbCd1234.js-br"`, "brotli"},
		{"gzip, br;q=0", "gzip", `"index-AbCd1234.js-gzip"`, ""},
		{"", "", `"index-AbCd1234.js"`, script},
	}
	for _, form := range forms {
		res := get(t, h, path, http.Header{"Accept-Encoding": {form.accept}})
		require.Equal(t, http.StatusOK, res.StatusCode, form.accept)
		assert.Equal(t, form.encoding, res.Header.Get("Content-Encoding"), form.accept)
		assert.Equal(t, form.etag, res.Header.Get("ETag"), form.accept)
		assert.Equal(t, "public, max-age=31536000, immutable", res.Header.Get("Cache-Control"))
		assert.Equal(t, "Accept-Encoding", res.Header.Get("Vary"))
		assert.Equal(t, "text/javascript; charset=utf-8", res.Header.Get("Content-Type"))
		if form.content != "" {
			assert.Equal(t, form.content, body(t, res), form.accept)
		}
		again := get(t, h, path, http.Header{"Accept-Encoding": {form.accept}, "If-None-Match": {form.etag}})
		assert.Equal(t, http.StatusNotModified, again.StatusCode, form.accept)
	}

	font := get(t, h, "/playground/assets/inter-Zz.woff2", http.Header{"Accept-Encoding": {"gzip, br"}})
	assert.Equal(t, "font", body(t, font))
	assert.Empty(t, font.Header.Get("Content-Encoding"))

	icon := get(t, h, "/playground/icon.svg", nil)
	assert.Equal(t, http.StatusOK, icon.StatusCode)
	assert.NotContains(t, icon.Header.Get("Cache-Control"), "immutable", "its name has no hash")
}

func TestHandler_AnswersNothingElse(t *testing.T) {
	t.Parallel()
	h := newHandler(Config{}, built(t))

	for _, path := range []string{
		"/index.html", "/favicon.ico", "/playground/index.html", "/playground/.gitkeep", "/playground/assets/",
		"/playground/assets/none.js", "/playground/assets/index-AbCd1234.js.gz", "/playground/../web.go",
		"/playground/assets/..%2f..%2fweb.js",
	} {
		res := get(t, h, path, nil)
		assert.NotEqual(t, http.StatusOK, res.StatusCode, path)
	}
	assert.Equal(t, http.StatusNotFound, get(t, h, "/playground/assets/none.js", nil).StatusCode)
	assert.Equal(t, "/", get(t, h, "/playground", nil).Header.Get("Location"))

	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("{}")))
	assert.Equal(t, http.StatusMethodNotAllowed, w.Code)
}

func TestHandler_GivesDemoTokensToThisMachineOnly(t *testing.T) {
	t.Parallel()
	clinics := func(cfg Config, target string) (int, string) {
		res := get(t, newHandler(cfg, built(t)), target, nil)
		require.Equal(t, http.StatusOK, res.StatusCode)
		assert.Equal(t, "no-store", res.Header.Get("Cache-Control"))
		assert.Equal(t, "application/json", res.Header.Get("Content-Type"))
		text := body(t, res)
		var answer pageConfig
		require.NoError(t, json.Unmarshal([]byte(text), &answer))
		assert.Equal(t, "/graphql", answer.Endpoint)
		assert.Equal(t, "TaskMed", answer.Title)
		return len(answer.Clinics), text
	}
	const path = "/playground/config.json"

	for _, host := range []string{"http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080", "http://localhost"} {
		n, text := clinics(Config{DemoClinics: demo()}, host+path)
		assert.Equal(t, 1, n, host)
		assert.Contains(t, text, "token-of-the-owner", host)
	}
	for _, host := range []string{"http://192.168.0.7:8080", "http://rebound.example:8080", "http://127.0.0.1.example"} {
		n, text := clinics(Config{DemoClinics: demo()}, host+path)
		assert.Zero(t, n, host)
		assert.NotContains(t, text, "token-of-the-owner", host)
	}
	n, text := clinics(Config{}, "http://127.0.0.1:8080"+path)
	assert.Zero(t, n)
	assert.Contains(t, text, `"clinics":[]`)
}

func TestHandler_SaysHowToBuildThePage(t *testing.T) {
	t.Parallel()
	h := newHandler(Config{Endpoint: "/api"}, fstest.MapFS{".gitkeep": {}})

	res := get(t, h, "/", nil)
	require.Equal(t, http.StatusOK, res.StatusCode)
	text := body(t, res)
	assert.Contains(t, text, "make web")
	assert.Contains(t, text, "POST /api")
}

func TestHandler_ServesWhatIsEmbedded(t *testing.T) {
	t.Parallel()

	res := get(t, Handler(Config{}), "/", nil)
	require.Equal(t, http.StatusOK, res.StatusCode)
	assert.Contains(t, body(t, res), "<!doctype html>")
}
