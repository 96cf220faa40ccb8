package live_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// instance is a whole server on a listener of its own, as `taskmed serve` has it.
type instance struct {
	address string
	stop    context.CancelFunc
	// ended gives what Serve returned.
	ended chan error
}

func start(t *testing.T, d *testkit.Database, key *auth.DevKey, address string, changes ...api.Option) *instance {
	t.Helper()
	settings, err := config.Development(nil, d.AppURL, api.Secret)
	require.NoError(t, err)
	settings.Cache, settings.RedisURL, settings.RedisTimeout = true, d.RedisURL, 5*time.Second
	settings.Waitlist = false
	options := app.Options{DevKey: key, Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))}
	for _, change := range changes {
		change(&settings, &options)
	}
	a, err := app.New(t.Context(), settings, options)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return a.Fit() == nil }, time.Minute, 10*time.Millisecond)
	var listener net.Listener
	require.Eventually(t, func() bool { // the port may still be that of the one before
		listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		return err == nil
	}, patience, 10*time.Millisecond)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	i := &instance{listener.Addr().String(), stop, make(chan error, 1)}
	go func() {
		err := a.Serve(ctx, listener, nil)
		a.Close()
		i.ended <- err
	}()
	return i
}

// balancer passes connections on to the instances that are ready, in turns.
type balancer struct {
	net.Listener

	mu    sync.Mutex
	ready []string
	turn  int
	wg    sync.WaitGroup
}

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &balancer{Listener: listener}
	b.wg.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			b.wg.Go(func() { b.pass(in) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); b.wg.Wait() })
	return b
}

func (b *balancer) set(ready ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = ready
}

func (b *balancer) pass(in net.Conn) {
	defer func() { _ = in.Close() }()
	b.mu.Lock()
	b.turn++
	to := b.ready[b.turn%len(b.ready)]
	b.mu.Unlock()
	out, err := net.DialTimeout("tcp", to, time.Second)
	if err != nil {
		return
	}
	var both sync.WaitGroup
	half := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.Close()
		_ = from.Close()
	}
	both.Go(func() { half(out, in) })
	both.Go(func() { half(in, out) })
	both.Wait()
}

type subscribed struct {
	Client    string
	Positions []int64
	Cuts      int
}

// clients runs the four clients until they are told of a contact named last.
func clients(t *testing.T, url, token, after string, control bool, ready func()) []subscribed {
	t.Helper()
	run := exec.CommandContext(t.Context(), "node", "clients.mjs")
	run.Dir = "clients"
	run.Env = append(os.Environ(), "SERVER_URL="+url+"/graphql", "SERVER_TOKEN="+token, "AFTER="+after, "LAST=the last one")
	if control {
		run.Env = append(run.Env, "CONTROL=1")
	}
	run.Stderr = t.Output()
	out, err := run.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, run.Start())
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	var all []subscribed
	for lines.Scan() {
		if lines.Text() == "ready" {
			ready()
			continue
		}
		var one subscribed
		require.NoError(t, json.Unmarshal(lines.Bytes(), &one), lines.Text())
		all = append(all, one)
	}
	require.NoError(t, run.Wait())
	require.Len(t, all, 4)
	return all
}

// graphql-ws, graphql-sse, Apollo Client and urql, in the versions that
// clients/package-lock.json has, through a rolling restart of two instances under writes:
// each ends with every position, once and in order. Those that come again without saying
// what they have seen miss some.
func TestClients_MissNothingThroughARollingRestart(t *testing.T) {
	t.Parallel()
	install(t)
	for name, control := range map[string]bool{"going on after what was seen": false, "control: coming again": true} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // each has two instances, and the machine two processors
			w := newWorld(t)
			_, secret := newKey(t, w.one.As(t, w.clinic, models.RoleOwner))
			first := w.d.Count(t, "SELECT max(position) FROM changes") + 1
			key, err := auth.LoadOrCreateDevKey(filepath.Join(t.TempDir(), "dev-key.pem"))
			require.NoError(t, err)
			b := newBalancer(t)
			instances := []*instance{start(t, w.d, key, "127.0.0.1:0"), start(t, w.d, key, "127.0.0.1:0")}
			b.set(instances[0].address, instances[1].address)
			ctx, finish := context.WithCancel(t.Context())
			var writing sync.WaitGroup
			conn := w.d.Connect(t, w.d.SuperuserURL)
			writing.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					_, err := conn.Exec(t.Context(), "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, $3)", w.clinic.ID, models.NewID(), names(n))
					if err != nil {
						t.Error(err)
					}
					select { // a clinic's writers rest, too
					case <-ctx.Done():
					case <-time.After(20 * time.Millisecond):
					}
				}
			})
			all := clients(t, "http://"+b.Addr().String(), secret, w.after, control, func() {
				for n, i := range instances {
					began := time.Now()
					b.set(instances[1-n].address)
					i.stop()
					assert.NoError(t, <-i.ended) //nolint:testifylint // beside the test, where require may not end it
					t.Logf("an instance stopped in %s", time.Since(began).Round(time.Millisecond))
					instances[n] = start(t, w.d, key, i.address)
					b.set(instances[0].address, instances[1].address)
				}
				finish()
				writing.Wait()
				w.contact(t, w.clinic, "the last one")
			})
			last := w.d.Count(t, "SELECT max(position) FROM changes")
			missed := 0
			for _, one := range all {
				t.Logf("%s: %d changes, cut off %d times", one.Client, len(one.Positions), one.Cuts)
				require.Positive(t, one.Cuts, one.Client)
				missed += last - first + 1 - len(one.Positions)
				if control {
					continue
				}
				require.Len(t, one.Positions, last-first+1, one.Client)
				for n, position := range one.Positions {
					require.EqualValues(t, first+n, position, one.Client)
				}
			}
			if control {
				require.Positive(t, missed)
				t.Logf("missed without: %d", missed)
			}
			for _, i := range instances {
				i.stop()
				require.NoError(t, <-i.ended)
			}
		})
	}
}

func install(t *testing.T) {
	t.Helper()
	wanted, err := os.Stat("clients/package-lock.json")
	require.NoError(t, err)
	if installed, err := os.Stat("clients/node_modules/.package-lock.json"); err == nil && !installed.ModTime().Before(wanted.ModTime()) {
		return
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund")
	npm.Dir = "clients"
	out, err := npm.CombinedOutput()
	require.NoError(t, err, string(out))
}
