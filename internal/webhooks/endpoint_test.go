package webhooks_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

const everything = `query { webhookEndpoints { id url events active pausedAt pauseReason publicKey
	deliveries(first: 50) { totalCount nodes { event position entityId attempts lastStatus lastError deliveredAt nextAttemptAt } } } }`

type listed struct {
	WebhookEndpoints []struct {
		ID, URL               string
		Events                []string
		Active                bool
		PausedAt, PauseReason *string
		PublicKey             string
		Deliveries            struct {
			TotalCount int
			Nodes      []struct {
				Event                      string
				Position                   int64
				EntityID                   string
				Attempts                   int
				LastStatus                 *int
				LastError                  *string
				DeliveredAt, NextAttemptAt *time.Time
			}
		}
	}
}

func (w *world) list() listed {
	w.t.Helper()
	var data listed
	w.owner.Must(w.t, everything, nil, &data)
	return data
}

// do runs a mutation that answers with userErrors, and gives those.
func (w *world) do(mutation, input string) userErrors {
	w.t.Helper()
	var data map[string]struct{ UserErrors userErrors }
	w.owner.Must(w.t, fmt.Sprintf("mutation { it: %s(input: {%s}) { userErrors { code message field } } }", mutation, input), nil, &data)
	return data["it"].UserErrors
}

func TestEndpoint_IsToldWhatHappensSignedAndInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := newReceiver(t, nil)
	e := w.must(r.url, "CONTACT_CREATED", "CONTACT_UPDATED")
	contact := w.contact()
	w.d.Exec(t, "UPDATE contacts SET notes = 'x' WHERE clinic_id = $1 AND name = 'Rita Lobo'", w.clinic.ID)
	all := r.await(t, 2)
	for n, event := range []string{"CONTACT_CREATED", "CONTACT_UPDATED"} {
		require.NoError(t, e.verified(all[n]))
		require.Equal(t, event, all[n].data.Data.Event)
		require.Equal(t, strings.ToLower(strings.Replace(event, "_", ".", 1)), all[n].data.Type)
		require.Equal(t, contact, all[n].data.Data.EntityID)
		require.Equal(t, models.KindClinic.Global(w.clinic.ID), all[n].data.Data.ClinicID)
		require.Equal(t, all[n].header.Get("webhook-id"), all[n].data.Data.ChangeID)
		require.NotContains(t, string(all[n].body), "Rita")
		require.Less(t, len(all[n].body), 20_000)
		require.Equal(t, "application/json", all[n].header.Get("Content-Type"))
		require.Empty(t, all[n].header.Get("Idempotency-Key"))
	}
	require.Equal(t, all[0].data.Data.Position+1, all[1].data.Data.Position)
	forged := *all[0]
	forged.body = append([]byte(" "), forged.body...)
	require.Error(t, e.verified(&forged), "the control")

	require.Eventually(t, func() bool {
		nodes := w.list().WebhookEndpoints[0].Deliveries.Nodes
		return len(nodes) == 2 && nodes[0].DeliveredAt != nil && nodes[1].DeliveredAt != nil
	}, time.Minute, 5*time.Millisecond)
	seen := w.list().WebhookEndpoints[0]
	require.Equal(t, []string{"CONTACT_CREATED", "CONTACT_UPDATED"}, seen.Events)
	require.Equal(t, e.PublicKey, seen.PublicKey)
	require.Equal(t, 2, seen.Deliveries.TotalCount)
	newest := seen.Deliveries.Nodes[0]
	require.Equal(t, "CONTACT_UPDATED", newest.Event)
	require.Equal(t, 1, newest.Attempts)
	require.Equal(t, http.StatusNoContent, *newest.LastStatus)
	require.Nil(t, newest.NextAttemptAt)
	require.Nil(t, newest.LastError)
}

