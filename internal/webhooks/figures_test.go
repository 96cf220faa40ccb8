package webhooks_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/internal/webhooks"
)

// idle has the server send nothing.
func idle(settings *config.Config, _ *app.Options) { settings.Outbox = false }

// overdue is what the figures say now.
func (w *world) overdue() float64 {
	w.t.Helper()
	var seconds float64
	require.NoError(w.t, w.d.Connect(w.t, w.d.AppURL).QueryRow(w.t.Context(), "SELECT overdue FROM webhook_figures()").Scan(&seconds))
	return seconds
}

func TestFigures_TellWhatTheSenderDoesNotComeTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, idle)
	near := func(seconds float64) {
		t.Helper()
		require.InDelta(t, seconds+20, w.overdue(), 20)
	}
	calm := func(why string) {
		t.Helper()
		require.Zero(t, w.overdue(), why)
	}
	calm("there is no endpoint")
	w.must("http://127.0.0.1:1024/hook", "CONTACT_CREATED")
	calm("it begins with what happens from now on")
	w.contact()
	w.settle()
	w.d.Exec(t, "UPDATE changes SET stamped_at = now() - interval '100 seconds' WHERE clinic_id = $1", w.clinic.ID)
	near(100) // nobody has looked at it

	w.d.Exec(t, "UPDATE webhook_lanes SET cursor = (SELECT last FROM counters WHERE name = 'changes' AND clinic_id = $1)", w.clinic.ID)
	calm("it was looked at")
	deliver := func(back int, entity, due string) {
		t.Helper()
		w.d.Exec(t, `INSERT INTO webhook_deliveries (clinic_id, id, endpoint_id, position, round, event, change_id, entity_kind, entity_id, at, stamped_at, next_attempt_at)
			SELECT l.clinic_id, gen_random_uuid(), l.endpoint_id, l.cursor - $1, 0, 'contact.created', gen_random_uuid(), 'contact', md5($2)::uuid, now(), now(), now() + $3::interval FROM webhook_lanes l`, back, entity, due)
	}
	deliver(2, "a", "1 hour")
	calm("it is to be tried later")
	deliver(1, "a", "-300 seconds")
	calm("it waits for the one before it, of the same entity")
	deliver(0, "b", "-200 seconds")
	near(200)
	w.d.Exec(t, "UPDATE webhook_lanes SET failures = 10, failing_since = now(), probe_at = now() + interval '1 minute'")
	calm("an endpoint that takes nothing is tried when its time has come")
	w.d.Exec(t, "UPDATE webhook_lanes SET probe_at = now() - interval '50 seconds'")
	near(50)
	w.d.Exec(t, "UPDATE webhook_lanes SET failures = 0, failing_since = NULL, probe_at = NULL")
	w.d.Exec(t, "UPDATE webhook_endpoints SET active = false, paused_at = now(), pause_reason = 'x'")
	calm("it is paused")
	w.d.Exec(t, "UPDATE webhook_endpoints SET active = true, paused_at = NULL, pause_reason = NULL")
	near(200)
	w.d.Exec(t, "UPDATE webhook_lanes SET cursor = 0")
	calm("what is sent again is not late")
}

// The figure is that of the server that sends, though its turns hang.
func TestFigures_AreShownByWhoSends(t *testing.T) {
	t.Parallel()
	w := newWorld(t, idle)
	w.must("http://127.0.0.1:1024/hook", "CONTACT_CREATED")
	w.contact()
	w.settle()
	w.d.Exec(t, "UPDATE changes SET stamped_at = now() - interval '100 seconds' WHERE clinic_id = $1", w.clinic.ID)
	hangs, err := w.d.Connect(t, w.d.SuperuserURL).Begin(t.Context())
	require.NoError(t, err)
	_, err = hangs.Exec(t.Context(), "SELECT FROM webhook_lanes FOR UPDATE")
	require.NoError(t, err)
	sends := api.NewServer(t, w.d, api.WithWebhooks(webhooks.SenderConfig{}))
	shown := regexp.MustCompile(`(?m)^taskmed_webhook_oldest_overdue_seconds ([0-9.e+]+)$`)
	require.Eventually(t, func() bool {
		out := httptest.NewRecorder()
		sends.App.Admin().ServeHTTP(out, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
		found := shown.FindStringSubmatch(out.Body.String())
		if found == nil {
			return false
		}
		seconds, err := strconv.ParseFloat(found[1], 64)
		return err == nil && seconds >= 100
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, hangs.Rollback(t.Context()))
}
