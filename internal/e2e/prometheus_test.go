package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
)

// sampled is a line of /metrics; typed tells what its family is.
var (
	sampled = regexp.MustCompile(`^(taskmed_[a-z_]+)(\{.*\})? (\S+)$`)
	typed   = regexp.MustCompile(`^# TYPE (taskmed_[a-z_]+) (\w+)$`)
)

// requireRuleFires has Prometheus look at what a server showed, twice, and
// again and again as it would if it went on like this, and wants its deployed
// rules to come to what is asked for.
func requireRuleFires(t *testing.T, before, after, wanted string) {
	t.Helper()
	rules, err := filepath.Abs(filepath.Join("..", "..", "deploy", "prometheus", "rules.yml"))
	require.NoError(t, err)
	read, err := os.ReadFile(rules)
	require.NoError(t, err)
	had, _ := samples(before)
	has, kinds := samples(after)
	var text strings.Builder
	fmt.Fprintf(&text, "rule_files: [%q]\nevaluation_interval: 10s\ntests:\n  - interval: 10s\n    input_series:\n", rules)
	for name, value := range has {
		if metric, _, _ := strings.Cut(name, "{"); !strings.Contains(string(read), metric) {
			continue // No rule asks for it.
		}
		grows := 0.0
		if kinds[name] != "gauge" {
			grows = value - had[name]
		}
		fmt.Fprintf(&text, "      - {series: '%s', values: '%g+%gx30'}\n", name, value, grows)
	}
	fmt.Fprintf(&text, "    promql_expr_test:\n      - {expr: 'count(%s)', eval_time: 4m, exp_samples: [{labels: '{}', value: 1}]}\n", wanted)
	file := filepath.Join(t.TempDir(), "shown.yml")
	require.NoError(t, os.WriteFile(file, []byte(text.String()), 0o600))
	promtool, env, err := devstack.Promtool(t.Context(), devstack.FromEnv(os.Getenv))
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), promtool, "test", "rules", file)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// samples are the values of /metrics by series, and the kinds of those.
func samples(shown string) (values map[string]float64, kinds map[string]string) {
	values, kinds = map[string]float64{}, map[string]string{}
	kind := ""
	for line := range strings.Lines(shown) {
		line = strings.TrimSuffix(line, "\n")
		if found := typed.FindStringSubmatch(line); found != nil {
			kind = found[2]
		}
		if found := sampled.FindStringSubmatch(line); found != nil {
			if value, err := strconv.ParseFloat(found[3], 64); err == nil {
				values[found[1]+found[2]], kinds[found[1]+found[2]] = value, kind
			}
		}
	}
	return values, kinds
}