// What is wrong for a URL, as the API says it: nothing is dialled.
func TestEndpoint_IsAtAHostOfTheInternets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, api.WithResolver(names{}), private(false))
	for _, url := range []string{
		"http://example.com/hook", "ftp://example.com", "https://", "https:///hook", "example.com/hook", "https:example.com", "https://user:word@example.com/", "https://user@example.com/",
		"https://example.com/#x", "https://example.com:22/", "https://example.com:80/", "https://example.com:99999/", "https://exa mple.com/", "https://exämple.com/",
		"https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://localhost/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/",
		"https://0.0.0.0/", "https://0.0.0.1/", "https://[::]/", "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/",
		"https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[fec0::1]/", "https://[fc00::1]/", "https://[fd00::1]/", "https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::1]/", "https://[2002:7f00:1::]/",
		"https://private.example/", "https://both.example/", "https://nowhere.example/", "https://example.com/" + strings.Repeat("x", 2000),
	} {
		_, refused := w.create(url, "CONTACT_CREATED")
		require.NotEmpty(t, refused, url)
		require.Equal(t, []string{"url"}, refused[0].Field, url)
	}
	_, refused := w.create("https://example.com/hook")
	require.Equal(t, "REQUIRED", refused[0].Code)
	e := w.must("https://example.com:8443/hook?x=1", "CONTACT_CREATED")
	require.NotEmpty(t, w.do("updateWebhookEndpoint", fmt.Sprintf(`id: %q, url: "https://10.0.0.1/"`, e.ID)), "a change is looked at, too")
	require.Equal(t, 1, w.d.Count(t, "SELECT count(*) FROM webhook_endpoints"))
}

// names are a resolver's that knows a few.
type names struct{}

func (names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	all := map[string][]string{
		"example.com": {"93.184.215.14"}, "private.example": {"10.1.2.3"}, "both.example": {"93.184.215.14", "127.0.0.1"},
		"localhost": {"127.0.0.1"}, "127.1": {"127.0.0.1"}, "2130706433": {"127.0.0.1"}, "0x7f000001": {"127.0.0.1"},
	}[host]
	if all == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var found []netip.Addr
	for _, text := range all {
		found = append(found, netip.MustParseAddr(text))
	}
	return found, nil
}

// rebinding is a name that leads to the Internet until it leads here.
type rebinding struct {
	mu   sync.Mutex
	here bool
}

func (r *rebinding) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.here {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	return []netip.Addr{netip.MustParseAddr("93.184.215.14")}, nil
}

// A name that leads elsewhere once it was looked at is not called, neither by a delivery
// nor by a test call; the control shows that the receiver would have been reached.
func TestEndpoint_IsNotCalledWhereItsNameIsBoundAnew(t *testing.T) {
	t.Parallel()
	for name, without := range map[string]bool{"checked": false, "the control": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, nil)
			resolver := &rebinding{}
			w := newWorld(t, api.WithResolver(resolver), private(false), unchecked(without))
			e := w.must("https://rebinding.example/hook", "CONTACT_CREATED")
			// The receiver speaks no TLS, and has another port than https may have by default.
			_, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(r.url, "http://"), "/hook"))
			require.NoError(t, err)
			w.d.Exec(t, "UPDATE webhook_endpoints SET url = $1", "http://rebinding.example:"+port+"/hook")
			resolver.mu.Lock()
			resolver.here = true
			resolver.mu.Unlock()
			w.contact()
			var data struct {
				TestWebhookEndpoint struct {
					Status  *int
					Failure *string
				}
			}
			w.owner.Must(t, `mutation($id: ID!) { testWebhookEndpoint(input: {id: $id}) { status failure } }`, map[string]any{"id": e.ID}, &data)
			if without {
				r.await(t, 2)
				require.Equal(t, http.StatusNoContent, *data.TestWebhookEndpoint.Status)
				return
			}
			require.Nil(t, data.TestWebhookEndpoint.Status)
			require.Contains(t, *data.TestWebhookEndpoint.Failure, "not called")
			require.Eventually(t, func() bool {
				nodes := w.list().WebhookEndpoints[0].Deliveries.Nodes
				return len(nodes) == 1 && nodes[0].Attempts > 0
			}, time.Minute, 5*time.Millisecond)
			require.Contains(t, *w.list().WebhookEndpoints[0].Deliveries.Nodes[0].LastError, "not called")
			require.Empty(t, r.had())
		})
	}
}

