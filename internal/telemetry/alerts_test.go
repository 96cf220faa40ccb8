package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/telemetry/alerts"
	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
	"github.com/taskmed/taskmed/internal/telemetry/metrics"
)

// ticking is a clock that is an interval later each time it is asked, so that
// what the tests themselves take of the processors is as little as it would be.
func ticking() func() time.Time {
	now := time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)
	return func() time.Time {
		now = now.Add(dashboard.Interval)
		return now
	}
}

// slowSchema has fields by these names on Query.
func slowSchema(names ...string) *ast.Schema {
	query := &ast.Definition{Name: "Query", Kind: ast.Object}
	for _, name := range names {
		query.Fields = append(query.Fields, &ast.FieldDefinition{Name: name})
	}
	return &ast.Schema{Types: map[string]*ast.Definition{"Query": query}}
}

func TestAlerts_NameTheSlowFieldsStatementsAndOperations(t *testing.T) {
	t.Parallel()
	schema := slowSchema("contacts", "viewer")
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	telemetry := newTelemetry(t.Context(), Config{Now: ticking(), Schema: schema, Registry: registry, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	contacts := telemetry.fields.Of(schema.Types["Query"].Fields[0])
	viewer := telemetry.fields.Of(schema.Types["Query"].Fields[1])
	statement := telemetry.statements.Of("SELECT id FROM contacts WHERE clinic_id = $1")
	active := func() []string {
		names := []string{}
		for _, alert := range telemetry.sample(t.Context()).Alerts.Active {
			names = append(names, alert.Name+" "+alert.Subject)
		}
		return names
	}
	for range alerts.FewestCalls - 1 {
		contacts.Count(200*time.Millisecond, false)
	}
	require.Empty(t, active(), "four tell nothing")
	for range alerts.FewestCalls {
		contacts.Count(200*time.Millisecond, false)
		viewer.Count(50*time.Millisecond, false)
		statement.Count(300*time.Millisecond, false, "")
		telemetry.operations.Of(metrics.Other, "query").End(250*time.Millisecond, false, "", &metrics.Shares{})
	}
	wanted := []string{"SlowOperation query other", "SlowField Query.contacts", "SlowStatement select contacts"}
	require.Equal(t, wanted, active())
	require.Contains(t, log.String(), `"msg":"alert","alert":"SlowField","subject":"Query.contacts","state":"active"`)
	for range alerts.FewestCalls {
		viewer.Count(time.Second, false)
	}
	require.Equal(t, []string{wanted[0], wanted[1], "SlowField Query.viewer", wanted[2]}, active())
	require.InDelta(t, 2, gauge(t, registry, "taskmed_alert_active", "SlowField"), 0)
	for range alerts.Window + alerts.Calm {
		active()
	}
	require.Empty(t, active())
	require.Zero(t, gauge(t, registry, "taskmed_alert_active", "SlowField"))
	require.Len(t, telemetry.History()[len(telemetry.History())-1].Alerts.Recent, 4)
}

func TestAlerts_AreAFewWhereEverythingIsSlow(t *testing.T) {
	t.Parallel()
	names := make([]string, 40)
	for i := range names {
		names[i] = fmt.Sprintf("field%02d", i)
	}
	schema := slowSchema(names...)
	telemetry := newTelemetry(t.Context(), Config{Now: ticking(), Schema: schema})
	for range alerts.FewestCalls {
		for i, definition := range schema.Types["Query"].Fields {
			telemetry.fields.Of(definition).Count(time.Duration(200+100*i)*time.Millisecond, false)
		}
	}
	active := telemetry.sample(t.Context()).Alerts.Active
	require.Len(t, active, alerts.MostOfRule)
	require.Contains(t, []string{"Query.field39", "Query.field38", "Query.field37"}, active[len(active)-1].Subject, "the worst are among them")
}

func gauge(t *testing.T, registry *prometheus.Registry, name, alert string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name && metric.GetLabel()[0].GetValue() == alert {
				return metric.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no %s of %s", name, alert)
	return 0
}

func TestPlan_IsMadeForTheBusiestClinicAndForKnownStatementsAlone(t *testing.T) {
	t.Parallel()
	telemetry := newTelemetry(t.Context(), Config{})
	busy := uuid.New()
	var asked []string
	telemetry.Watch(Servers{Plan: func(_ context.Context, clinic uuid.UUID, sql string) (string, error) {
		asked = append(asked, clinic.String()+" "+sql)
		return "Seq Scan", nil
	}})
	const sql = "SELECT id, name FROM contacts WHERE clinic_id = $1"
	serve(telemetry, uuid.New(), "", status(http.StatusOK))
	for range 2 {
		serve(telemetry, busy, "", asks(telemetry.Tracer(), sql, nil))
		serve(telemetry, busy, "", asks(telemetry.Tracer(), "BEGIN", nil))
	}
	_, err := telemetry.Plan(t.Context(), "x")
	require.ErrorIs(t, err, ErrNoPlan)
	snapshot := telemetry.sample(t.Context())
	for _, statement := range snapshot.SlowOperations[0].Statements {
		plan, err := telemetry.Plan(t.Context(), statement.Statement)
		if statement.Name == "BEGIN" {
			require.Empty(t, statement.Statement)
			require.ErrorIs(t, err, ErrNoPlan)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, "Seq Scan", plan)
	}
	require.Equal(t, []string{busy.String() + " " + sql}, asked)
	_, err = telemetry.Plan(t.Context(), sql)
	require.ErrorIs(t, err, ErrNoPlan, "a statement is asked for by its id alone")
}
