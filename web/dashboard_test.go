package web

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type figures struct {
	At int `json:"at"`
}

// source is one whose figures a test makes.
type source struct {
	kept []figures
	come chan figures
	// left is closed once the subscriber's context has ended.
	left chan struct{}
}

func (s *source) History() []figures { return s.kept }

func (s *source) Plan(_ context.Context, statement string) (string, error) {
	if statement != "known" {
		return "", errors.New("no such statement at db.internal")
	}
	return "Index Scan using idx", nil
}

func (s *source) Subscribe(ctx context.Context) <-chan figures {
	context.AfterFunc(ctx, func() { close(s.left) })
	return s.come
}

func dashboardFiles() fstest.MapFS {
	return fstest.MapFS{
		"dashboard.html":        {Data: []byte("<!doctype html><title>TaskMed dashboard</title>")},
		"icon.svg":              {Data: []byte("<svg/>")},
		"assets/inter-Zz.woff2": {Data: []byte("font")},
	}
}

func newSource() *source { return &source{come: make(chan figures), left: make(chan struct{})} }

func TestDashboard_AsksForPlans(t *testing.T) {
	t.Parallel()
	h := newDashboard(newSource(), dashboardFiles(), time.Hour)
	known := get(t, h, "/dashboard/plan.json?statement=known", nil)
	assert.Equal(t, http.StatusOK, known.StatusCode)
	assert.JSONEq(t, `{"plan":"Index Scan using idx"}`, body(t, known))
	unknown := get(t, h, "/dashboard/plan.json?statement=else", nil)
	assert.Equal(t, http.StatusNotFound, unknown.StatusCode)
	assert.NotContains(t, body(t, unknown), "db.internal")
}

func TestDashboard_ServesItsPageFilesAndHistory(t *testing.T) {
	t.Parallel()
	s := newSource()
	h := newDashboard(s, dashboardFiles(), time.Hour)

	page := get(t, h, "/dashboard", nil)
	assert.Equal(t, http.StatusOK, page.StatusCode)
	assert.Contains(t, body(t, page), "TaskMed dashboard")
	assert.Equal(t, contentSecurityPolicy, page.Header.Get("Content-Security-Policy"))
	assert.Equal(t, "no-cache", page.Header.Get("Cache-Control"))
	assert.Equal(t, "/dashboard", get(t, h, "/dashboard/", nil).Header.Get("Location"))
	assert.Equal(t, "font", body(t, get(t, h, "/dashboard/assets/inter-Zz.woff2", nil)))
	assert.Equal(t, http.StatusNotFound, get(t, h, "/dashboard/dashboard.html", nil).StatusCode)
	assert.Equal(t, http.StatusNotFound, get(t, h, "/dashboard/assets/absent.js", nil).StatusCode)

	assert.JSONEq(t, `[]`, body(t, get(t, h, "/dashboard/history.json", nil)), "never null")
	s.kept = []figures{{1}, {2}}
	history := get(t, h, "/dashboard/history.json", nil)
	assert.Equal(t, "no-store", history.Header.Get("Cache-Control"))
	assert.JSONEq(t, `[{"at":1},{"at":2}]`, body(t, history))
	packed := get(t, h, "/dashboard/history.json", http.Header{"Accept-Encoding": {"gzip"}})
	assert.Equal(t, "gzip", packed.Header.Get("Content-Encoding"))
}

func TestDashboard_SaysSoWhereItIsNotBuilt(t *testing.T) {
	t.Parallel()
	h := newDashboard(newSource(), fstest.MapFS{}, time.Hour)
	assert.Contains(t, body(t, get(t, h, "/dashboard", nil)), "make web")
}

// listen opens the events of a real server: deadlines and flushes are its own.
func listen(t *testing.T, h http.Handler) *bufio.Scanner {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ReadTimeout = 50 * time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/dashboard/events", nil)
	require.NoError(t, err)
	res, err := server.Client().Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	return bufio.NewScanner(res.Body)
}

func next(t *testing.T, lines *bufio.Scanner) string {
	t.Helper()
	for lines.Scan() {
		if lines.Text() != "" {
			return lines.Text()
		}
	}
	require.NoError(t, lines.Err())
	return ""
}

func TestDashboard_TellsWhatComes(t *testing.T) {
	t.Parallel()
	s := newSource()
	// The beat is longer than the server's time-out for reading requests.
	lines := listen(t, newDashboard(s, dashboardFiles(), 200*time.Millisecond))
	assert.Equal(t, "retry: 2000", next(t, lines))
	assert.Equal(t, ": still here", next(t, lines))
	assert.Equal(t, ": still here", next(t, lines), "the page outlives the server's time-outs")
	s.come <- figures{7}
	for text := next(t, lines); ; text = next(t, lines) {
		if text != ": still here" {
			assert.Equal(t, `data: {"at":7}`, text)
			break
		}
	}
	close(s.come)
	for text := next(t, lines); text != ""; text = next(t, lines) {
		assert.Equal(t, ": still here", text, "the source has ended, and so does the answer")
	}
	<-s.left
}
