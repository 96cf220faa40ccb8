package messaging_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
)

// childDatabase and childWhatsApp are set where the test's program is to be a server that
// sends, to be killed.
const (
	childDatabase = "TASKMED_TEST_MESSAGES_OF"
	childWhatsApp = "TASKMED_TEST_MESSAGES_TO"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childDatabase); url != "" {
		fmt.Fprintln(os.Stderr, child(url, os.Stdout))
		os.Exit(1)
	}
	testkit.Main(m)
}

// child is a whole server over a database, until it is killed. It says where it listens.
func child(url string, out io.Writer) error {
	settings, err := config.Development(nil, url, api.Secret)
	if err != nil {
		return err
	}
	settings.WhatsAppURL, settings.Outbox, settings.Waitlist = os.Getenv(childWhatsApp), false, false
	settings.Maintain.On = false
	key, err := auth.LoadOrCreateDevKey(filepath.Join(os.TempDir(), "taskmed-messaging-child.pem"))
	if err != nil {
		return err
	}
	ctx := context.Background()
	a, err := app.New(ctx, settings, app.Options{DevKey: key, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	var listeners [2]net.Listener
	for n := range listeners {
		if listeners[n], err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(out, listeners[0].Addr()); err != nil {
		return err
	}
	return a.Serve(ctx, listeners[0], listeners[1])
}
