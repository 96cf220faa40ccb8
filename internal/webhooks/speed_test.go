package webhooks_test

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/webhooks"
	"github.com/taskmed/taskmed/models"
)

// blocks are how many times a healthy endpoint is measured alone and beside dead ones,
// and samples how many events each time.
const (
	blocks  = 2
	samples = 60
)

// How soon a webhook leaves after the commit, alone and beside endpoints that never
// answer, fail, or are not there, as servers send in production. It is measured in turns,
// so that what else the machine does meets both; how far blocks of one kind lie apart is
// what a difference must exceed. All is printed, for a clock decides only where the
// machine does nothing else.
func TestSender_ADeadEndpointCostsOthersNothing(t *testing.T) {
	t.Parallel()
	var turns atomic.Int64
	var sending webhooks.SenderConfig
	sending.At = func(point string) {
		if point == "looked" {
			turns.Add(1)
		}
	}
	w := newWorld(t, sendingBy(sending))
	r := newReceiver(t, nil)
	w.must(r.url, "CONTACT_CREATED")
	failing := newReceiver(t, func(int, *got) int { return http.StatusInternalServerError })
	conn := w.d.Connect(t, w.d.SuperuserURL)
	measure := func(turned *int64) (taken []time.Duration) {
		before := turns.Load()
		defer func() { *turned += turns.Load() - before }()
		for range samples {
			n := len(r.had())
			began := time.Now() // before the commit, since its answer may come after the webhook
			_, err := conn.Exec(t.Context(), "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'Rita Lobo')", w.clinic.ID, models.NewID())
			require.NoError(t, err)
			taken = append(taken, r.await(t, n+1)[n].at.Sub(began))
		}
		return taken
	}
	var turnsOnce, turnsAlone, turnsBeside int64
	measure(&turnsOnce) // what is slow once: connections, plans
	var alone, beside [][]time.Duration
	for range testkit.Longer(t, blocks) {
		alone = append(alone, measure(&turnsAlone))
		var dead []endpoint
		for range 4 {
			dead = append(dead, w.must("http://"+silent(t)+"/hook", "CONTACT_CREATED"))
		}
		dead = append(dead, w.must("http://127.0.0.1:1024/nobody", "CONTACT_CREATED"), w.must(failing.url, "CONTACT_CREATED"))
		beside = append(beside, measure(&turnsBeside))
		for _, e := range dead {
			require.Empty(t, w.do("deleteWebhookEndpoint", fmt.Sprintf("id: %q", e.ID)))
		}
	}
	alone = append(alone, measure(&turnsAlone)) // so that neither kind is the later one
	require.Len(t, r.had(), samples*(1+len(alone)+len(beside)))
	require.NotEmpty(t, failing.had(), "the others were called, too")
	require.Equal(t, len(r.had()), w.d.Count(t, "SELECT count(*) FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id"), "each was sent once")
	a, b := sum(alone), sum(beside)
	t.Logf("from before the write to the receiver, %d events a block:\nalone:                %s\nbeside six dead ones: %s\nmedian of %.2f times, p99 of %.2f times", samples, a, b, over(b.median, a.median), over(b.p99, a.p99))
	// Who is called and does not answer, and who fails, takes no more turns from then on,
	// whatever happens.
	each, extra := turnsAlone/int64(len(alone)), turnsBeside/int64(len(beside))-turnsAlone/int64(len(alone))
	t.Logf("a block took %d turns alone, and %d more beside the dead ones", each, extra)
	require.Less(t, extra, int64(6*2*(8+10)), "turns that the dead ones took; they had %d events each", samples)
	if testkit.Timed() {
		require.LessOrEqual(t, b.median, max(slices.Max(a.medians), a.median*11/10), "the median")
		require.LessOrEqual(t, b.p99, max(slices.Max(a.p99s), a.p99*11/10), "p99")
	}
}

// summary is of blocks of one kind: over all of their samples, and each one's.
type summary struct {
	median, p99   time.Duration
	medians, p99s []time.Duration
}

func sum(all [][]time.Duration) (s summary) {
	quantiles := func(of []time.Duration) (median, p99 time.Duration) {
		slices.Sort(of)
		return of[len(of)/2], of[len(of)*99/100]
	}
	s.median, s.p99 = quantiles(slices.Concat(all...))
	for _, block := range all {
		median, p99 := quantiles(slices.Clone(block))
		s.medians, s.p99s = append(s.medians, median), append(s.p99s, p99)
	}
	return s
}

func (s summary) String() string {
	short := func(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
	return fmt.Sprintf("median %s (of blocks %s to %s), p99 %s (of blocks %s to %s)",
		short(s.median), short(slices.Min(s.medians)), short(slices.Max(s.medians)), short(s.p99), short(slices.Min(s.p99s)), short(slices.Max(s.p99s)))
}

func over(a, b time.Duration) float64 { return float64(a) / float64(b) }

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
