// Package devstack runs a private Postgres (14 to 18) and a private Redis (6
// to 8) as children of this process, for `taskmed dev` and for the tests.
//
// It needs no installation: binaries that the system has are used, and what it
// lacks is fetched into a folder of its own without changing the system. It
// works as root (Postgres refuses root, so the children then run as an
// unprivileged user) and as a normal user. Nothing listens on 5432 or 6379,
// only on loopback, and never without a password.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Roles and the database as every part of TaskMed names them.
const (
	// Superuser is the role that initdb makes. Only set-up and tests use it.
	Superuser = "postgres"
	// OwnerRole owns the databases and runs the migrations.
	OwnerRole = "taskmed_owner"
	// AppRole serves requests under row-level security.
	AppRole = "taskmed_app"
	// Database is the one that a stack that keeps its data has from its first start.
	Database = "taskmed"
)

// Options say where a stack lives. The zero value with Ephemeral set is a
// complete set for a test; everything else needs Home.
type Options struct {
	// Home is the folder of the stack's state and data, made if absent. Empty
	// with Ephemeral: a temporary folder, in memory where there is room, removed by Stop.
	Home string
	// Log receives what is worth telling a developer; nil discards it.
	Log *slog.Logger
	// Ephemeral gives up durability for speed: no fsync, nothing kept in Redis.
	Ephemeral bool

	// Tools is the folder of fetched binaries, shared by checkouts. Empty: the
	// user's cache folder, or one under /var/cache if root's children could
	// not reach that.
	Tools string
	// ToolsOnly leaves out the system's own binaries, so that only fetched
	// ones are used.
	ToolsOnly bool
	// PostgresBin is a folder with initdb and postgres that goes before all others.
	PostgresBin string
	// RedisServer is a redis-server binary that goes before all others.
	RedisServer string
}

// FromEnv returns the options that the environment sets: TASKMED_TOOLS,
// TASKMED_TOOLS_ONLY (any value but empty and 0), TASKMED_POSTGRES_BIN and
// TASKMED_REDIS_SERVER. Home, Log and Ephemeral are left to the caller.
func FromEnv(getenv func(string) string) Options {
	only := getenv("TASKMED_TOOLS_ONLY")
	return Options{
		Tools:       getenv("TASKMED_TOOLS"),
		ToolsOnly:   only != "" && only != "0",
		PostgresBin: getenv("TASKMED_POSTGRES_BIN"),
		RedisServer: getenv("TASKMED_REDIS_SERVER"),
	}
}

// Stack is a running Postgres and Redis. Its methods may be called from any
// goroutine.
type Stack struct {
	opts     Options
	home     string
	tempHome bool
	data     string // holds postgres/ and redis/; is home unless the children cannot reach it
	log      *slog.Logger
	lock     *fileLock
	user     childUser
	launcher *launcher
	state    state

	postgres *child
	redis    *child
	failed   chan error

	stopOnce sync.Once
	stopErr  error
}

// Start brings the stack up and returns once both servers answer. Its errors
// are one line, meant for a person. The context bounds the start alone; the
// stack lives until Stop, or until the process dies, by whatever means.
func Start(ctx context.Context, opts Options) (_ *Stack, err error) {
	s := &Stack{opts: opts, log: opts.Log, failed: make(chan error, 2)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.prepareHome(ctx); err != nil {
		return nil, err
	}
	// A start that was given up half way must not leave a half stack behind.
	defer func() {
		if err != nil {
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
			defer cancel()
			err = errors.Join(err, s.Stop(stopCtx))
		}
	}()
	if s.user, err = pickChildUser(); err != nil {
		return nil, err
	}
	if err := s.prepareData(); err != nil {
		return nil, err
	}
	if err := s.stopLeftovers(ctx); err != nil {
		return nil, err
	}
	if err := s.prepareSockets(); err != nil {
		return nil, err
	}
	s.launcher = newLauncher()
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() error { return s.startPostgres(bothCtx) })
	both.Go(func() error { return s.startRedis(bothCtx) })
	if err := both.Wait(); err != nil {
		return nil, err
	}
	if err := s.bootstrap(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Home is the folder of the stack's state.
func (s *Stack) Home() string { return s.home }

// SuperuserURL is the URL of a database for the role that bypasses every
// rule. A test may use it to make databases; a server must not.
func (s *Stack) SuperuserURL(db string) string {
	return s.postgresURL(Superuser, s.state.Passwords.Superuser, db)
}

// OwnerURL is the URL of a database for the role that owns it and migrates it.
func (s *Stack) OwnerURL(db string) string {
	return s.postgresURL(OwnerRole, s.state.Passwords.Owner, db)
}

// AppURL is the URL of a database for the role that serves requests.
func (s *Stack) AppURL(db string) string {
	return s.postgresURL(AppRole, s.state.Passwords.App, db)
}

func (s *Stack) postgresURL(role, password, db string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(role, password),
		Host:     loopback(s.state.PostgresPort),
		Path:     "/" + db,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// RedisURL is the URL of Redis' database 0, password included.
func (s *Stack) RedisURL() string { return s.RedisDB(0) }

// RedisDB is the URL of one of Redis' databases. There are RedisDatabases of
// them, so that tests can have one each.
func (s *Stack) RedisDB(n int) string {
	u := url.URL{
		Scheme: "redis",
		User:   url.UserPassword("default", s.state.Passwords.Redis),
		Host:   loopback(s.state.RedisPort),
		Path:   "/" + strconv.Itoa(n),
	}
	return u.String()
}

// Failed delivers an error when one of the servers ends without having been
// told to. Nothing is delivered by Stop.
func (s *Stack) Failed() <-chan error { return s.failed }

// stopGrace is how long Stop waits by itself, should its context have no
// deadline, before it kills what does not end.
const stopGrace = 15 * time.Second

// Stop ends both servers, cleanly as long as the context lasts and by force
// after that, and returns when they are gone. A second call returns what the
// first did.
func (s *Stack) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() { s.stopErr = s.stop(ctx) })
	return s.stopErr
}

func (s *Stack) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, c := range []*child{s.postgres, s.redis} {
		if c == nil {
			continue
		}
		wg.Go(func() { errs[i] = c.stop(ctx) })
	}
	wg.Wait()
	if s.launcher != nil {
		s.launcher.close()
	}
	if s.state.Sockets != "" {
		errs = append(errs, os.RemoveAll(s.state.Sockets))
	}
	if s.tempHome {
		errs = append(errs, os.RemoveAll(s.home))
		if s.data != "" && s.data != s.home {
			errs = append(errs, os.RemoveAll(s.data))
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.release())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop the private servers: %w", err)
	}
	return nil
}

func (s *Stack) postgresData() string { return filepath.Join(s.data, "postgres") }
func (s *Stack) redisData() string    { return filepath.Join(s.data, "redis") }
