package telemetry

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
	"github.com/taskmed/taskmed/internal/telemetry/alerts"
	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
)

// golden compares a file that is generated from this package, or writes it if
// UPDATE_GOLDEN is set.
func golden(t *testing.T, want []byte, path ...string) {
	t.Helper()
	file := filepath.Join(append([]string{"..", ".."}, path...)...)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, want, 0o644))
	}
	have, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(have), "run make generate")
}

func TestPrometheusRules_AreTheDeployedOnesAndAlert(t *testing.T) {
	t.Parallel()
	golden(t, alerts.PrometheusRules(), "deploy", "prometheus", "rules.yml")
	promtool, env, err := devstack.Promtool(t.Context(), devstack.FromEnv(os.Getenv))
	require.NoError(t, err)
	for _, arguments := range [][]string{{"check", "rules", "rules.yml"}, {"test", "rules", "rules_test.yml", "rules_days_test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, arguments...)
		cmd.Dir = filepath.Join("..", "..", "deploy", "prometheus")
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}

func TestGrafanaDashboard_IsTheDeployedOneAndAsksForWhatThereIs(t *testing.T) {
	t.Parallel()
	shown, err := dashboard.Grafana()
	require.NoError(t, err)
	golden(t, shown, "deploy", "grafana", "dashboards", "taskmed.json")
	parts, err := dashboard.GrafanaParts() // Its metrics are other packages': internal/app's tests look for them.
	require.NoError(t, err)
	golden(t, parts, "deploy", "grafana", "dashboards", "taskmed-parts.json")
	there := map[string]bool{}
	for _, metric := range newTelemetry(t.Context(), Config{}).Metrics() {
		there[metric.Name] = true
	}
	name := regexp.MustCompile(`taskmed_[a-z_]+`)
	ending := regexp.MustCompile(`_(bucket|sum|count)$`)
	asked := name.FindAllString(string(shown), -1) // The rules are for other packages' as well: likewise.
	require.NotEmpty(t, asked)
	for _, metric := range asked {
		require.True(t, there[metric] || there[ending.ReplaceAllString(metric, "")], metric)
	}
}
