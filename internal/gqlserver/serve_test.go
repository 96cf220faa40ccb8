package gqlserver_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/gqlserver"
)

// running is a server on loopback sockets.
type running struct {
	public, admin string
	stop          context.CancelFunc
	// ended gives what Serve returned, once.
	ended chan error
}

func serve(t *testing.T, f *fixture) *running {
	t.Helper()
	public, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	admin, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	r := &running{public.Addr().String(), admin.Addr().String(), stop, make(chan error, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.ended <- f.server.Serve(ctx, public, admin)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return r
}

// client keeps its own connections, so that tests do not share any.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func send(ctx context.Context, c *http.Client, address string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/graphql", strings.NewReader(`{"query":"{ __typename }"}`))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer OWNER")
	return read1(c.Do(r))
}

func fetch(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	status, body, err := read1(c.Do(r))
	require.NoError(t, err)
	return status, body
}

func read1(response *http.Response, err error) (int, string, error) {
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), errors.Join(err, response.Body.Close())
}

// Promise F7: what is in flight ends, what comes while balancers still send it
// is answered, and readiness says so at once.
func TestStop_CutsNoRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *gqlserver.Config) { c.Limits.Drain = 300 * time.Millisecond })
	release, entered := make(chan struct{}), make(chan struct{}, 100)
	f.schema.answer = func(context.Context) *graphql.Response {
		entered <- struct{}{}
		<-release
		return &graphql.Response{Data: json.RawMessage(`{"ok":true}`)}
	}
	r := serve(t, f)
	c := client(t)
	results := make(chan error, 50)
	for range cap(results) {
		go func() {
			status, body, err := send(t.Context(), c, r.public)
			if err == nil && (status != http.StatusOK || body != `{"data":{"ok":true}}`) {
				err = fmt.Errorf("%d %s", status, body)
			}
			results <- err
		}()
	}
	for range cap(results) {
		<-entered
	}
	status, _ := fetch(t, c, "http://"+r.public+"/readyz")
	require.Equal(t, http.StatusOK, status)
	r.stop()
	require.Eventually(t, func() bool {
		status, _ := fetch(t, client(t), "http://"+r.public+"/readyz")
		return status == http.StatusServiceUnavailable
	}, time.Second, time.Millisecond, "readiness must fail at once")
	status, _ = fetch(t, client(t), "http://"+r.public+"/livez")
	assert.Equal(t, http.StatusOK, status, "it is alive while it drains")
	select {
	case err := <-r.ended:
		t.Fatalf("it stopped with requests in flight: %v", err)
	case <-time.After(400 * time.Millisecond): // Longer than it drains.
	}
	close(release)
	for range cap(results) {
		require.NoError(t, <-results)
	}
	require.NoError(t, <-r.ended)
	_, _, err := send(t.Context(), client(t), r.public)
	require.ErrorContains(t, err, "connection refused")
}

// The same under load, behind a balancer that looks at /readyz every 20 ms:
// clients with connections of their own go on until it sends them elsewhere.
func TestStop_UnderLoadCutsNoRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *gqlserver.Config) { c.Limits.Drain = 500 * time.Millisecond * slowness }).always(`{"ok":true}`)
	r := serve(t, f)
	var answered, afterStop atomic.Int64
	var stopped, elsewhere atomic.Bool
	var all sync.WaitGroup
	cut := make(chan error, 20)
	for range cap(cut) {
		c := client(t)
		all.Go(func() {
			for !elsewhere.Load() {
				status, body, err := send(t.Context(), c, r.public)
				if err != nil || status != http.StatusOK {
					cut <- fmt.Errorf("%d %s: %w", status, body, err)
					return
				}
				answered.Add(1)
				if stopped.Load() {
					afterStop.Add(1)
				}
			}
		})
	}
	require.Eventually(t, func() bool { return answered.Load() > 500 }, 20*time.Second, time.Millisecond)
	r.stop()
	stopped.Store(true)
	balancer := client(t)
	require.Eventually(t, func() bool {
		status, _ := fetch(t, balancer, "http://"+r.public+"/readyz")
		return status == http.StatusServiceUnavailable
	}, 5*time.Second, 20*time.Millisecond)
	elsewhere.Store(true)
	all.Wait()
	close(cut)
	for err := range cut {
		t.Errorf("cut: %v", err)
	}
	require.NoError(t, <-r.ended)
	assert.NotZero(t, afterStop.Load(), "none was sent while it stopped: nothing is shown")
	t.Logf("%d requests answered, %d of them while it stopped", answered.Load(), afterStop.Load())
}

