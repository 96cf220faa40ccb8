package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Promtool returns Prometheus' checker of metrics and rules, and the environment
// to add for it: the system's if it has one, otherwise Debian's, fetched
// without installing anything.
func Promtool(ctx context.Context, opts Options) (path string, env []string, err error) {
	if !opts.ToolsOnly {
		if path, err := exec.LookPath("promtool"); err == nil {
			return path, nil, nil
		}
	}
	tools, err := openToolbox(opts, childUser{}, opts.Log)
	if err != nil {
		return "", nil, err
	}
	program := func(root string) string { return filepath.Join(root, "usr", "bin", "promtool") }
	root, err := tools.debian(ctx, "prometheus", []string{"prometheus"}, func(root string) error {
		cmd := exec.CommandContext(ctx, program(root), "--version") //nolint:gosec // what was just fetched
		cmd.Env = append(os.Environ(), libraryPath(root))
		_, err := run(cmd, "promtool --version")
		return err
	})
	if err != nil {
		return "", nil, fmt.Errorf("no promtool is installed and none could be fetched (%w): %s", err, installHint("prometheus", "prometheus"))
	}
	return program(root), []string{libraryPath(root)}, nil
}
