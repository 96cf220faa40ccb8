package devstack_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
)

// TestPromtool_KnowsGoodMetricsFromBad has it check a counter with Prometheus'
// ending and one without.
func TestPromtool_KnowsGoodMetricsFromBad(t *testing.T) {
	t.Parallel()
	path, env, err := devstack.Promtool(t.Context(), devstack.FromEnv(os.Getenv))
	require.NoError(t, err)
	check := func(name string) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), path, "check", "metrics")
		cmd.Env = append(os.Environ(), env...)
		cmd.Stdin = strings.NewReader("# HELP " + name + " Things.\n# TYPE " + name + " counter\n" + name + " 1\n")
		return cmd.CombinedOutput()
	}
	out, err := check("things_total")
	require.NoError(t, err, "%s", out)
	out, err = check("things")
	require.Error(t, err)
	assert.Contains(t, string(out), "_total")
}
