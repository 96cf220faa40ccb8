package webhooks_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/internal/webhooks"
	"github.com/taskmed/taskmed/models"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childDatabase); url != "" {
		child(url)
		return
	}
	testkit.Main(m)
}

// soon is how tests send: what fails is tried again at once.
func soon() webhooks.SenderConfig {
	return webhooks.SenderConfig{
		Every:   100 * time.Millisecond,
		Backoff: func(int) time.Duration { return 20 * time.Millisecond },
		Probing: func(int) time.Duration { return 50 * time.Millisecond },
	}
}

// world is a clinic whose server sends webhooks.
type world struct {
	t      *testing.T
	d      *testkit.Database
	clinic *testkit.Clinic
	server *api.Server
	owner  *api.Client
}

func newWorld(t *testing.T, options ...api.Option) *world {
	t.Helper()
	d := testkit.NewDatabase(t)
	w := &world{t: t, d: d, clinic: d.NewClinic(t, "aurora")}
	w.server = api.NewServer(t, d, append([]api.Option{api.WithWebhooks(soon()), unhurried}, options...)...)
	w.owner = w.server.As(t, w.clinic, models.RoleOwner)
	// What the clinic was made of happened before any endpoint is there.
	w.settle()
	return w
}

// settle waits until nothing waits for its position.
func (w *world) settle() {
	w.t.Helper()
	conn := w.d.Connect(w.t, w.d.AppURL)
	require.Eventually(w.t, func() bool {
		_, err := conn.Exec(w.t.Context(), "SELECT outbox_stamp(500)") // as good as a leader
		return err == nil && w.d.Count(w.t, "SELECT count(*) FROM outbox") == 0
	}, time.Minute, 5*time.Millisecond)
}

// got is one delivery as a receiver had it.
type got struct {
	header http.Header
	body   []byte
	at     time.Time
	data   struct {
		Type string
		Data struct {
			ClinicID, ChangeID, Event, EntityID string
			Position                            int64
		}
	}
}

// receiver is an endpoint on this machine.
type receiver struct {
	url string

	mu  sync.Mutex
	all []*got
	// answer gives the status for the delivery that comes as the nth, from 1.
	answer func(n int, of *got) int
}

func newReceiver(t *testing.T, answer func(n int, of *got) int) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	if answer == nil {
		r.answer = func(int, *got) int { return http.StatusNoContent }
	}
	listener := httptest.NewServer(r)
	t.Cleanup(listener.Close)
	r.url = listener.URL + "/hook"
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	text, err := io.ReadAll(request.Body)
	of := &got{header: request.Header, body: text, at: time.Now()}
	if err == nil {
		err = json.Unmarshal(text, &of.data)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.all = append(r.all, of)
	status := r.answer(len(r.all), of)
	r.mu.Unlock()
	if status >= 300 && status < 400 {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(status)
}

// had are all deliveries so far.
func (r *receiver) had() []*got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*got{}, r.all...)
}

// await waits until so many came.
func (r *receiver) await(t *testing.T, n int) []*got {
	t.Helper()
	require.Eventually(t, func() bool { return len(r.had()) >= n }, time.Minute, 2*time.Millisecond, "deliveries")
	return r.had()
}

// endpoint is an endpoint with its secret.
type endpoint struct{ ID, Secret, PublicKey string }

type userErrors []struct {
	Code, Message string
	Field         []string
}

const createMutation = `mutation($input: CreateWebhookEndpointInput!) {
	createWebhookEndpoint(input: $input) { webhookEndpoint { id publicKey active } secret userErrors { code message field } } }`

// create makes an endpoint, or tells why there is none.
func (w *world) create(url string, events ...string) (endpoint, userErrors) {
	w.t.Helper()
	var data struct {
		CreateWebhookEndpoint struct {
			WebhookEndpoint *struct {
				ID, PublicKey string
				Active        bool
			}
			Secret     *string
			UserErrors userErrors
		}
	}
	w.owner.Must(w.t, createMutation, map[string]any{"input": map[string]any{"url": url, "events": append([]string{}, events...)}}, &data)
	made := data.CreateWebhookEndpoint
	if made.WebhookEndpoint == nil {
		require.Nil(w.t, made.Secret)
		return endpoint{}, made.UserErrors
	}
	require.Empty(w.t, made.UserErrors)
	require.True(w.t, made.WebhookEndpoint.Active)
	return endpoint{made.WebhookEndpoint.ID, *made.Secret, made.WebhookEndpoint.PublicKey}, nil
}

func (w *world) must(url string, events ...string) endpoint {
	w.t.Helper()
	made, refused := w.create(url, events...)
	require.Empty(w.t, refused)
	return made
}

// contact adds a contact by SQL, and gives its id.
func (w *world) contact() string {
	w.t.Helper()
	id := models.NewID()
	w.d.Exec(w.t, "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'Rita Lobo')", w.clinic.ID, id)
	return models.KindContact.Global(id)
}

// verified checks both versions' signatures of a delivery.
func (e endpoint) verified(of *got) error {
	hook, err := standardwebhooks.NewWebhook(e.Secret)
	if err != nil {
		return err
	}
	if err := hook.Verify(of.body, of.header); err != nil {
		return err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(e.PublicKey, "whpk_"))
	if err != nil {
		return err
	}
	signed := fmt.Appendf(nil, "%s.%s.%s", of.header.Get("webhook-id"), of.header.Get("webhook-timestamp"), of.body)
	for one := range strings.SplitSeq(of.header.Get("webhook-signature"), " ") {
		text, is := strings.CutPrefix(one, "v1a,")
		signature, err := base64.StdEncoding.DecodeString(text)
		if is && err == nil && ed25519.Verify(key, signed, signature) {
			return nil
		}
	}
	return fmt.Errorf("no v1a signature of %s", e.PublicKey)
}