func TestEndpoint_RedirectsAreNotFollowedAndGoneIsTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status := http.StatusTemporaryRedirect
	r := newReceiver(t, func(n int, _ *got) int {
		if n >= 3 {
			status = http.StatusGone
		}
		return status
	})
	w.must(r.url, "CONTACT_CREATED")
	w.contact()
	r.await(t, 3)
	require.Eventually(t, func() bool { return !w.list().WebhookEndpoints[0].Active }, time.Minute, 5*time.Millisecond)
	seen := w.list().WebhookEndpoints[0]
	require.Contains(t, *seen.PauseReason, "410")
	require.NotNil(t, seen.PausedAt)
	require.Equal(t, http.StatusGone, *seen.Deliveries.Nodes[0].LastStatus)
	require.NotNil(t, seen.Deliveries.Nodes[0].NextAttemptAt, "it waits")
	require.Len(t, r.had(), 3)
	for _, of := range r.had() {
		require.Equal(t, r.had()[0].header.Get("webhook-id"), of.header.Get("webhook-id"), "the same for each attempt")
	}
}

func TestEndpoint_RotationReplayPauseAndDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := newReceiver(t, nil)
	e := w.must(r.url, "CONTACT_CREATED")
	var rotated struct {
		RotateWebhookSecret struct {
			Secret          string
			WebhookEndpoint struct{ PublicKey string }
		}
	}
	w.owner.Must(t, `mutation($id: ID!) { rotateWebhookSecret(input: {id: $id}) { secret webhookEndpoint { publicKey } userErrors { code } } }`, map[string]any{"id": e.ID}, &rotated)
	next := endpoint{e.ID, rotated.RotateWebhookSecret.Secret, rotated.RotateWebhookSecret.WebhookEndpoint.PublicKey}
	require.NotEqual(t, e.Secret, next.Secret)
	require.NotEqual(t, e.PublicKey, next.PublicKey)
	w.contact()
	first := r.await(t, 1)[0]
	require.NoError(t, e.verified(first), "the former signs for a day")
	require.NoError(t, next.verified(first))
	w.d.Exec(t, "UPDATE webhook_endpoints SET former_until = now() - interval '1 second'")
	w.contact()
	second := r.await(t, 2)[1]
	require.Error(t, e.verified(second))
	require.NoError(t, next.verified(second))

	// Paused, it misses nothing.
	id := fmt.Sprintf("id: %q", e.ID)
	require.Empty(t, w.do("updateWebhookEndpoint", id+", active: false"))
	require.NotNil(t, w.list().WebhookEndpoints[0].PauseReason)
	w.contact()
	w.d.Exec(t, "UPDATE contacts SET notes = 'x' WHERE clinic_id = $1", w.clinic.ID) // not asked for
	require.Eventually(t, func() bool { return w.d.Count(t, "SELECT count(*) FROM outbox") == 0 }, time.Minute, 5*time.Millisecond)
	require.Len(t, r.had(), 2)
	require.Empty(t, w.do("updateWebhookEndpoint", id+", active: true"))
	third := r.await(t, 3)[2]
	require.Greater(t, third.data.Data.Position, second.data.Data.Position)

	// A replay sends the same again, by the same ids.
	require.Empty(t, w.do("replayWebhook", fmt.Sprintf("%s, fromPosition: %d", id, second.data.Data.Position)))
	again := r.await(t, 5)[3:]
	// They are of two contacts, and so in any order.
	require.ElementsMatch(t, []string{second.header.Get("webhook-id"), third.header.Get("webhook-id")}, []string{again[0].header.Get("webhook-id"), again[1].header.Get("webhook-id")})
	require.Equal(t, "INVALID", w.do("replayWebhook", id+", fromPosition: 100000")[0].Code)
	require.Equal(t, "INVALID", w.do("replayWebhook", id+", fromPosition: 0")[0].Code)
	w.d.Exec(t, "DELETE FROM changes WHERE position < $1", second.data.Data.Position)
	require.Equal(t, "EXPIRED", w.do("replayWebhook", id+", fromPosition: 1")[0].Code)

	require.Equal(t, "NOT_FOUND", w.do("deleteWebhookEndpoint", `id: "webhook_endpoint_00000000000000000000000000"`)[0].Code)
	require.Empty(t, w.do("deleteWebhookEndpoint", id))
	require.Empty(t, w.list().WebhookEndpoints)
	w.contact()
	require.Zero(t, w.d.Count(t, "SELECT count(*) FROM webhook_lanes"))
	require.Positive(t, w.d.Count(t, "SELECT count(*) FROM webhook_deliveries"))
	require.Positive(t, w.d.Count(t, "SELECT gone::integer FROM webhook_prune(1000)"))
	require.Zero(t, w.d.Count(t, "SELECT count(*) FROM webhook_deliveries"))
}

