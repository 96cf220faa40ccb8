// Command teststack starts one Postgres and one Redis for all packages' tests,
// runs the command it is given with their addresses in its environment, and
// stops them: `go run ./internal/testkit/teststack go test ./...`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/taskmed/taskmed/internal/testkit"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:]))
}

func run(ctx context.Context, command []string) int {
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "usage: teststack COMMAND [ARG…]")
		return 2
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	servers, stopServers, err := testkit.StartServers(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "teststack:", err)
		return 1
	}
	defer func() {
		if err := stopServers(); err != nil {
			fmt.Fprintln(os.Stderr, "teststack:", err)
		}
	}()
	// Programs and files of tests, which are as short-lived, lie beside the servers.
	folder := filepath.Join(servers.Folder, "tmp")
	if err := os.Mkdir(folder, 0o711); err != nil { //nolint:gosec // servers that tests start are not root's, and pass through
		fmt.Fprintln(os.Stderr, "teststack:", err)
		return 1
	}
	child := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // running the command it is given is its purpose
	child.Cancel = func() error { return child.Process.Signal(os.Interrupt) }
	child.WaitDelay = 10 * time.Second
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.Env = append(os.Environ(), "TMPDIR="+folder,
		testkit.EnvSuperuserURL+"="+servers.SuperuserURL, testkit.EnvOwnerURL+"="+servers.OwnerURL,
		testkit.EnvAppURL+"="+servers.AppURL, testkit.EnvRedisURL+"="+servers.RedisURL)
	err = child.Run()
	var exited *exec.ExitError
	switch {
	case errors.As(err, &exited):
		return max(exited.ExitCode(), 1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "teststack:", err)
		return 1
	}
	return 0
}
