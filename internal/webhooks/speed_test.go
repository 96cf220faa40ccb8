package webhooks_test

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

// How soon a webhook leaves after the commit, and that endpoints which never answer make
// no difference to one that does: both are printed, for no clock decides a test.
func TestSender_ADeadEndpointCostsOthersNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := newReceiver(t, nil)
	w.must(r.url, "CONTACT_CREATED")
	conn := w.d.Connect(t, w.d.SuperuserURL)
	measure := func(name string) {
		taken := make([]time.Duration, 0, 100)
		var wrote time.Duration
		for range 100 {
			n := len(r.had())
			began := time.Now() // before the commit, since its answer may come after the webhook
			_, err := conn.Exec(t.Context(), "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'Rita Lobo')", w.clinic.ID, models.NewID())
			require.NoError(t, err)
			wrote += time.Since(began)
			taken = append(taken, r.await(t, n+1)[n].at.Sub(began))
		}
		slices.Sort(taken)
		t.Logf("%s: from before the write to the receiver: median %s, p99 %s; of that the write itself %s on average", name, taken[50].Round(100*time.Microsecond), taken[98].Round(100*time.Microsecond), (wrote / 100).Round(100*time.Microsecond))
	}
	measure("alone")
	for range 5 {
		w.must("http://"+silent(t)+"/hook", "CONTACT_CREATED")
	}
	w.must("http://127.0.0.1:1024/nobody", "CONTACT_CREATED")
	measure("beside 5 endpoints that never answer and one that is not there")
	require.Len(t, r.had(), 200)
	require.Equal(t, 200, w.d.Count(t, "SELECT count(*) FROM webhook_deliveries WHERE delivered_at IS NOT NULL OR endpoint_id = (SELECT id FROM webhook_endpoints ORDER BY created_at LIMIT 1)"))
}

// silent is the address of a listener that takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

// An endpoint that takes nothing is tried less and less, and paused after its time; when
// it is asked to go on it gets all that it missed.
func TestSender_PausesWhoTakesNothingAndGoesOn(t *testing.T) {
	t.Parallel()
	sending := soon()
	sending.Patience = 3 * time.Second
	w := newWorld(t, sendingBy(sending))
	dead := true
	r := newReceiver(t, func(int, *got) int {
		if dead {
			return 500
		}
		return 200
	})
	e := w.must(r.url, "CONTACT_CREATED")
	for range 30 {
		w.contact()
	}
	require.Eventually(t, func() bool { return !w.list().WebhookEndpoints[0].Active }, time.Minute, 20*time.Millisecond)
	tried := len(r.had())
	require.Contains(t, *w.list().WebhookEndpoints[0].PauseReason, "three days")
	require.Less(t, tried, 150, "it is not hammered: some at first, and then one every 50 ms")
	r.mu.Lock()
	dead = false
	r.mu.Unlock()
	require.Empty(t, w.do("updateWebhookEndpoint", `id: "`+e.ID+`", active: true`))
	require.Eventually(t, func() bool {
		return w.d.Count(t, "SELECT count(*) FROM webhook_deliveries WHERE delivered_at IS NOT NULL") == 30
	}, time.Minute, 10*time.Millisecond)
	require.Len(t, r.had(), tried+30)
}

// Where an endpoint takes others, what it does not take is given up in the end, and what
// comes after it of the same entity goes out.
func TestSender_GivesUpWhatIsNeverTaken(t *testing.T) {
	t.Parallel()
	sending := soon()
	sending.Patience = 8 * time.Second
	w := newWorld(t, sendingBy(sending))
	r := newReceiver(t, func(_ int, of *got) int {
		if of.data.Data.Event == "CONTACT_CREATED" {
			return 422
		}
		return 200
	})
	w.must(r.url, "CONTACT_CREATED", "CONTACT_UPDATED")
	w.contact()
	require.Eventually(t, func() bool {
		// Others, which are taken.
		w.d.Exec(t, "UPDATE contacts SET notes = gen_random_uuid()::text WHERE clinic_id = $1 AND id = $2", w.clinic.ID, w.clinic.Contacts[0])
		return w.d.Count(t, "SELECT count(*) FROM webhook_deliveries WHERE event = 'contact.created' AND delivered_at IS NULL AND next_attempt_at IS NULL") == 1
	}, time.Minute, 100*time.Millisecond)
	w.d.Exec(t, "UPDATE contacts SET notes = 'y' WHERE clinic_id = $1 AND name = 'Rita Lobo'", w.clinic.ID)
	require.Eventually(t, func() bool {
		return w.d.Count(t, "SELECT count(*) FROM webhook_deliveries WHERE next_attempt_at IS NOT NULL") == 0
	}, time.Minute, 10*time.Millisecond)
	require.True(t, w.list().WebhookEndpoints[0].Active)
}
