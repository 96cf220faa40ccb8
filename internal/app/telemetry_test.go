package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/devstack"
	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
	"github.com/taskmed/taskmed/internal/telemetry/logs"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// operator reads what the admin listener shows.
func operator(t testing.TB, server *api.Server, path string) string {
	t.Helper()
	out := httptest.NewRecorder()
	server.App.Admin().ServeHTTP(out, httptest.NewRequest(http.MethodGet, path, http.NoBody))
	require.Equal(t, http.StatusOK, out.Code, path)
	return out.Body.String()
}

// series counts the samples of /metrics, but for the Go runtime's and the process's.
func series(t testing.TB, server *api.Server) int {
	t.Helper()
	n := 0
	for line := range strings.Lines(operator(t, server, "/metrics")) {
		if strings.HasPrefix(line, "taskmed_") {
			n++
		}
	}
	return n
}

// history is what the dashboard begins with, once a snapshot satisfies.
func history(t testing.TB, server *api.Server, satisfies func(dashboard.Snapshot) bool) dashboard.Snapshot {
	t.Helper()
	var found dashboard.Snapshot
	require.Eventually(t, func() bool {
		var snapshots []dashboard.Snapshot
		require.NoError(t, json.Unmarshal([]byte(operator(t, server, "/dashboard/history.json")), &snapshots))
		for _, found = range snapshots {
			if satisfies(found) {
				return true
			}
		}
		return false
	}, time.Minute, 100*time.Millisecond)
	return found
}

func TestTelemetry_IsNotThereWhereItIsSwitchedOff(t *testing.T) {
	t.Parallel()
	world := newSeeded(t, func(settings *config.Config, _ *app.Options) { settings.Metrics = false })
	owner := world.as(t, world.aurora, "owner")
	query, variables := readQuery(t, "day_view")
	for range 2 { // computed, and kept
		owner.Must(t, query, variables, nil)
	}
	require.Nil(t, world.server.App.Telemetry())
	for _, path := range []string{"/metrics", "/dashboard"} {
		out := httptest.NewRecorder()
		world.server.App.Admin().ServeHTTP(out, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		require.Equal(t, http.StatusNotFound, out.Code, path)
	}
}

func TestMetrics_AreAsPrometheusWantsThemAndNameWhatRan(t *testing.T) {
	t.Parallel()
	world := newSeeded(t)
	owner := world.as(t, world.aurora, "owner")
	query, variables := readQuery(t, "day_view")
	owner.Must(t, query, variables, nil)
	owner.Do(t, `query DayView { nothingOfTheKind }`, nil)
	shown := operator(t, world.server, "/metrics")
	for _, wanted := range []string{
		`taskmed_operation_duration_seconds_count{operation="DayView",type="query"} 1`,
		`taskmed_field_duration_seconds_count{field="Query.appointments"} 1`,
		`taskmed_statement_duration_seconds_count{family="select appointments, contacts, practitioners"} 1`,
		`taskmed_requests_total{outcome="ok"} 1`, `taskmed_requests_total{outcome="refused"} 1`,
		`taskmed_refusals_total{kind="GRAPHQL_VALIDATION_FAILED"} 1`,
		`taskmed_clinic_requests_total{clinic="` + world.aurora.ID.String() + `"}`,
		`taskmed_build_info{`, `taskmed_pool_connections_max 20`, "go_goroutines ",
	} {
		require.Contains(t, shown, wanted)
	}
	promtool, env, err := devstack.Promtool(t.Context(), devstack.FromEnv(os.Getenv))
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Env, cmd.Stdin = append(os.Environ(), env...), strings.NewReader(shown)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, string(out))
}

// TestObservability_IsDocumented holds docs/observability.md against what there
// is, or writes it if UPDATE_GOLDEN is set.
func TestObservability_IsDocumented(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	// With all that a server does by itself, which has figures, too.
	want := api.NewServer(t, d, api.WithOutbox()).App.Telemetry().Markdown()
	file := filepath.Join("..", "..", "docs", "observability.md")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(file, want, 0o600))
	}
	have, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(have), "run make generate")
	require.NotContains(t, string(want), "unknown |")
}

