package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/migrations"
)

// cluster is the folder that Postgres itself calls its data directory.
func (s *Stack) cluster() string { return filepath.Join(s.postgresData(), "data") }

func (s *Stack) startPostgres(ctx context.Context) error {
	major, err := clusterVersion(s.cluster())
	if err != nil {
		return err
	}
	install, err := s.findPostgres(ctx, major)
	if err != nil {
		return err
	}
	if major == 0 {
		if err := s.initdb(ctx, install); err != nil {
			return err
		}
	}
	// Twice something may be in the way that goes away: another program took
	// the port between our look and Postgres' bind, or the processes of a
	// postmaster that was killed still hold its shared memory.
	deadline := time.Now().Add(15 * time.Second)
	for {
		if s.state.PostgresPort, err = freePort(ctx, s.state.PostgresPort, defaultPostgresPort); err != nil {
			return err
		}
		err := s.launchPostgres(ctx, install)
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		switch text := err.Error(); {
		case strings.Contains(text, "could not create any TCP/IP sockets"):
			s.state.PostgresPort = 0
		case strings.Contains(text, "pre-existing shared memory block"),
			strings.Contains(text, `lock file "postmaster.pid" already exists`):
			if err := pause(ctx, 100*time.Millisecond); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

func (s *Stack) launchPostgres(ctx context.Context, install pgInstall) error {
	args := []string{"-D", s.cluster()}
	for _, setting := range s.postgresSettings(install) {
		args = append(args, "-c", setting)
	}
	c, err := s.startChild(ctx, spec{
		name: "Postgres",
		path: filepath.Join(install.bin, "postgres"),
		args: args,
		env:  s.postgresEnv(),
		dir:  s.cluster(),
		log:  filepath.Join(s.home, "postgres.log"),
		term: syscall.SIGINT, // "fast": ends sessions, keeps everything committed
	})
	if err != nil {
		return err
	}
	if err := c.waitReady(ctx, func(context.Context) error { return s.postgresReady(c.cmd.Process.Pid) }); err != nil {
		select {
		case <-c.done: // it ended, so it needs no stopping and may be tried again
		default:
			s.postgres = c
		}
		return err
	}
	s.postgres = c
	c.watch(s.failed)
	return nil
}

// postgresReady reads the word that the postmaster leaves for pg_ctl: far
// cheaper than trying to connect, and never wrong about whose server it is. One
// that was killed leaves its own word behind, hence the process's id.
func (s *Stack) postgresReady(pid int) error {
	text, err := os.ReadFile(filepath.Join(s.cluster(), "postmaster.pid"))
	if err != nil {
		return fmt.Errorf("wait for Postgres: %w", err)
	}
	const statusLine = 7
	lines := strings.Split(string(text), "\n")
	if len(lines) <= statusLine || strings.TrimSpace(lines[0]) != strconv.Itoa(pid) || strings.TrimSpace(lines[statusLine]) != "ready" {
		return errors.New("still starting")
	}
	return nil
}

func (s *Stack) postgresSettings(install pgInstall) []string {
	settings := []string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(s.state.PostgresPort),
		"unix_socket_directories=" + s.state.Sockets,
		"unix_socket_permissions=0700",
		"max_connections=200",
		"timezone=UTC",
		"log_timezone=UTC",
		"log_line_prefix=%m [%p] %q%u@%d ",
		"log_min_messages=warning",
		"log_min_error_statement=panic", // a statement may hold a patient's data
		"logging_collector=off",
		"jit=off", // its start-up costs more than a clinic's statements take
		"checkpoint_timeout=15min",
		"max_wal_size=2GB",
	}
	if install.has("pg_stat_statements") {
		settings = append(settings, "shared_preload_libraries=pg_stat_statements")
	}
	if s.opts.Ephemeral {
		if install.has("pg_stat_statements") {
			// Tests count what their own databases are asked, hundreds of them at once.
			settings = append(settings, "pg_stat_statements.max=50000")
		}
		return append(settings,
			"shared_buffers=128MB",
			"fsync=off",
			"full_page_writes=off",
			"synchronous_commit=off",
			"wal_level=minimal",
			"max_wal_senders=0",
		)
	}
	return append(settings, "shared_buffers=256MB")
}

func (s *Stack) postgresEnv() []string {
	locale := "C.UTF-8"
	if runtime.GOOS == "darwin" {
		locale = "en_US.UTF-8" // without one, macOS makes the postmaster multi-threaded, which it refuses
	}
	return []string{"PATH=/usr/bin:/bin", "LC_ALL=" + locale, "TZ=UTC", "HOME=" + s.postgresData()}
}

// initdb makes the cluster under another name and renames it when it is whole,
// so that a start that was interrupted leaves nothing half made.
func (s *Stack) initdb(ctx context.Context, install pgInstall) error {
	s.log.InfoContext(ctx, "making a Postgres cluster", slog.String("folder", s.cluster()), slog.Int("version", install.major))
	unfinished := filepath.Join(s.postgresData(), "data.new")
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("make a Postgres cluster: %w", err)
	}
	password := filepath.Join(s.state.Sockets, "password")
	if err := os.WriteFile(password, []byte(s.state.Passwords.Superuser+"\n"), 0o600); err != nil {
		return fmt.Errorf("make a Postgres cluster: %w", err)
	}
	defer func() { _ = os.Remove(password) }() // its folder goes with Stop
	if s.user.drops {
		if err := os.Chown(password, s.user.uid, s.user.gid); err != nil {
			return fmt.Errorf("make a Postgres cluster: %w", err)
		}
	}
	args := []string{
		"-D", unfinished, "-U", Superuser, "--pwfile", password,
		"--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions",
	}
	switch {
	case runtime.GOOS != "darwin":
		args = append(args, "--locale=C.UTF-8")
	case install.major >= 17:
		args = append(args, "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
	default:
		args = append(args, "--locale=C", "--lc-ctype=en_US.UTF-8")
	}
	if s.opts.Ephemeral {
		args = append(args, "--no-sync")
	}
	_, err := s.output(ctx, spec{
		name: "initdb", path: filepath.Join(install.bin, "initdb"),
		args: args, env: s.postgresEnv(), dir: s.postgresData(),
	})
	if err != nil {
		return fmt.Errorf("make a Postgres cluster: %w", err)
	}
	if err := os.Rename(unfinished, s.cluster()); err != nil {
		return fmt.Errorf("make a Postgres cluster: %w", err)
	}
	return nil
}

// clusterVersion returns the major version that made a cluster, 0 if there is none.
func clusterVersion(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "PG_VERSION")) //nolint:gosec // in our own data folder
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the cluster's version: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("read the cluster's version: %w", err)
	}
	return major, nil
}

