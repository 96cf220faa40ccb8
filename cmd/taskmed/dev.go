package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/devstack"
	"github.com/taskmed/taskmed/internal/gcpace"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/models"
	"github.com/taskmed/taskmed/web"
)

type devCommand struct {
	homeFlag

	Addr      string `default:"127.0.0.1:8080" env:"TASKMED_ADDR" help:"Where the API and the playground listen (${default})."`
	AdminAddr string `default:"127.0.0.1:9090" env:"TASKMED_ADMIN_ADDR" help:"Where metrics, health and pprof listen (${default})."`
	LogLevel  string `default:"info" env:"TASKMED_LOG_LEVEL" enum:"debug,info,warn,error" help:"What is logged: ${enum} (${default})."`

	// For make, which a kill does not let pass on.
	WithParent bool `hidden:"" help:"End when the process that started this one ends."`
}

// tokenLife is how long the tokens in dev.json are good for. They are signed
// anew at every start, and only this machine's servers believe them.
const tokenLife = 30 * 24 * time.Hour

// Run brings everything up in order and takes it down in reverse.
func (c *devCommand) Run(ctx context.Context, s streams) (err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if c.WithParent {
		go endWithParent(ctx, stop)
	}
	level, err := logLevel(c.LogLevel)
	if err != nil {
		return err
	}
	log := textLog(s.err, level)

	options := devstack.FromEnv(os.Getenv)
	options.Home, options.Log = c.Home, log
	stack, err := devstack.Start(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stack.Stop(context.WithoutCancel(ctx))) }()

	// A killed run's file would tell lies until this one is ready.
	if err := removeDevFile(c.Home); err != nil {
		return err
	}
	settings, err := c.settings(stack)
	if err != nil {
		return err
	}
	listening, err := listen(ctx, settings)
	if err != nil {
		return err
	}
	defer func() { _ = listening.close() }() // closed already once they were served on

	if err := prepareDatabase(ctx, stack.OwnerURL(devstack.Database), settings.Secret, s); err != nil {
		return err
	}
	key, err := auth.LoadOrCreateDevKey(c.devKeyPath())
	if err != nil {
		return err
	}
	clinics, err := demoClinics(ctx, stack.SuperuserURL(devstack.Database), key)
	if err != nil {
		return err
	}
	if err := storeSeeded(ctx, stack.SuperuserURL(devstack.Database), settings, log); err != nil {
		return err
	}
	defer gcpace.Floor(gcpace.Server)()
	coherence.LogRedis(log)
	s.out = &serialWriter{out: s.out}
	hooks, err := receiveHooks(ctx, bool(settings.PrivateWebhooks), clinics, s.out)
	if err != nil {
		return err
	}
	defer hooks.close() // after the server, which may still be sending
	server, err := app.New(ctx, settings, app.Options{Log: log, DevKey: key, Demo: clinics.playground, Inspector: hooks.page()})
	if err != nil {
		return err
	}
	defer server.Close()

	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listening.public, listening.admin) }()
	file := devFile{
		URL: "http://" + listening.public.Addr().String(), AdminURL: "http://" + listening.admin.Addr().String(),
		DatabaseURL: stack.AppURL(devstack.Database), OwnerDatabaseURL: stack.OwnerURL(devstack.Database),
		RedisURL: stack.RedisURL(), Clinics: clinics.file,
	}
	hooks.register(ctx, file.URL, log)
	if err := file.write(c.Home); err != nil {
		stop(err)
		return errors.Join(err, <-served)
	}
	defer func() { err = errors.Join(err, removeDevFile(c.Home)) }()
	c.announce(s, file, hooks != nil && settings.Playground)

	select {
	case err := <-served:
		return err
	case err := <-stack.Failed():
		stop(err)
		return errors.Join(err, <-served)
	case <-ctx.Done():
	}
	log.InfoContext(context.WithoutCancel(ctx), "stopping", slog.Any("why", context.Cause(ctx)))
	// Gone before the server is: who finds the file may count on an answer.
	return errors.Join(removeDevFile(c.Home), <-served)
}

// announce says where to look.
func (c *devCommand) announce(s streams, f devFile, inspected bool) {
	_, _ = fmt.Fprintf(s.out, "\n  Playground  %s/\n  API         %s/graphql\n  Operators   %s/\n", f.URL, f.URL, f.AdminURL)
	if inspected {
		_, _ = fmt.Fprintf(s.out, "  Webhooks    %s/webhooks\n", f.URL)
	}
	for _, clinic := range f.Clinics {
		_, _ = fmt.Fprintf(s.out, "\n  %s, X-Clinic-Id: %s\n  Authorization: Bearer %s\n", clinic.Slug, clinic.ID, clinic.Tokens[string(models.RoleOwner)])
	}
	_, _ = fmt.Fprintf(s.out, "\n  More tokens and the databases' addresses are in %s. Ctrl-C stops everything.\n\n", devFilePath(c.Home))
}

