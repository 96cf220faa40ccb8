package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/taskmed/taskmed/internal/telemetry/alerts"
	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
	"github.com/taskmed/taskmed/internal/telemetry/logs"
	"github.com/taskmed/taskmed/internal/telemetry/metrics"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// serve answers one request of a clinic's through the telemetry, as the API does.
func serve(t *Telemetry, clinic uuid.UUID, name string, answer func(ctx context.Context, w http.ResponseWriter), headers ...string) http.Header {
	out, in := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/graphql", http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		in.Header.Set(headers[i], headers[i+1])
	}
	w, ctx, end := t.Begin(out, in)
	defer end()
	ctx = tenant.With(ctx, &tenant.Scope{Subject: "s", ClinicID: clinic})
	op := &graphql.OperationContext{Operation: &ast.OperationDefinition{Name: name, Operation: ast.Query}}
	_ = extension{t}.MutateOperationContext(ctx, op)
	answer(ctx, w)
	return out.Header()
}

func status(code int) func(context.Context, http.ResponseWriter) {
	return func(_ context.Context, w http.ResponseWriter) { w.WriteHeader(code) }
}

func asks(tracer pgx.QueryTracer, sql string, err error) func(context.Context, http.ResponseWriter) {
	return func(ctx context.Context, w http.ResponseWriter) {
		tracer.TraceQueryEnd(tracer.TraceQueryStart(ctx, nil, pgx.TraceQueryStartData{SQL: sql}), nil, pgx.TraceQueryEndData{Err: err})
		w.WriteHeader(http.StatusOK)
	}
}

func countSeries(t *testing.T, registry *prometheus.Registry) int {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	n := 0
	for _, family := range families {
		n += len(family.GetMetric())
	}
	return n
}

func TestSeries_AreAsManyForTenThousandClinicsAsForAThousand(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	telemetry := newTelemetry(t.Context(), Config{Registry: registry, Known: func(op *graphql.OperationContext) (string, bool) {
		return "Day", op.Operation.Name == "Day"
	}})
	hostile := func(n int) {
		for i := range n {
			serve(telemetry, uuid.New(), uuid.NewString(), asks(telemetry.Tracer(), "SELECT "+uuid.NewString()+" FROM contacts", nil))
			serve(telemetry, uuid.New(), "Day", status(http.StatusOK+i%2*300))
		}
	}
	hostile(metrics.MaxClinics)
	before := countSeries(t, registry)
	hostile(10_000)
	require.Equal(t, before, countSeries(t, registry))
	snapshot := telemetry.sample(t.Context())
	require.Len(t, snapshot.Clinics, mostClinics)
	require.Equal(t, metrics.Other, snapshot.Clinics[0].ID)
	require.Len(t, snapshot.SlowOperations, 2)
	require.EqualValues(t, 22_000, snapshot.Requests.Count)
}

func TestOutcomes_TellTheServersFaultsFromTheClients(t *testing.T) {
	t.Parallel()
	for name, example := range map[string]struct {
		codes    []models.Code
		status   int
		canceled bool
		outcome  metrics.Outcome
		kind     string
	}{
		"fine":                       {status: 200, outcome: metrics.OK},
		"not changed":                {status: 304, outcome: metrics.OK},
		"a mistake":                  {codes: []models.Code{models.BadUserInput}, status: 200, outcome: metrics.Refused, kind: "BAD_USER_INPUT"},
		"a fault among mistakes":     {codes: []models.Code{models.BadUserInput, models.Internal, models.Forbidden}, status: 200, outcome: metrics.Failed, kind: "INTERNAL"},
		"no token":                   {status: 401, outcome: metrics.Refused, kind: "UNAUTHENTICATED"},
		"too large":                  {status: 413, outcome: metrics.Refused, kind: "BODY_TOO_LARGE"},
		"broken before anything":     {status: 500, outcome: metrics.Failed, kind: "INTERNAL"},
		"a code that nobody knows":   {codes: []models.Code{"MADE_UP"}, status: 200, outcome: metrics.Refused, kind: "other"},
		"the client left":            {codes: []models.Code{models.Unavailable}, status: 503, canceled: true, outcome: metrics.Canceled, kind: "CANCELED"},
		"broken and the client left": {codes: []models.Code{models.Internal}, status: 200, canceled: true, outcome: metrics.Failed, kind: "INTERNAL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &request{}
			for _, code := range example.codes {
				r.note(code)
			}
			outcome, kind := r.conclude(example.status, example.canceled)
			require.Equal(t, example.kind, kind)
			require.Equal(t, example.outcome, outcome)
		})
	}
}