// bootstrap makes the roles and, if the stack keeps its data, the database.
func (s *Stack) bootstrap(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.SuperuserURL("postgres"))
	if err != nil {
		if strings.Contains(err.Error(), "password authentication failed") {
			return fmt.Errorf("the passwords of the cluster in %s are lost: remove that folder to begin anew", s.postgresData())
		}
		return fmt.Errorf("connect to the private Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	if _, err := conn.Exec(ctx, migrations.Roles); err != nil {
		return fmt.Errorf("make the roles: %w", err)
	}
	// The passwords hold letters and digits alone, as rand.Text makes them.
	_, err = conn.Exec(ctx, "ALTER ROLE "+OwnerRole+" PASSWORD '"+s.state.Passwords.Owner+"';"+
		"ALTER ROLE "+AppRole+" PASSWORD '"+s.state.Passwords.App+"';"+
		"GRANT pg_monitor TO "+OwnerRole)
	if err != nil {
		return fmt.Errorf("set the roles' passwords: %w", err)
	}
	if err := s.saveState(); err != nil {
		return err
	}
	if s.opts.Ephemeral {
		return nil
	}
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", Database).Scan(&exists); err != nil {
		return fmt.Errorf("look for the database: %w", err)
	}
	if exists {
		return nil
	}
	return s.CreateDatabase(ctx, Database)
}

// CreateDatabase makes an empty database that the owner's role owns, its
// public schema included, with pg_stat_statements if the server has it.
func (s *Stack) CreateDatabase(ctx context.Context, name string) error {
	if err := s.superuser(ctx, "postgres", "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" OWNER "+OwnerRole); err != nil {
		return fmt.Errorf("make the database %s: %w", name, err)
	}
	// Postgres 14 leaves the schema with the superuser and open to everybody.
	err := s.superuser(ctx, name, "ALTER SCHEMA public OWNER TO "+OwnerRole+"; REVOKE CREATE ON SCHEMA public FROM PUBLIC;"+`
		DO $$ BEGIN
			IF current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%' THEN
				CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
			END IF;
		END $$`)
	if err != nil {
		return fmt.Errorf("prepare the database %s: %w", name, err)
	}
	return nil
}

func (s *Stack) superuser(ctx context.Context, db, sql string) error {
	conn, err := pgx.Connect(ctx, s.SuperuserURL(db))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	_, err = conn.Exec(ctx, sql)
	return err
}

// pause waits, but no longer than the context.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
