package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/taskmed/taskmed/bench/uncached/limit"
	"github.com/taskmed/taskmed/internal/gcpace"
)

// server is a process that answers.
type server struct {
	name string
	url  string
	// metrics is where it says how many objects it has allocated.
	metrics string
	byHand  bool
	pid     int

	command *exec.Cmd
	gone    chan struct{}
}

// byHandCommand is the argument with which this program runs itself as the
// handler written by hand; its environment says the rest.
const (
	byHandCommand  = "by-hand"
	envByHandAddr  = "UNCACHED_ADDR"
	envByHandURL   = "UNCACHED_DATABASE_URL"
	startingAtMost = 30 * time.Second
)

func serveByHand(ctx context.Context) error {
	// As a TaskMed server has it, or the handler would pay for collections.
	defer gcpace.Floor(gcpace.Server)()
	key, err := secretBytes()
	if err != nil {
		return err
	}
	handler, err := limit.New(ctx, os.Getenv(envByHandURL), key, time.Now)
	if err != nil {
		return err
	}
	defer handler.Close()
	listening := &http.Server{Addr: os.Getenv(envByHandAddr), Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() {
		<-ctx.Done()
		_ = listening.Close()
	}()
	if err := listening.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// servers are the three that are compared, over a database that each is given.
// logs is the folder their logs are written to.
func (b *bench) servers(ctx context.Context, logs string, databaseFor func(byHand bool) (string, error)) (all []*server, err error) {
	defer func() {
		if err != nil {
			stopAll(all)
		}
	}()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for _, each := range []struct {
		name  string
		cache string
	}{{byHand, ""}, {cacheOff, "off"}, {cacheOn, "on"}} {
		isByHand := each.name == byHand
		database, err := databaseFor(isByHand)
		if err != nil {
			return all, err
		}
		addr, err := freeAddr(ctx)
		if err != nil {
			return all, err
		}
		s := &server{name: each.name, byHand: isByHand, url: "http://" + addr, metrics: "http://" + addr + "/metrics", gone: make(chan struct{})}
		ready := s.metrics
		if isByHand {
			s.command = exec.Command(self, byHandCommand) //nolint:gosec,noctx // this very program; stop ends it
			s.command.Env = append(os.Environ(), envByHandAddr+"="+addr, envByHandURL+"="+database)
		} else {
			admin, err := freeAddr(ctx)
			if err != nil {
				return all, err
			}
			s.metrics, ready = "http://"+admin+"/metrics", "http://"+admin+"/readyz"
			s.command = exec.Command(b.options.taskmed, "serve") //nolint:gosec,noctx // the program it is given; stop ends it
			s.command.Env = append(os.Environ(),
				"DATABASE_URL="+database, "REDIS_URL="+b.database.redis, "TASKMED_CACHE="+each.cache, "TASKMED_SECRET="+secret,
				"TASKMED_ADDR="+addr, "TASKMED_ADMIN_ADDR="+admin, "TASKMED_MAINTAIN=off",
				// A machine that is busy with other work is no reason to refuse, or to go on without Redis.
				"TASKMED_DATABASE_ACQUIRE_TIMEOUT=20s", "TASKMED_REDIS_TIMEOUT=5s",
				"TASKMED_JWKS_URL="+b.identity.url, "TASKMED_JWT_ISSUER="+issuer, "TASKMED_JWT_AUDIENCE="+audience)
		}
		if err := s.start(ctx, filepath.Join(logs, each.name+".log"), ready); err != nil {
			return all, err
		}
		all = append(all, s)
	}
	return all, nil
}

// start runs the process until it answers.
func (s *server) start(ctx context.Context, log, ready string) error {
	file, err := os.Create(log) //nolint:gosec // in the run's own folder
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // the process has its own
	s.command.Stdout, s.command.Stderr = file, file
	// Ctrl-C reaches this program alone, which then stops it.
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.command.Start(); err != nil {
		return err
	}
	s.pid = s.command.Process.Pid
	go func() {
		_ = s.command.Wait()
		close(s.gone)
	}()
	ctx, done := context.WithTimeout(ctx, startingAtMost)
	defer done()
	for !answers(ctx, ready) {
		select {
		case <-s.gone:
			said, _ := os.ReadFile(log) //nolint:gosec // in the run's own folder
			return fmt.Errorf("%s ended: %s", s.name, bytes.TrimSpace(said))
		case <-ctx.Done():
			s.stop()
			return fmt.Errorf("%s was not ready within %s", s.name, startingAtMost)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func answers(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

func (s *server) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.gone:
	case <-time.After(startingAtMost):
		_ = s.command.Process.Kill()
		<-s.gone
	}
}

func stopAll(servers []*server) {
	for _, s := range servers {
		s.stop()
	}
}

// freeAddr is an address on loopback that nobody listened on a moment ago.
func freeAddr(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
