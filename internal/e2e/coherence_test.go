package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/devstack"
	"github.com/taskmed/taskmed/internal/load"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// TestCoherence_NoStaleAnswerThroughEveryFault plays the clinic's mix against
// two instances while an instance, Redis and all connections to Postgres are
// killed and come back, and wants no answer older than what was acknowledged
// before it was asked for (promises C6, C9, K1).
func TestCoherence_NoStaleAnswerThroughEveryFault(t *testing.T) {
	d := testkit.NewDatabase(t)
	made, err := seed.Run(t.Context(), d.OwnerURL, seed.Options{
		Clinics: 2, Contacts: 300, Practitioners: 5, Appointments: 3000, Records: 600, Seed: 3, Today: seed.Today(time.Now()),
	}, nil)
	require.NoError(t, err)
	key, err := auth.LoadOrCreateDevKey(filepath.Join(t.TempDir(), "dev-key.pem"))
	require.NoError(t, err)
	redis := startRedis(t)
	pair := []*instance{newInstance(t, d, redis, key), newInstance(t, d, redis, key)}

	options := load.Options{Clients: 60, Rate: 250, Duration: 24 * time.Second, Seed: 1, Timeout: 5 * time.Second}
	for _, one := range pair {
		options.URLs = append(options.URLs, "http://"+one.address)
	}
	for _, clinic := range made.Clinics {
		token, err := key.Sign(auth.DevClaims{Subject: seed.Subject(clinic.Slug, "owner"), TTL: time.Hour})
		require.NoError(t, err)
		options.Clinics = append(options.Clinics, load.Clinic{ID: models.KindClinic.Global(clinic.ID), Token: token})
	}

	faults := make(chan struct{})
	go func() {
		defer close(faults)
		pause := func(span time.Duration) {
			select {
			case <-t.Context().Done():
			case <-time.After(span):
			}
		}
		for _, fault := range []func(){
			func() { redis.kill(t); pause(time.Second); redis.start(t) },
			func() { pair[0].kill(); pause(time.Second); pair[0].start(t) },
			func() {
				d.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
			},
			func() { redis.pause(t); pause(time.Second); redis.resume(t) },
			func() {
				redis.kill(t)
				pair[1].kill()
				pause(500 * time.Millisecond)
				pair[1].start(t)
				pause(500 * time.Millisecond)
				redis.start(t)
			},
		} {
			pause(3 * time.Second)
			fault()
		}
	}()
	report, err := load.Run(t.Context(), options)
	require.NoError(t, err)
	<-faults

	var text strings.Builder
	require.NoError(t, report.Write(&text))
	t.Log(text.String())
	assert.Zero(t, report.Stale, "stale answers")
	assert.Zero(t, report.Foreign, "foreign ids")
	assert.Greater(t, report.CheckedReads, report.Requests/2, "most answers say something that can be checked")
	assert.Greater(t, report.HitRate, 0.2, "answers came from the cache")
	assert.Less(t, report.Errors, report.Requests/4, "faults are faults of moments")
}

// instance is a server that can be killed and started again at its address.
type instance struct {
	address  string
	settings config.Config
	key      *auth.DevKey
	app      *app.App
	server   *httptest.Server
}

func newInstance(t *testing.T, d *testkit.Database, redis *redisProcess, key *auth.DevKey) *instance {
	t.Helper()
	settings, err := config.Development(map[string]string{"REDIS_URL": redis.url(), "TASKMED_CACHE": "on", "TASKMED_LOG_LEVEL": "error"}, d.AppURL, strings.Repeat("5ec2e7", 11))
	require.NoError(t, err)
	i := &instance{address: freeAddress(t), settings: settings, key: key}
	i.start(t)
	t.Cleanup(i.kill)
	return i
}

func (i *instance) start(t *testing.T) {
	t.Helper()
	var err error
	// It outlives the goroutine that starts it, and ends with kill.
	i.app, err = app.New(context.WithoutCancel(t.Context()), i.settings, app.Options{DevKey: i.key, Log: slog.New(slog.DiscardHandler)})
	if !assert.NoError(t, err) { //nolint:testifylint // beside the test, where require may not end it
		return
	}
	i.server = httptest.NewUnstartedServer(i.app.Handler())
	_ = i.server.Listener.Close()
	i.server.Listener, err = net.Listen("tcp", i.address)
	if assert.NoError(t, err) {
		i.server.Start()
	}
}

// kill cuts all connections, as a process that dies does.
func (i *instance) kill() {
	i.server.CloseClientConnections()
	i.server.Close()
	i.app.Close()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// redisProcess is a Redis of the test's own, at a fixed port.
type redisProcess struct {
	path    string
	env     []string
	folder  string
	port    string
	process *exec.Cmd
}

func startRedis(t *testing.T) *redisProcess {
	t.Helper()
	path, env, err := devstack.RedisServer(t.Context(), devstack.FromEnv(os.Getenv))
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(freeAddress(t))
	require.NoError(t, err)
	r := &redisProcess{path: path, env: env, folder: t.TempDir(), port: port}
	r.start(t)
	t.Cleanup(func() { r.kill(t) })
	return r
}

func (r *redisProcess) url() string { return fmt.Sprintf("redis://127.0.0.1:%s/0", r.port) }

func (r *redisProcess) start(t *testing.T) {
	t.Helper()
	r.process = exec.CommandContext(context.WithoutCancel(t.Context()), r.path,
		"--bind", "127.0.0.1", "--port", r.port, "--dir", r.folder, "--save", "", "--appendonly", "no")
	r.process.Env = append(os.Environ(), r.env...)
	assert.NoError(t, r.process.Start()) //nolint:testifylint // as above
	assert.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+r.port, time.Second)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}, 5*time.Second, 10*time.Millisecond)
}

func (r *redisProcess) kill(t *testing.T) {
	t.Helper()
	_ = r.process.Process.Kill()
	_ = r.process.Wait()
}

// pause hangs Redis: connections stay open and nothing answers.
func (r *redisProcess) pause(t *testing.T) {
	t.Helper()
	assert.NoError(t, r.process.Process.Signal(syscall.SIGSTOP))
}

func (r *redisProcess) resume(t *testing.T) {
	t.Helper()
	assert.NoError(t, r.process.Process.Signal(syscall.SIGCONT))
}