// TestMetrics_DoNotGrowWithWhatClientsSend has a hostile client send 10,000
// operations, each with a name, an alias and a clinic of its own.
func TestMetrics_DoNotGrowWithWhatClientsSend(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	server := api.NewServer(t, d)
	owner := server.As(t, clinic, models.RoleOwner)
	send := func(n int) {
		for i := range n {
			name := "N" + strings.ReplaceAll(uuid.NewString(), "-", "")
			switch i % 4 {
			case 0:
				owner.In(models.KindClinic.Global(uuid.New())).Do(t, fmt.Sprintf(`query %s { viewer { subject } }`, name), nil)
			case 1:
				owner.In(name).Do(t, fmt.Sprintf(`{ %s }`, name), nil)
			default:
				owner.Do(t, fmt.Sprintf(`query %s { %s: __typename }`, name, name), nil)
			}
		}
	}
	send(200)
	before := series(t, server)
	require.Greater(t, before, 100)
	send(10_000)
	after := series(t, server)
	require.LessOrEqual(t, after-before, 10)
	// A reason that a busy machine gave for the first time is no client's doing, and
	// there are few: what clients make grow grows with every request.
	for range 5 {
		if after == before {
			break
		}
		before = after
		send(100)
		after = series(t, server)
	}
	require.Equal(t, before, after)
}

// TestTelemetry_NeverHoldsAPatientsValue plants a word in every text of a
// patient's, reads and writes and mistakes it in all ways, slowly as well, and
// looks for it in the log, the metrics, the dashboard and the spans.
func TestTelemetry_NeverHoldsAPatientsValue(t *testing.T) {
	t.Parallel()
	const canary = "Kanarienvogel"
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	var log, spans testkit.Logbook
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(&spans, r.Body)
	}))
	t.Cleanup(collector.Close)
	server := api.NewServer(t, d, api.WithLog(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))), api.WithRedis(d),
		func(settings *config.Config, _ *app.Options) {
			settings.OTLPEndpoint, settings.TraceRatio = collector.URL, 1
		})
	owner := server.As(t, clinic, models.RoleOwner)
	text := canary + " da Silva"
	contact := map[string]any{
		"name": text, "preferredName": text, "email": canary + "@example.com", "phone": "+5511987654321",
		"tags": []string{canary}, "source": text, "notes": text, "externalReference": canary,
	}
	const create = `mutation CreateContact($input: CreateContactInput!) { createContact(input: $input) { contact { id name notes } userErrors { message } } }`
	var made struct {
		CreateContact struct{ Contact struct{ ID, Name string } }
	}
	owner.Must(t, create, map[string]any{"input": contact}, &made)
	require.Equal(t, text, made.CreateContact.Contact.Name, "the canary is there to be found")
	owner.Do(t, create, map[string]any{"input": contact}) // The reference is taken.
	contact["birthDate"], contact["email"] = canary, canary
	owner.Do(t, create, map[string]any{"input": contact})
	owner.Do(t, `mutation($input: CreateMedicalRecordInput!) { createMedicalRecord(input: $input) { record { id title } userErrors { message } } }`,
		map[string]any{"input": map[string]any{
			"contactId": made.CreateContact.Contact.ID, "practitionerId": models.KindPractitioner.Global(clinic.Practitioners[0]),
			"kind": "EVOLUTION", "title": text, "body": text, "data": map[string]any{canary: canary},
		}})
	for _, query := range []string{
		`{ searchContacts(query: "` + canary + `", first: 3) { nodes { name } } }`,
		`{ contact(id: "` + canary + `") { name } }`, `{ contacts(first: 1, after: "` + canary + `") { nodes { name } } }`,
		`{ contacts(first: 3) { nodes { name notes tags ` + canary + ` } } }`, `{ "` + canary + `" }`, `{ contact(id: "` + canary,
		`mutation { createContact(input: {name: "` + canary + `\u0000"}) { userErrors { message } } }`,
		// By way of the look-ahead, at one place and at two.
		`{ contacts(first: 3) { nodes { name appointments(first: 1) { nodes { contact { name } } } } } }`,
		`{ contacts(first: 3) { nodes { name lastAppointment { id } } edges { node { name lastAppointment { id } } } } }`,
	} {
		owner.Do(t, query, nil)
	}
	untilHit(t, owner, `{ clinic { name } }`, nil)
	// Slowly: a table is locked, and what waits for it gives up or takes its time.
	conn := d.Connect(t, d.SuperuserURL)
	_, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE contacts IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	waited := make(chan *api.Response, 1)
	go func() {
		waited <- owner.Do(t, `{ searchContacts(query: "`+canary+`", first: 3) { nodes { name notes } } }`, nil)
	}()
	require.Eventually(t, func() bool {
		return d.Count(t, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") > 0
	}, 10*time.Second, 10*time.Millisecond)
	<-time.After(150 * time.Millisecond)
	_, err = conn.Exec(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	require.Contains(t, string((<-waited).Body), canary)

	slow := history(t, server, func(s dashboard.Snapshot) bool { return len(s.SlowStatements) > 0 && s.SlowStatements[0].P95 > 100 })
	require.Contains(t, slow.SlowStatements[0].Family, "contacts")
	require.Contains(t, log.String(), `"msg":"slow operation"`)
	require.Contains(t, log.String(), `"msg":"request"`)
	metrics, kept := operator(t, server, "/metrics"), operator(t, server, "/dashboard/history.json")
	plans := ""
	for _, statement := range slow.SlowStatements {
		if statement.Statement != "" {
			plans += operator(t, server, "/dashboard/plan.json?statement="+statement.Statement)
		}
	}
	require.Contains(t, plans, "Index Cond: (clinic_id = ")
	server.App.Close() // The spans that wait are sent.
	require.Contains(t, spans.String(), "mutation CreateContact")
	for _, part := range []string{
		"insert contacts", "select contacts", "execute", "load Contact.appointments", "load Contact.lastAppointment", "taskmed.cache.outcome", "first seen", "redis ", "HGET", "EVALSHA",
	} {
		require.Contains(t, spans.String(), part)
	}
	for where, written := range map[string]string{"log": log.String(), "metrics": metrics, "dashboard": kept, "plans": plans, "spans": spans.String()} {
		require.NotEmpty(t, written)
		require.NotContains(t, strings.ToLower(written), strings.ToLower(canary), where)
		require.NotContains(t, written, "987654321", where)
	}
	requireDocumented(t, log.String())
}

// requireDocumented holds the fields of a log's lines against those that
// docs/observability.md lists.
func requireDocumented(t *testing.T, log string) {
	t.Helper()
	documented := map[string]bool{}
	for _, field := range logs.Fields() {
		for name := range strings.SplitSeq(field.Name, ", ") {
			documented[name] = true
		}
	}
	for line := range strings.Lines(log) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		if fields["request_id"] == nil {
			continue
		}
		for name := range fields {
			require.True(t, documented[name], "%s: %s", name, line)
		}
		if fields["msg"] == "request" && fields["operation"] != nil {
			for _, name := range []string{"clinic_id", "status", "took", "statements", "cost", "trace_id"} {
				require.Contains(t, fields, name, line)
			}
		}
	}
}

