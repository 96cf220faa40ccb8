package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// The environment in which teststack hands its servers over.
const (
	envSuperuser = "TASKMED_TEST_SUPERUSER_URL"
	envOwner     = "TASKMED_TEST_OWNER_URL"
	envApp       = "TASKMED_TEST_APP_URL"
	envRedis     = "TASKMED_TEST_REDIS_URL"
)

// database is the benchmark's own, on teststack's Postgres.
type database struct {
	superuser, app, redis string

	maintenance string
	name        string
	// conn is the superuser's.
	conn *pgx.Conn
	// postmaster is the process that all of Postgres' other processes come from.
	postmaster int
}

func newDatabase(ctx context.Context, o options) (*database, error) {
	if os.Getenv(envSuperuser) == "" {
		return nil, errors.New("no Postgres was handed over: run it by go run ./internal/testkit/teststack go run ./bench/uncached")
	}
	d := &database{name: fmt.Sprintf("uncached_%d", os.Getpid()), redis: os.Getenv(envRedis)}
	var owner string
	var err error
	for _, each := range []struct {
		to                 *string
		variable, database string
	}{
		{&d.maintenance, envSuperuser, "postgres"}, {&d.superuser, envSuperuser, d.name}, {&owner, envOwner, d.name}, {&d.app, envApp, d.name},
	} {
		if *each.to, err = at(os.Getenv(each.variable), each.database); err != nil {
			return nil, err
		}
	}
	if err := d.maintain(ctx, "CREATE DATABASE "+d.name+" OWNER taskmed_owner"); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"migrate", "up"}, o.seedArgs()} {
		command := exec.CommandContext(ctx, o.taskmed, args...) //nolint:gosec // running the program it is given is its purpose
		command.Env = append(os.Environ(), "OWNER_DATABASE_URL="+owner)
		if said, err := command.CombinedOutput(); err != nil {
			return nil, errors.Join(fmt.Errorf("taskmed %s: %w: %s", args[0], err, said), d.close(ctx))
		}
	}
	if err := d.connect(ctx); err != nil {
		return nil, errors.Join(err, d.close(ctx))
	}
	return d, nil
}

func (d *database) connect(ctx context.Context) (err error) {
	if d.conn, err = pgx.Connect(ctx, d.superuser); err != nil {
		return err
	}
	// An ordinary member's answers say nothing of how they came about.
	if _, err := d.conn.Exec(ctx, "UPDATE memberships SET permissions = '{}'"); err != nil {
		return err
	}
	var backend int
	if err := d.conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return err
	}
	d.postmaster, err = parentOf(backend)
	return err
}

// close drops the database, also where the run was interrupted.
func (d *database) close(ctx context.Context) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer done()
	if d.conn != nil {
		_ = d.conn.Close(ctx) // it goes with the database
	}
	return d.maintain(ctx, "DROP DATABASE IF EXISTS "+d.name+" WITH (FORCE)")
}

func (d *database) maintain(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, d.maintenance)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is left to lose
	_, err = conn.Exec(ctx, statement)
	return err
}

// at is a server's address with another database.
func at(server, database string) (string, error) {
	parsed, err := url.Parse(server)
	if err != nil {
		return "", errors.New("an address that was handed over is no URL")
	}
	parsed.Path = "/" + database
	return parsed.String(), nil
}

// through is a database's address behind a proxy.
func through(database, proxy string) (string, error) {
	parsed, err := url.Parse(database)
	if err != nil {
		return "", errors.New("a database's address is no URL")
	}
	parsed.Host = proxy
	return parsed.String(), nil
}

// document reads one of the reference queries.
func document(name string) (string, error) {
	text, err := os.ReadFile("internal/app/testdata/" + name + ".graphql") //nolint:gosec // one of ours
	if err != nil {
		return "", fmt.Errorf("read a reference query, from the repository's root: %w", err)
	}
	_, query, _ := strings.Cut(string(text), "\n") // The first line says as whom a test asks it.
	return query, nil
}
