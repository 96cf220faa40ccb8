package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/gcpace"
	"github.com/taskmed/taskmed/internal/telemetry/logs"
)

type serveCommand struct{}

// Help lists the variables that the server reads.
func (serveCommand) Help() string {
	return "The environment alone says how:\n\n" + config.Help()
}

// Run serves until it is told to stop.
func (serveCommand) Run(ctx context.Context, s streams) error {
	settings, err := config.FromEnv(environment(os.Environ()))
	if err != nil {
		return fmt.Errorf("the environment is not right:\n%w", err)
	}
	level, err := logLevel(settings.LogLevel)
	if err != nil {
		return err
	}
	defer gcpace.Floor(gcpace.Server)()
	log := slog.New(logs.NewJSONHandler(s.err, level))
	listening, err := listen(ctx, settings)
	if err != nil {
		return err
	}
	coherence.LogRedis(log)
	server, err := app.New(ctx, settings, app.Options{Log: log})
	if err != nil {
		return errors.Join(err, listening.close())
	}
	defer server.Close()
	log.InfoContext(ctx, "serving", slog.String("addr", listening.public.Addr().String()), slog.String("admin_addr", listening.admin.Addr().String()))
	return server.Serve(ctx, listening.public, listening.admin)
}

// listeners are the public one and the operators'.
type listeners struct{ public, admin net.Listener }

func listen(ctx context.Context, settings config.Config) (l listeners, err error) {
	if l.public, err = listenOn(ctx, "TASKMED_ADDR", settings.Addr); err != nil {
		return l, err
	}
	if l.admin, err = listenOn(ctx, "TASKMED_ADMIN_ADDR", settings.AdminAddr); err != nil {
		return l, errors.Join(err, l.public.Close())
	}
	return l, nil
}

func listenOn(ctx context.Context, variable, addr string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another program listens on %s: end it, or set %s to another address", addr, variable)
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

func (l listeners) close() error { return errors.Join(l.public.Close(), l.admin.Close()) }

// environment is a list as os.Environ gives it, as a map.
func environment(list []string) map[string]string {
	environ := make(map[string]string, len(list))
	for _, entry := range list {
		if name, value, ok := strings.Cut(entry, "="); ok {
			environ[name] = value
		}
	}
	return environ
}

func logLevel(name string) (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return level, fmt.Errorf("TASKMED_LOG_LEVEL must be debug, info, warn or error, not %q", name)
	}
	return level, nil
}

// textLog is a log for a person.
func textLog(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				a.Value = slog.StringValue(a.Value.Time().Format("15:04:05.000"))
			}
			return a
		},
	}))
}
