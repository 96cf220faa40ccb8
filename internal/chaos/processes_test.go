package chaos_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
)

// build makes the server's binary, with the race detector if the tests have it.
func build(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "taskmed")
	arguments := []string{"build", "-o", binary}
	if raceDetector {
		arguments = append(arguments, "-race")
	}
	out, err := exec.CommandContext(t.Context(), "go", append(arguments, "github.com/taskmed/taskmed/cmd/taskmed")...).CombinedOutput()
	require.NoError(t, err, "build the server: %s", out)
	return binary
}

// provider is an identity provider that the servers believe.
type provider struct {
	*httptest.Server
	private ed25519.PrivateKey
}

// patient is how long a server waits for Redis.
const patient = 500 * time.Millisecond

const (
	providerKey      = "e2e"
	providerAudience = "taskmed-e2e"
)

func newProvider(t testing.TB) *provider {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	keys, err := json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": providerKey, "x": base64.RawURLEncoding.EncodeToString(public),
	}}})
	require.NoError(t, err)
	p := &provider{private: private}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys) }))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) token(t testing.TB, subject string) string {
	t.Helper()
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": p.URL, "aud": providerAudience, "sub": subject, "name": subject, "iat": now.Unix(), "exp": now.Add(24 * time.Hour).Unix(),
	})
	token.Header["kid"] = providerKey
	signed, err := token.SignedString(p.private)
	require.NoError(t, err)
	return signed
}

// served is a `taskmed serve` in a process of its own, at a fixed address.
type served struct {
	binary, address, admin, log string
	env                         []string
	process                     *exec.Cmd
}

// serve starts one with a Redis, and more settings, and waits until it is ready.
func (p *world) serve(t testing.TB, redisURL string, more ...string) *served {
	t.Helper()
	s := &served{binary: p.binary, address: freeAddress(t), admin: freeAddress(t), log: filepath.Join(t.TempDir(), "serve.log")}
	s.env = []string{
		"DATABASE_URL=" + p.stack.AppURL(devstack.Database), "REDIS_URL=" + redisURL, "TASKMED_CACHE=on",
		"TASKMED_ADDR=" + s.address, "TASKMED_ADMIN_ADDR=" + s.admin, "TASKMED_SECRET=" + strings.Repeat("5ec2e7", 11),
		"TASKMED_JWKS_URL=" + p.provider.URL, "TASKMED_JWT_ISSUER=" + p.provider.URL, "TASKMED_JWT_AUDIENCE=" + providerAudience,
		"TASKMED_LOG_LEVEL=error", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(),
		// A machine that is busy with tests is no reason to go on without Redis.
		"TASKMED_REDIS_TIMEOUT=" + patient.String(),
	}
	s.env = append(s.env, more...)
	t.Cleanup(func() {
		s.kill()
		if text, err := os.ReadFile(s.log); t.Failed() && err == nil {
			t.Logf("%s said:\n%s", s.address, text[max(0, len(text)-4000):])
		}
	})
	s.start(t)
	require.Eventually(t, func() bool { return s.ready(t.Context()) }, time.Minute, 20*time.Millisecond, "the server is ready")
	return s
}

func (s *served) url() string { return "http://" + s.address }

func (s *served) start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if !assert.NoError(t, err) { //nolint:testifylint // beside the test, where require may not end it
		return
	}
	defer func() { _ = log.Close() }() // the process has its own
	s.process = exec.CommandContext(context.WithoutCancel(t.Context()), s.binary, "serve")
	s.process.Env, s.process.Stdout, s.process.Stderr = s.env, log, log
	assert.NoError(t, s.process.Start())
}

// ready tells whether the server reaches all that it needs.
func (s *served) ready(ctx context.Context) bool {
	ctx, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// kill ends the process as a crash does.
func (s *served) kill() { s.end(syscall.SIGKILL) }

// stop ends it as a deployment does.
func (s *served) stop() { s.end(syscall.SIGTERM) }

func (s *served) end(how syscall.Signal) {
	if s.process != nil && s.process.Process != nil {
		_ = s.process.Process.Signal(how)
		_ = s.process.Wait()
	}
}

// freeze halts the process in whatever it does, and thaw lets it go on.
func (s *served) freeze() { _ = s.process.Process.Signal(syscall.SIGSTOP) }
func (s *served) thaw()   { _ = s.process.Process.Signal(syscall.SIGCONT) }

// link is the way from one instance to Redis, which can be cut.
type link struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	isCut bool
	open  map[net.Conn]struct{}
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &link{listener: listener, to: to, open: map[net.Conn]struct{}{}}
	var relays sync.WaitGroup
	relays.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			relays.Go(func() { l.relay(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut()
		relays.Wait()
	})
	return l
}

func (l *link) url() string { return "redis://" + l.listener.Addr().String() + "/0" }

// keep notes an open connection; it is false where the link is cut.
func (l *link) keep(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		return false
	}
	l.open[conn] = struct{}{}
	return true
}

func (l *link) drop(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, conn)
	_ = conn.Close()
}

func (l *link) relay(client net.Conn) {
	defer l.drop(client)
	if !l.keep(client) {
		return
	}
	server, err := net.DialTimeout("tcp", l.target(), time.Second)
	if err != nil {
		return
	}
	defer l.drop(server)
	if !l.keep(server) {
		return
	}
	var both sync.WaitGroup
	for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
		both.Go(func() {
			_, _ = io.Copy(to, from)
			_ = to.Close()
		})
	}
	both.Wait()
}

// cut ends all connections and refuses new ones until mend.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for conn := range l.open {
		_ = conn.Close()
	}
}

func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = false
}