func (c *devCommand) settings(stack *devstack.Stack) (config.Config, error) {
	secret, err := loadOrCreateSecret(filepath.Join(stack.Home(), "secret"))
	if err != nil {
		return config.Config{}, err
	}
	environ := environment(os.Environ())
	environ["REDIS_URL"] = stack.RedisURL()
	if _, said := environ["TASKMED_PRIVATE_WEBHOOKS"]; !said {
		environ["TASKMED_PRIVATE_WEBHOOKS"] = "on"
	}
	settings, err := config.Development(environ, stack.AppURL(devstack.Database), secret)
	if err != nil {
		return config.Config{}, err
	}
	if settings.Attachments.Dir == "" && settings.Attachments.S3Endpoint == "" {
		settings.Attachments.Dir = filepath.Join(stack.Home(), devAttachments)
	}
	settings.MaintainURL = stack.OwnerURL(devstack.Database)
	settings.Addr, settings.AdminAddr, settings.LogLevel = c.Addr, c.AdminAddr, c.LogLevel
	return settings, nil
}

// loadOrCreateSecret is what seals cursors, the same at every start so that a
// page that is open goes on working.
func loadOrCreateSecret(path string) (string, error) {
	text, err := os.ReadFile(path) //nolint:gosec // in the home that the developer chose
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	const length = 32
	secret := make([]byte, length)
	_, _ = rand.Read(secret) // never fails
	return hex.EncodeToString(secret), devstack.WriteFile(path, []byte(hex.EncodeToString(secret)+"\n"))
}

// prepareDatabase brings the schema up to date and makes the demo clinics if
// they are missing.
func prepareDatabase(ctx context.Context, ownerURL, secret string, s streams) error {
	if _, err := migrateToNewest(ctx, ownerURL, secret); err != nil {
		return err
	}
	options := seed.Demo(seed.Today(time.Now()))
	options.SkipExisting = true
	result, err := seed.Run(ctx, ownerURL, options, seed.NewProgress(s.err, isTerminal(s.err)))
	if err != nil {
		return err
	}
	for _, clinic := range result.Clinics {
		_, _ = fmt.Fprintf(s.err, "made the demo clinic %s (%s)\n", clinic.Slug, clinic.Name)
	}
	return nil
}

// storeSeeded has the demo clinics' attachments be more than rows.
func storeSeeded(ctx context.Context, superuserURL string, settings config.Config, log *slog.Logger) error {
	kept, err := app.Store(settings.Attachments, log)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, superuserURL)
	if err != nil {
		return fmt.Errorf("look for seeded attachments: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	return seed.Store(ctx, conn, kept)
}

// demo is the demo clinics with a token per role, for dev.json and for the playground.
type demo struct {
	file       []devClinic
	playground []web.DemoClinic
}

func demoClinics(ctx context.Context, superuserURL string, key *auth.DevKey) (demo, error) {
	conn, err := pgx.Connect(ctx, superuserURL)
	if err != nil {
		return demo{}, fmt.Errorf("look for the demo clinics: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	// Every clinic that has a developer was seeded; clinics that were made by
	// other means have members whom nobody can guess.
	rows, err := conn.Query(ctx, `SELECT c.id, c.slug, c.name FROM clinics c
		WHERE EXISTS (SELECT FROM memberships m WHERE m.clinic_id = c.id AND m.subject = $1 AND m.revoked_at IS NULL)
		ORDER BY c.slug`, seed.Developer)
	if err != nil {
		return demo{}, fmt.Errorf("look for the demo clinics: %w", err)
	}
	type clinic struct {
		ID         uuid.UUID
		Slug, Name string
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[clinic])
	if err != nil {
		return demo{}, fmt.Errorf("look for the demo clinics: %w", err)
	}
	developer, err := key.Sign(auth.DevClaims{Subject: seed.Developer, TTL: tokenLife})
	if err != nil {
		return demo{}, err
	}
	var d demo
	for _, c := range found {
		id := models.KindClinic.Global(c.ID)
		tokens, shown := map[string]string{}, map[string]string{}
		for _, role := range models.AllRole {
			subject := seed.Subject(c.Slug, strings.ToLower(string(role)))
			token, err := key.Sign(auth.DevClaims{Subject: subject, TTL: tokenLife})
			if err != nil {
				return demo{}, err
			}
			tokens[string(role)], shown[string(role)] = token, token
		}
		// Who explores the API sees its cost and its statements.
		shown[string(models.RoleOwner)] = developer
		d.file = append(d.file, devClinic{ID: id, UUID: c.ID.String(), Slug: c.Slug, Tokens: tokens})
		d.playground = append(d.playground, web.DemoClinic{ID: id, Name: c.Name, Slug: c.Slug, Tokens: shown})
	}
	return d, nil
}

// errParentGone is why a server whose make was killed ends.
var errParentGone = errors.New("the process that started this one has ended")

func endWithParent(ctx context.Context, stop context.CancelCauseFunc) {
	parent := os.Getppid()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if os.Getppid() != parent {
				stop(errParentGone)
				return
			}
		}
	}
}
