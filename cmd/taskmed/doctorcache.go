package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/answering"
	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/doctor"
	"github.com/taskmed/taskmed/internal/trust"
	"github.com/taskmed/taskmed/models"
)

type cacheCommand struct {
	homeFlag

	Sample int    `default:"500" help:"How many answers to look at, at most (${default})."`
	Clinic string `placeholder:"ID" help:"Look at this clinic's answers alone: its id, or its UUID."`
	JSON   bool   `name:"json" help:"Print the report as JSON."`
}

// Help says what it needs and what it leaves alone.
func (cacheCommand) Help() string {
	return "Reads answers out of Redis, computes them anew from Postgres and compares. It is told where to look by the servers' " +
		"environment (DATABASE_URL, REDIS_URL, TASKMED_SECRET, …), or finds the taskmed dev that runs on --home. Servers go on " +
		"meanwhile, and their writes do not disturb it. Nothing is changed, and no patient's data is printed. The exit status is 1 " +
		"where an answer is kept that is not what Postgres says."
}

// settings are those of the servers.
func (c *cacheCommand) settings() (config.Config, error) {
	environ := environment(os.Environ())
	address, secret := environ["DATABASE_URL"], environ["TASKMED_SECRET"]
	if address != "" {
		settings, err := config.Development(environ, address, secret)
		if err != nil {
			return settings, fmt.Errorf("the environment is not right:\n%w", err)
		}
		return settings, nil
	}
	running, err := readDevFile(c.Home)
	if errors.Is(err, fs.ErrNotExist) {
		return config.Config{}, fmt.Errorf("no taskmed dev runs on %s: start it, or set DATABASE_URL, REDIS_URL and TASKMED_SECRET as the servers have them", c.Home)
	}
	if err != nil {
		return config.Config{}, err
	}
	text, err := os.ReadFile(filepath.Join(c.Home, "secret"))
	if err != nil {
		return config.Config{}, fmt.Errorf("read the secret: %w", err)
	}
	settings, err := config.Development(environ, running.DatabaseURL, strings.TrimSpace(string(text)))
	settings.RedisURL = running.RedisURL
	return settings, err
}

// Run examines what is kept.
func (c *cacheCommand) Run(ctx context.Context, s streams) (err error) {
	settings, err := c.settings()
	if err != nil {
		return err
	}
	clinic := uuid.Nil
	if c.Clinic != "" {
		if clinic, err = clinicID(c.Clinic); err != nil {
			return err
		}
	}
	log := textLog(s.err, slog.LevelError)
	coherence.LogRedis(log)
	// Longer than a request waits: nobody waits for this.
	const patience = 5 * time.Second
	secret, err := settings.SecretBytes()
	if err != nil {
		return fmt.Errorf("TASKMED_SECRET %w", err)
	}
	redis, err := answers.Inspect(ctx, answers.Config{
		RedisURL: settings.RedisURL, RedisTimeout: patience, ListenURL: settings.ListenURL(), Secret: secret, Log: log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	heard, _, err := trust.Identify(ctx, settings.ListenURL())
	if err != nil {
		return err
	}
	examiner, err := app.NewExaminer(ctx, settings, log)
	if err != nil {
		return err
	}
	defer examiner.Close()
	report, err := doctor.Cache(ctx, doctor.CacheOptions{
		Redis: redis, Again: again(examiner), Database: heard, Sample: c.Sample, Clinic: clinic,
	})
	if err != nil {
		return err
	}
	return examination{JSON: c.JSON}.tell(s, report)
}

// again computes kept answers anew as the doctor wants them.
func again(examiner *app.Examiner) func(context.Context, *answers.Kept) (*doctor.Answer, error) {
	return func(ctx context.Context, kept *answers.Kept) (*doctor.Answer, error) {
		now, err := examiner.Again(ctx, kept)
		switch {
		case errors.Is(err, answering.ErrNoRecipe), errors.Is(err, answering.ErrAnotherProgram):
			return nil, fmt.Errorf("%w: %w", doctor.ErrUnexamined, err)
		case err != nil:
			return nil, err
		}
		return &doctor.Answer{
			Body: now.Body, Digest: now.Digest, Unfit: now.Unfit, Name: now.Name, Text: now.Text, Role: string(now.Role),
		}, nil
	}
}

// clinicID reads a clinic's id as operators have it, a UUID, or as clients do.
func clinicID(text string) (uuid.UUID, error) {
	if id, err := uuid.Parse(text); err == nil {
		return id, nil
	}
	id, err := models.KindClinic.Parse(text)
	if err != nil {
		return uuid.Nil, fmt.Errorf("%q is no clinic's id", text)
	}
	return id, nil
}