func TestAlerts_BeginEndAndAreRemembered(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)
	posted := make(chan dashboard.Alert, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var alert dashboard.Alert
		_ = json.NewDecoder(r.Body).Decode(&alert)
		posted <- alert
	}))
	t.Cleanup(hook.Close)
	var log bytes.Buffer
	telemetry := newTelemetry(t.Context(), Config{
		Now: func() time.Time { return now }, WebhookURL: hook.URL, Log: slog.New(slog.NewJSONHandler(&log, nil)),
	})
	t.Cleanup(telemetry.Close)
	inUse, redis := int32(19), errors.New("redis://user:secret@host is down")
	telemetry.Watch(Servers{
		Pool:  func() metrics.PoolFigures { return metrics.PoolFigures{Max: 20, InUse: inUse} },
		Redis: func(context.Context) error { return redis },
	})
	tick := func() []string {
		now = now.Add(dashboard.Interval)
		names := []string{}
		for _, alert := range telemetry.sample(t.Context()).Alerts.Active {
			names = append(names, alert.Name)
		}
		return names
	}
	require.Equal(t, []string{"Redis"}, tick(), "one look at the pool may be chance")
	require.Equal(t, []string{"Pool", "Redis"}, tick())
	first := <-posted
	require.Equal(t, "Redis", first.Name)
	require.Nil(t, first.Until)
	require.Equal(t, "Pool", (<-posted).Name)
	inUse, redis = 3, nil
	for range alerts.Calm - 1 {
		require.Equal(t, []string{"Pool", "Redis"}, tick(), "calm for a moment is not over")
	}
	require.Empty(t, tick())
	ended := telemetry.History()[len(telemetry.History())-1].Alerts.Recent
	require.Len(t, ended, 2)
	require.Equal(t, now, *ended[0].Until)
	require.InDelta(t, 0.95, ended[1].Value+ended[0].Value, 1e-9, "the worst of the pool, and Redis down")
	require.NotNil(t, (<-posted).Until)
	require.NotContains(t, log.String(), "secret")
	for range int(dashboard.Kept/dashboard.Interval) + 1 {
		tick()
	}
	require.Empty(t, telemetry.History()[len(telemetry.History())-1].Alerts.Recent)
}

func TestAlerts_JudgeRequestsByTheLastTenSeconds(t *testing.T) {
	t.Parallel()
	telemetry := newTelemetry(t.Context(), Config{Now: ticking()})
	active := func() string {
		names := ""
		for _, alert := range telemetry.sample(t.Context()).Alerts.Active {
			names += alert.Name + " "
		}
		return names
	}
	for range alerts.FewestRequests - 1 {
		serve(telemetry, uuid.New(), "", status(http.StatusInternalServerError))
	}
	require.Empty(t, active(), "nine tell nothing")
	for range 500 {
		serve(telemetry, uuid.New(), "", status(http.StatusOK))
	}
	require.Empty(t, active(), "nine of 509 are below 2 %")
	for range 20 {
		telemetry.requests.Meter().Observe(150*time.Millisecond, true)
	}
	require.Equal(t, "Errors ", active())
	for range 100 {
		telemetry.requests.Meter().Observe(150*time.Millisecond, false)
	}
	require.Equal(t, "ResponseTime Errors ", active())
}

func TestAlerts_AColdCacheIsNoAlertButAPoorOneIs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)
	telemetry := newTelemetry(t.Context(), Config{Now: func() time.Time { return now }})
	read := func(hits, misses int) dashboard.Snapshot {
		for i := range hits + misses {
			header := "taskmed; hit"
			if i >= hits {
				header = `taskmed; fwd=miss; detail="expired"`
			}
			serve(telemetry, uuid.New(), "", func(_ context.Context, w http.ResponseWriter) { w.Header().Set("Cache-Status", header) })
		}
		now = now.Add(dashboard.Interval)
		return telemetry.sample(t.Context())
	}
	require.Empty(t, read(0, 200).Alerts.Active)
	for range metrics.Minute {
		require.Empty(t, read(0, 0).Alerts.Active)
	}
	require.Empty(t, read(95, 5).Alerts.Active)
	snapshot := read(40, 60)
	require.Len(t, snapshot.Alerts.Active, 1)
	require.Equal(t, "CacheHits", snapshot.Alerts.Active[0].Name)
	require.InDelta(t, 0.4, *snapshot.Cache.HitRate, 1e-9)
	require.Equal(t, []dashboard.Count{{Name: "expired", Count: 60}}, snapshot.Cache.MissesBy)
}