// A client that does not read its answer holds nobody up beyond the grace.
func TestStop_DoesNotWaitForAClientThatNeverReads(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *gqlserver.Config) {
		c.Limits.Drain, c.Limits.Grace = 10*time.Millisecond, 200*time.Millisecond
	})
	entered := make(chan struct{}, 1)
	huge := json.RawMessage(`"` + strings.Repeat("x", 30<<20) + `"`)
	f.schema.answer = func(context.Context) *graphql.Response {
		entered <- struct{}{}
		return &graphql.Response{Data: huge}
	}
	r := serve(t, f)
	conn := dial(t, r.public)
	const body = `{"query":"{ __typename }"}`
	_, err := fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer OWNER\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	require.NoError(t, err)
	<-entered
	started := time.Now()
	r.stop()
	require.ErrorContains(t, <-r.ended, "requests were cut after 200ms")
	assert.Less(t, time.Since(started), 2*time.Second*slowness)
}

// Promise H1, in part: who sends nothing, or slowly, is dropped.
func TestSlowClients_AreDropped(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *gqlserver.Config) {
		c.Limits.ReadHeader, c.Limits.Read, c.Limits.Idle = 100*time.Millisecond, 200*time.Millisecond, 100*time.Millisecond
	}).always(`{}`)
	r := serve(t, f)
	for name, text := range map[string]string{
		"nothing":            "",
		"half a header":      "POST /graphql HTTP/1.1\r\nHost: x\r\nX-A: ",
		"half a body":        "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer OWNER\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"query\":",
		"chunks without end": "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer OWNER\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"que\r\n",
		"idle after one":     "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, r.public)
			_, err := io.WriteString(conn, text)
			require.NoError(t, err)
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
			_, err = io.Copy(io.Discard, conn) // Ends when the server closes.
			require.NoError(t, err, "the server kept the connection")
		})
	}
}

func TestHeaders_AreBounded(t *testing.T) {
	t.Parallel()
	r := serve(t, newFixture(t, nil).always(`{}`))
	conn := dial(t, r.public)
	_, err := fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost: x\r\nX-A: %s\r\n\r\n", strings.Repeat("a", 64<<10))
	require.NoError(t, err)
	status, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, status, "431")
}

func TestConnections_AreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *gqlserver.Config) { c.Limits.Connections = 2; c.Limits.ReadHeader = time.Minute }).always(`{}`)
	r := serve(t, f)
	first, second := dial(t, r.public), dial(t, r.public)
	ask := func(conn net.Conn) error {
		_, err := io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(200*time.Millisecond*slowness)))
		_, err = bufio.NewReader(conn).ReadString('\n')
		return err
	}
	require.NoError(t, ask(first))
	require.NoError(t, ask(second))
	third := dial(t, r.public)
	require.ErrorContains(t, ask(third), "timeout", "the third waits in the kernel's queue")
	require.NoError(t, first.Close())
	require.NoError(t, third.SetReadDeadline(time.Now().Add(5*time.Second)))
	line, err := bufio.NewReader(third).ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, line, "200")
}

func TestAdmin_ShowsWhatThePublicMustNot(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "taskmed_test_total", Help: "Counts nothing."})
	registry.MustRegister(counter)
	fault := atomic.Pointer[string]{}
	f := newFixture(t, func(c *gqlserver.Config) {
		c.Metrics = registry
		c.Ready = func(context.Context) error {
			if text := fault.Load(); text != nil {
				return fmt.Errorf("postgres: %s", *text)
			}
			return nil
		}
	})
	r := serve(t, f)
	c := client(t)
	_, metrics := fetch(t, c, "http://"+r.admin+"/metrics")
	assert.Contains(t, metrics, "taskmed_test_total 0")
	status, _ := fetch(t, c, "http://"+r.admin+"/debug/pprof/cmdline")
	assert.Equal(t, http.StatusOK, status)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline"} {
		status, _ := fetch(t, c, "http://"+r.public+path)
		assert.Equal(t, http.StatusNotFound, status, path)
	}
	down := "connection refused by db-1"
	fault.Store(&down)
	status, body := fetch(t, c, "http://"+r.public+"/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Equal(t, "not ready\n", body)
	status, body = fetch(t, c, "http://"+r.admin+"/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, body, down)
}

func TestServe_TellsWhyItCannot(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	require.ErrorContains(t, f.server.Serve(t.Context(), listener, nil), "closed network connection")
}

func TestNew_NeedsItsParts(t *testing.T) {
	t.Parallel()
	_, err := gqlserver.New(gqlserver.Config{})
	require.ErrorContains(t, err, "no schema")
	require.ErrorContains(t, err, "no authenticator")
	require.ErrorContains(t, err, "no log")
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
