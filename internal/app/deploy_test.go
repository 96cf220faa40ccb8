package app_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
)

var deploy = filepath.Join("..", "..", "deploy") //nolint:gochecknoglobals // where what is tested here lies

func readYAML(t *testing.T, into any, path ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{deploy}, path...)...))
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalWithOptions(text, into, yaml.Strict()), "%v", path)
}

// What the compose file mounts is there, is of a named version, and is reached
// from this machine alone.
func TestDeploy_ComposeStartsPrometheusAndGrafanaSetUp(t *testing.T) {
	t.Parallel()
	var compose struct {
		Name     string
		Services map[string]struct {
			Image       string
			NetworkMode string `yaml:"network_mode"`
			Restart     string
			DependsOn   []string `yaml:"depends_on"`
			Command     []string
			Environment map[string]string
			Volumes     []string
		}
		Volumes map[string]any
	}
	readYAML(t, &compose, "compose.observability.yml")
	require.Len(t, compose.Services, 2)
	mounts := map[string]string{}
	for name, service := range compose.Services {
		require.Regexp(t, `^[a-z]+/[a-z]+:v?\d+\.\d+\.\d+$`, service.Image, name)
		require.Equal(t, "host", service.NetworkMode, "the admin listener is on loopback")
		for _, volume := range service.Volumes {
			source, target, found := strings.Cut(volume, ":")
			require.True(t, found, volume)
			if !strings.HasPrefix(source, ".") {
				require.Contains(t, compose.Volumes, source)
				continue
			}
			require.True(t, strings.HasSuffix(target, ":ro"), volume)
			mounts[strings.TrimSuffix(target, ":ro")] = source
			info, err := os.Stat(filepath.Join(deploy, source))
			require.NoError(t, err)
			require.True(t, info.IsDir(), source)
		}
	}
	require.Contains(t, compose.Services["prometheus"].Command, "--web.listen-address=127.0.0.1:9091")
	grafana := compose.Services["grafana"].Environment
	require.Equal(t, "127.0.0.1", grafana["GF_SERVER_HTTP_ADDR"])
	require.Contains(t, grafana["GF_SECURITY_ADMIN_PASSWORD"], ":?", "no password of ours")

	// The data source is Prometheus as it is started, the dashboards are where they are mounted.
	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			IsDefault                    bool           `yaml:"isDefault"`
			JSONData                     map[string]any `yaml:"jsonData"`
		}
	}
	readYAML(t, &sources, "grafana", "provisioning", "datasources", "prometheus.yml")
	require.Equal(t, "http://127.0.0.1:9091", sources.Datasources[0].URL)
	var providers struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Folder, Type string
			DisableDeletion    bool `yaml:"disableDeletion"`
			AllowUIUpdates     bool `yaml:"allowUiUpdates"`
			Options            struct{ Path string }
		}
	}
	readYAML(t, &providers, "grafana", "provisioning", "dashboards", "taskmed.yml")
	require.Equal(t, "./grafana/dashboards", mounts[providers.Providers[0].Options.Path])
	require.Equal(t, "./grafana/provisioning", mounts["/etc/grafana/provisioning"])
	home, inDashboards := strings.CutPrefix(grafana["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"], providers.Providers[0].Options.Path)
	require.True(t, inDashboards)
	require.FileExists(t, filepath.Join(deploy, "grafana", "dashboards", home))

	promtool, env, err := devstack.Promtool(t.Context(), devstack.FromEnv(os.Getenv))
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), promtool, "check", "config", filepath.Join(deploy, "prometheus", "prometheus.yml"))
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "1 rule files found")
}

// Every metric that a dashboard asks for is one that a server has, by a label that it has.
func TestDeploy_DashboardsAskForWhatThereIs(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	server := api.NewServer(t, d, api.WithRedis(d))
	labels := map[string][]string{}
	for _, metric := range server.App.Telemetry().Metrics() {
		labels[metric.Name] = metric.Labels
	}
	runtime := operator(t, server, "/metrics")
	recorded, err := os.ReadFile(filepath.Join(deploy, "prometheus", "rules.yml"))
	require.NoError(t, err)
	name := regexp.MustCompile(`\b(?:taskmed|go|process)_[a-z_]+|taskmed:[a-z0-9_:]+`)
	by := regexp.MustCompile(`by \(([a-z_, ]+)\)`)
	ending := regexp.MustCompile(`_(bucket|sum|count)$`)

	files, err := filepath.Glob(filepath.Join(deploy, "grafana", "dashboards", "*.json"))
	require.NoError(t, err)
	require.Len(t, files, 2)
	uids := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var dashboard struct {
			UID, Title string
			Templating struct{ List []struct{ Name, Type string } }
			Panels     []struct {
				ID          int
				Title, Type string
				Datasource  struct{ UID string }
				Targets     []struct{ Expr, LegendFormat string }
			}
		}
		require.NoError(t, json.Unmarshal(text, &dashboard), file)
		require.False(t, uids[dashboard.UID], file)
		uids[dashboard.UID] = true
		require.Equal(t, "datasource", dashboard.Templating.List[0].Type)
		require.NotEmpty(t, dashboard.Panels)
		for _, panel := range dashboard.Panels {
			require.Equal(t, "${datasource}", panel.Datasource.UID, panel.Title)
			for _, target := range panel.Targets {
				asked := name.FindAllString(target.Expr, -1)
				require.NotEmpty(t, asked, target.Expr)
				for _, metric := range asked {
					has, ours := labels[metric]
					if base := ending.ReplaceAllString(metric, ""); !ours && labels[base] != nil {
						has, ours = append([]string{"le"}, labels[base]...), true
					}
					_, histogram := labels[ending.ReplaceAllString(metric, "")]
					switch {
					case strings.HasPrefix(metric, "taskmed:"):
						require.Contains(t, string(recorded), "record: "+metric+"\n")
					case strings.HasPrefix(metric, "taskmed_"):
						require.True(t, ours || histogram, "%s: %s", panel.Title, metric)
					default:
						require.Contains(t, runtime, "\n"+metric, panel.Title)
					}
					for _, group := range by.FindAllStringSubmatch(target.Expr, -1) {
						for label := range strings.SplitSeq(group[1], ", ") {
							if ours && label != "le" && label != "instance" {
								require.Contains(t, has, label, "%s: %s", panel.Title, target.Expr)
							}
						}
					}
				}
			}
		}
	}
}