func TestSpans_ContinueTheClientsTraceAndTellItTheirs(t *testing.T) {
	t.Parallel()
	spans, registry := tracetest.NewInMemoryExporter(), prometheus.NewRegistry()
	var log bytes.Buffer
	telemetry := newTelemetry(t.Context(), Config{Spans: spans, TraceRatio: 1, Registry: registry, Log: logs.Logger(slog.New(slog.NewJSONHandler(&log, nil)))})
	const client = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	answer := serve(telemetry, uuid.New(), "Day", asks(telemetry.Tracer(), "SELECT name FROM contacts WHERE name = 'Maria'", io.EOF), "traceparent", client)
	require.NoError(t, telemetry.Flush(t.Context()))
	// A client that says it was not sampled is believed.
	require.Empty(t, spans.GetSpans())
	require.Empty(t, answer.Get("Traceresponse"))

	answer = serve(telemetry, uuid.New(), "Day", asks(telemetry.Tracer(), "SELECT name FROM contacts WHERE name = 'Maria'", io.EOF),
		"traceparent", strings.TrimSuffix(client, "00")+"01")
	require.NoError(t, telemetry.Flush(t.Context()))
	made := spans.GetSpans()
	require.Len(t, made, 2)
	require.Equal(t, "select contacts", made[0].Name)
	require.Equal(t, "query other", made[1].Name)
	require.Equal(t, made[1].SpanContext.SpanID(), made[0].Parent.SpanID())
	require.Equal(t, "b7ad6b7169203331", made[1].Parent.SpanID().String())
	require.Equal(t, "00-0af7651916cd43dd8448eb211c80319c-"+made[1].SpanContext.SpanID().String()+"-01", answer.Get("Traceresponse"))
	require.Contains(t, log.String(), `"trace_id":"0af7651916cd43dd8448eb211c80319c"`)
	families, err := registry.Gather()
	require.NoError(t, err)
	exemplars := 0
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, bucket := range metric.GetHistogram().GetBucket() {
				if bucket.GetExemplar() != nil {
					exemplars++
				}
			}
		}
	}
	require.GreaterOrEqual(t, exemplars, 3, "of the request, the operation and the statement")
}

func TestMiddleware_WithoutTracesTakesNoSpan(t *testing.T) {
	t.Parallel()
	telemetry := newTelemetry(t.Context(), Config{})
	header := serve(telemetry, uuid.New(), "", status(http.StatusOK), "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	require.Empty(t, header.Get("Traceresponse"))
}

func TestMiddleware_CountsAPanicAndLetsItPass(t *testing.T) {
	t.Parallel()
	telemetry := newTelemetry(t.Context(), Config{})
	require.PanicsWithValue(t, "x", func() {
		serve(telemetry, uuid.New(), "", func(context.Context, http.ResponseWriter) { panic("x") })
	})
	snapshot := telemetry.sample(t.Context())
	require.EqualValues(t, 1, snapshot.Requests.Failed)
	require.Zero(t, snapshot.Requests.InFlight)
}

func TestOperations_TellWhereTheirTimeWent(t *testing.T) {
	t.Parallel()
	telemetry := newTelemetry(t.Context(), Config{Known: func(op *graphql.OperationContext) (string, bool) { return op.Operation.Name, true }})
	for range 3 {
		serve(telemetry, uuid.New(), "Day", asks(telemetry.Tracer(), "SELECT id FROM appointments WHERE day = $1", nil))
	}
	snapshot := telemetry.sample(t.Context())
	require.Equal(t, "Day", snapshot.SlowOperations[0].Name)
	require.Len(t, snapshot.SlowOperations[0].Statements, 1)
	require.Equal(t, "SELECT … FROM appointments WHERE day = ?", snapshot.SlowOperations[0].Statements[0].Name)
	require.EqualValues(t, 3, snapshot.SlowOperations[0].Statements[0].Count)
	require.Equal(t, "select appointments", snapshot.SlowStatements[0].Family)
	require.Positive(t, snapshot.Process.MemoryBytes)
	require.Positive(t, snapshot.Process.MemoryLimitBytes)
	for range metrics.Minute {
		snapshot = telemetry.sample(t.Context())
	}
	require.Empty(t, snapshot.SlowOperations, "a minute later")
}
