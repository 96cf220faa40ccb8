package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/migrations"
)

type migrateCommand struct {
	OwnerDatabaseURL string `required:"" env:"OWNER_DATABASE_URL" help:"The database, as the role that owns it."`

	Up     migrateUp     `cmd:"" help:"Apply the migrations that are missing."`
	Down   migrateDown   `cmd:"" help:"Take back the newest migration, or all of those after --to."`
	Status migrateStatus `cmd:"" help:"List the migrations and which of them are applied."`
}

type migrateUp struct {
	Secret string `env:"TASKMED_SECRET" help:"The servers' secret, which the database takes the proof from by which they change members and keys. Without it that stays as it is."`

	To int64 `placeholder:"VERSION" help:"Stop after this version instead of the newest."`
}

// Run applies migrations.
func (c *migrateUp) Run(ctx context.Context, parent *migrateCommand, s streams) error {
	return withMigrations(parent.OwnerDatabaseURL, func(p *goose.Provider) error {
		up := func(ctx context.Context) ([]*goose.MigrationResult, error) { return p.Up(ctx) }
		if c.To > 0 {
			up = func(ctx context.Context) ([]*goose.MigrationResult, error) { return p.UpTo(ctx, c.To) }
		}
		results, err := up(ctx)
		if err := report(s, "applied", results, err); err != nil || c.To > 0 {
			return err
		}
		if c.Secret == "" {
			_, _ = fmt.Fprintln(s.err, "TASKMED_SECRET is not set: servers with another secret than before cannot change members and keys")
			return nil
		}
		return tellSecret(ctx, parent.OwnerDatabaseURL, c.Secret)
	})
}

type migrateDown struct {
	To *int64 `placeholder:"VERSION" help:"Take back every migration after this version; 0 takes back all."`
}

// Run takes migrations back.
func (c *migrateDown) Run(ctx context.Context, parent *migrateCommand, s streams) error {
	return withMigrations(parent.OwnerDatabaseURL, func(p *goose.Provider) error {
		if c.To != nil {
			results, err := p.DownTo(ctx, *c.To)
			return report(s, "took back", results, err)
		}
		result, err := p.Down(ctx)
		if errors.Is(err, goose.ErrNoNextVersion) {
			return report(s, "took back", nil, nil)
		}
		if result == nil {
			return report(s, "took back", nil, err)
		}
		return report(s, "took back", []*goose.MigrationResult{result}, err)
	})
}

// report prints what was done, which after a failure is less than what was wanted.
func report(s streams, verb string, results []*goose.MigrationResult, err error) error {
	if partial, ok := errors.AsType[*goose.PartialError](err); ok {
		results = partial.Applied
	}
	for _, r := range results {
		_, _ = fmt.Fprintf(s.out, "%s %s in %s\n", verb, path.Base(r.Source.Path), r.Duration.Round(time.Millisecond))
	}
	if err == nil && len(results) == 0 {
		_, _ = fmt.Fprintln(s.out, "nothing to do")
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

type migrateStatus struct{}

// Run lists the migrations.
func (c *migrateStatus) Run(ctx context.Context, parent *migrateCommand, s streams) error {
	return withMigrations(parent.OwnerDatabaseURL, func(p *goose.Provider) error {
		all, err := p.Status(ctx)
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		for _, m := range all {
			when := string(m.State)
			if m.State == goose.StateApplied {
				when = "applied " + m.AppliedAt.Format(time.RFC3339)
			}
			_, _ = fmt.Fprintf(table, "%d\t%s\t%s\n", m.Source.Version, path.Base(m.Source.Path), when)
		}
		return table.Flush()
	})
}

// tellSecret has the database know the servers' proofs of who asks.
func tellSecret(ctx context.Context, ownerURL, text string) (err error) {
	secret, err := config.Config{Secret: text}.SecretBytes()
	if err != nil {
		return fmt.Errorf("TASKMED_SECRET %w", err)
	}
	owner, err := pgx.ParseConfig(ownerURL)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	db := stdlib.OpenDB(*owner)
	defer func() { err = errors.Join(err, db.Close()) }()
	return migrations.TellSecret(ctx, db, secret)
}

// migrateToNewest is what `taskmed dev` does at every start.
func migrateToNewest(ctx context.Context, ownerURL, secret string) (applied int, err error) {
	err = withMigrations(ownerURL, func(p *goose.Provider) error {
		results, err := p.Up(ctx)
		applied = len(results)
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		return tellSecret(ctx, ownerURL, secret)
	})
	return applied, err
}

// withMigrations opens the migrations over a database and closes them after.
// A lock of Postgres' session lets several servers that start at once take
// turns; it is asked for every second.
func withMigrations(ownerURL string, do func(*goose.Provider) error) (err error) {
	owner, err := pgx.ParseConfig(ownerURL)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	db := stdlib.OpenDB(*owner)
	defer func() { err = errors.Join(err, db.Close()) }()
	const everySecond, minutes = 1, 10
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(everySecond, minutes*60))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return do(provider)
}