// TestAlerts_ShowWithinFifteenSeconds locks the diary, so that requests fail.
func TestAlerts_ShowWithinFifteenSeconds(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	var posted testkit.Logbook
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(&posted, r.Body) }))
	t.Cleanup(hook.Close)
	var log testkit.Logbook
	server := api.NewServer(t, d, api.WithLog(slog.New(slog.NewJSONHandler(&log, nil))), func(settings *config.Config, _ *app.Options) {
		settings.StatementTimeout, settings.AlertWebhook = 300*time.Millisecond, hook.URL
	})
	owner := server.As(t, clinic, models.RoleOwner)
	conn := d.Connect(t, d.SuperuserURL)
	_, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE services IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	began := time.Now()
	var asking sync.WaitGroup
	for range 15 {
		asking.Go(func() { owner.Do(t, `query Viewer { clinic { services { nodes { name } } } }`, nil) })
	}
	asking.Wait()
	seen := history(t, server, func(s dashboard.Snapshot) bool { return len(s.Alerts.Active) >= 2 })
	if testkit.Timed() {
		require.Less(t, time.Since(began), 15*time.Second)
	}
	names := map[string]bool{}
	for _, alert := range seen.Alerts.Active {
		names[alert.Name] = true
	}
	require.True(t, names["Errors"] && names["ResponseTime"], "%v", seen.Alerts.Active)
	require.Equal(t, clinic.ID.String(), seen.Clinics[0].ID)
	require.EqualValues(t, 15, seen.Requests.Failed)
	require.Contains(t, operator(t, server, "/metrics"), `taskmed_alert_active{alert="Errors"} 1`)
	require.Contains(t, log.String(), `"msg":"alert","alert":"Errors","subject":"","state":"active"`)
	require.Eventually(t, func() bool { return strings.Contains(posted.String(), `"name":"Errors"`) }, 5*time.Second, 10*time.Millisecond)
}