// A test call is one call now; a dry run calls nobody, and neither holds a connection.
func TestEndpoint_IsTestedOutOfOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var held int
	r := newReceiver(t, func(int, *got) int {
		held = w.d.Count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'")
		return http.StatusTeapot
	})
	e := w.must(r.url, "CONTACT_CREATED")
	call := func(directive string) (status, took *int) {
		var data struct {
			TestWebhookEndpoint struct{ Status, DurationMs *int }
		}
		w.owner.Must(t, fmt.Sprintf(`mutation { testWebhookEndpoint(input: {id: %q}) %s { status durationMs failure userErrors { code } } }`, e.ID, directive), nil, &data)
		return data.TestWebhookEndpoint.Status, data.TestWebhookEndpoint.DurationMs
	}
	status, took := call("@dryRun")
	require.Nil(t, status)
	require.Nil(t, took)
	require.Empty(t, r.had())
	for n, directive := range []string{"", `@idempotent(key: "a")`, `@idempotent(key: "a")`} {
		status, took = call(directive)
		require.Equal(t, http.StatusTeapot, *status)
		require.NotNil(t, took)
		require.Len(t, r.had(), n+1, "nothing is written, and so nothing remembered")
		require.Zero(t, held, "transactions that waited for the call")
	}
	require.NoError(t, e.verified(r.had()[0]))
	require.Equal(t, "webhook.test", r.had()[0].data.Type)
	require.Equal(t, "NOT_FOUND", w.do("testWebhookEndpoint", `id: "webhook_endpoint_00000000000000000000000000"`)[0].Code)
}

// After TASKMED_SECRET was changed nobody can read what signs: who asks is told so, and
// another secret signs alone.
func TestEndpoint_IsGivenAnotherSecretWhereItsOwnIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := newReceiver(t, nil)
	e := w.must(r.url, "CONTACT_CREATED")
	w.d.Exec(t, "UPDATE webhook_endpoints SET keys = set_byte(keys, 0, 255 - get_byte(keys, 0))")
	id := fmt.Sprintf("id: %q", e.ID)
	require.Equal(t, "CONFLICT", w.do("testWebhookEndpoint", id)[0].Code)
	require.Empty(t, r.had())
	var rotated struct{ RotateWebhookSecret struct{ Secret string } }
	w.owner.Must(t, fmt.Sprintf("mutation { rotateWebhookSecret(input: {%s}) { secret userErrors { code } } }", id), nil, &rotated)
	require.Empty(t, w.do("testWebhookEndpoint", id))
	tested := r.await(t, 1)[0]
	require.NoError(t, endpoint{ID: e.ID, Secret: rotated.RotateWebhookSecret.Secret, PublicKey: w.list().WebhookEndpoints[0].PublicKey}.verified(tested))
	require.Len(t, strings.Fields(tested.header.Get("webhook-signature")), 2, "the lost ones sign no more")
}

func TestEndpoint_ThereAreTwentyAtMost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var made, refused int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 25 {
		all.Go(func() {
			_, mistakes := w.create("https://example.com/hook", "CONTACT_CREATED")
			mu.Lock()
			defer mu.Unlock()
			if len(mistakes) == 0 {
				made++
			} else {
				refused++
			}
		})
	}
	all.Wait()
	require.Equal(t, 20, made)
	require.Equal(t, 5, refused)
	for _, role := range []models.Role{models.RolePractitioner, models.RoleReceptionist, models.RoleFinance, models.RolePartner} {
		answer := w.server.As(t, w.clinic, role).Do(t, "query { webhookEndpoints { id } }", nil)
		require.Equal(t, "FORBIDDEN", answer.Errors[0].Extensions.Code, role)
	}
}
