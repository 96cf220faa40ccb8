// Package testkit gives each test a database of its own on a real Postgres, a
// real Redis, and two clinics in it.
package testkit

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/taskmed/taskmed/internal/devstack"
	"github.com/taskmed/taskmed/migrations"
)

// The environment in which teststack hands its servers to the packages' tests.
const (
	EnvSuperuserURL = "TASKMED_TEST_SUPERUSER_URL"
	EnvOwnerURL     = "TASKMED_TEST_OWNER_URL"
	EnvAppURL       = "TASKMED_TEST_APP_URL"
	EnvRedisURL     = "TASKMED_TEST_REDIS_URL"
)

// Secret is what tests' servers have for TASKMED_SECRET.
const Secret = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7" //nolint:gosec // it guards nothing

// Template is the database that every test's own is cloned from.
const Template = "taskmed_template"

// Servers are the addresses that the tests need; the Postgres ones name Template.
type Servers struct {
	SuperuserURL, OwnerURL, AppURL, RedisURL string
	// Folder is the servers' own, which goes with them; "" where others started them.
	Folder string
}

// StartServers runs a Postgres and a Redis that keep nothing, in a temporary
// folder, with the template migrated. stop ends them and removes the folder.
func StartServers(ctx context.Context) (servers Servers, stop func() error, err error) {
	options := devstack.FromEnv(os.Getenv)
	options.Ephemeral = true
	stack, err := devstack.Start(ctx, options)
	if err != nil {
		return Servers{}, nil, err
	}
	stop = func() error {
		stopping, done := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer done()
		return stack.Stop(stopping)
	}
	servers = Servers{
		SuperuserURL: stack.SuperuserURL(Template), OwnerURL: stack.OwnerURL(Template),
		AppURL: stack.AppURL(Template), RedisURL: stack.RedisURL(), Folder: stack.Home(),
	}
	if err := makeTemplate(ctx, stack); err != nil {
		return Servers{}, nil, errors.Join(err, stop())
	}
	return servers, stop, nil
}

func makeTemplate(ctx context.Context, stack *devstack.Stack) error {
	conn, err := pgx.Connect(ctx, stack.SuperuserURL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+Template+" OWNER "+devstack.OwnerRole); err != nil {
		return fmt.Errorf("create the template: %w", err)
	}
	return Migrate(ctx, stack.OwnerURL(Template))
}

// Migrate brings a database to the newest version.
func Migrate(ctx context.Context, ownerURL string) error {
	config, err := pgx.ParseConfig(ownerURL)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config)
	defer func() { _ = db.Close() }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, fs.FS(migrations.Files))
	if err != nil {
		return err
	}
	if _, err = provider.Up(ctx); err != nil {
		return err
	}
	secret, err := hex.DecodeString(Secret)
	if err != nil {
		return err
	}
	return migrations.TellSecret(ctx, db, secret)
}

// ours are the servers that this test binary started itself, because nobody
// handed it any.
type ours struct {
	once    sync.Once
	servers Servers
	stop    func() error
	err     error

	mu sync.Mutex
	// kept are databases that more than one test uses, and the address to drop them by.
	kept        []string
	maintenance string
}

// keep remembers a database that goes when the binary's tests have run.
func (o *ours) keep(maintenance, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.maintenance, o.kept = maintenance, append(o.kept, name)
}

func (o *ours) drop(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.kept) == 0 {
		return nil
	}
	conn, err := pgx.Connect(ctx, o.maintenance)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, name := range o.kept {
		if _, err := conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	return nil
}

func (o *ours) get() (Servers, error) {
	o.once.Do(func() {
		if url := os.Getenv(EnvSuperuserURL); url != "" {
			o.servers = Servers{SuperuserURL: url, OwnerURL: os.Getenv(EnvOwnerURL), AppURL: os.Getenv(EnvAppURL), RedisURL: os.Getenv(EnvRedisURL)}
			return
		}
		o.servers, o.stop, o.err = StartServers(context.Background())
	})
	return o.servers, o.err
}

// process is per test binary, like the binary's flags.
var process ours //nolint:gochecknoglobals // one pair of servers serves all tests of a binary

// Main runs a package's tests and stops what they started: a package that uses
// testkit has a TestMain that calls it.
func Main(m *testing.M) {
	code := m.Run()
	if err := process.drop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "drop the databases that tests shared:", err)
		code = 1
	}
	if process.stop != nil {
		if err := process.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the test's servers:", err)
			code = 1
		}
	}
	os.Exit(code)
}
