package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/internal/webhooks/inspector"
	"github.com/taskmed/taskmed/models"
	"github.com/taskmed/taskmed/web"
)

// told is what was printed.
type told struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *told) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *told) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// inspected is a server of two clinics whose webhooks a receiver shows, as under
// `taskmed dev`.
type inspected struct {
	*inspector.Inspector

	server  *api.Server
	owner   *api.Client
	clinics []inspector.Clinic
	out     *told
}

func startInspected(t *testing.T) inspected {
	t.Helper()
	d := testkit.NewDatabase(t)
	all := []*testkit.Clinic{d.NewClinic(t, "aurora"), d.NewClinic(t, "boa-vista")}
	i := inspected{out: &told{}}
	i.server = api.NewServer(t, d, func(settings *config.Config, options *app.Options) {
		settings.Outbox, settings.PrivateWebhooks = true, true
		for _, clinic := range all {
			demo := demoClinic(t, options.DevKey, clinic)
			options.Demo = append(options.Demo, demo)
			i.clinics = append(i.clinics, inspector.Clinic{ID: demo.ID, Slug: demo.Slug, Name: demo.Name, Token: demo.Tokens[string(models.RoleOwner)]})
		}
		var err error
		i.Inspector, err = inspector.New(t.Context(), inspector.Config{Clinics: i.clinics, Out: i.out})
		require.NoError(t, err)
		t.Cleanup(i.Close)
		options.Inspector = web.Inspector(i.Since)
	})
	i.owner = i.server.As(t, all[0], models.RoleOwner)
	// What the clinics were made of happened before any endpoint is there.
	require.Eventually(t, func() bool { return d.Count(t, "SELECT count(*) FROM outbox") == 0 }, time.Minute, 50*time.Millisecond)
	return i
}

// endpoints are the addresses of the first clinic's endpoints.
func (i inspected) endpoints(t *testing.T) []string {
	t.Helper()
	var list struct{ WebhookEndpoints []struct{ URL string } }
	i.owner.Must(t, `{ webhookEndpoints { url } }`, nil, &list)
	urls := []string{}
	for _, endpoint := range list.WebhookEndpoints {
		urls = append(urls, endpoint.URL)
	}
	return urls
}

func (i inspected) contact(t *testing.T, name string) {
	t.Helper()
	i.owner.Must(t, `mutation($input: CreateContactInput!) { createContact(input: $input) { contact { id } userErrors { message } } }`, map[string]any{"input": map[string]any{"name": name}}, nil)
}

// A developer opens the page from the playground, makes a contact and sees its event.
func TestInspector_ShowsWhatAMutationBrings(t *testing.T) {
	t.Parallel()
	i := startInspected(t)
	require.NoError(t, i.Register(t.Context(), i.server.URL))
	require.Equal(t, []string{i.URL(i.clinics[0].ID)}, i.endpoints(t))

	b := newBrowser(t, i.server.URL)
	b.do(t, chromedp.Navigate(i.server.URL+"/"))
	b.text(t, ".topbar .other-page", "Webhooks")
	b.do(t, chromedp.Navigate(i.server.URL+"/webhooks"))
	b.text(t, ".state", "Live")
	b.text(t, "main", "run a mutation in the playground")
	b.keep(t, "inspector-empty.png")

	began := time.Now()
	i.contact(t, "Rita Lobo")
	b.text(t, ".received", "CONTACT_CREATED")
	if testkit.Timed() {
		assert.Less(t, time.Since(began), 10*time.Second)
	}
	first := b.text(t, ".received .row", "CONTACT_CREATED")
	for _, text := range []string{"Clínica aurora", "position ", "contact_", "verified"} {
		assert.Contains(t, first, text)
	}
	assert.NotContains(t, first, "not verified")

	// By the keyboard alone: open it, go on to another, come back.
	b.do(t, chromedp.Focus(".received .row"), chromedp.KeyEvent("\r"))
	shown := b.text(t, ".details", `"event": "CONTACT_CREATED"`)
	for _, text := range []string{"webhook-signature: v1,", "webhook-id: change_", "answered with 204", `"position": `} {
		assert.Contains(t, shown, text)
	}
	assert.NotContains(t, shown, "Rita Lobo", "ids and nothing else")
	b.do(t, chromedp.Click(".details .body .copy"))
	b.text(t, ".details .body h3", "copied")
	shown = b.text(t, ".details", "copied")
	b.keep(t, "inspector-details.png")
	i.contact(t, "Nara Paz")
	b.text(t, ".received h2", "the newest first, 2")
	assert.Equal(t, shown, b.text(t, ".details", "CONTACT_CREATED"), "what comes leaves what was chosen")
	b.do(t, chromedp.Focus(".received li:nth-child(2) .row"), chromedp.KeyEvent(kb.ArrowUp), chromedp.KeyEvent("\r"), chromedp.WaitVisible(".received li:first-child .current"))
	b.do(t, chromedp.KeyEvent(kb.Escape))
	b.text(t, ".details", "Choose a webhook")

	// What somebody else posts there is shown as what it is.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.URL(i.clinics[1].ID), strings.NewReader(`{"type":"forged"}`))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusUnauthorized, response.StatusCode)
	assert.Contains(t, b.text(t, ".received .row", "forged"), "not verified")
	b.do(t, chromedp.Click(".received .row"))
	assert.Contains(t, b.text(t, ".signatures", "v1a"), "missing required headers")

	printed := i.out.String()
	assert.Contains(t, printed, "aurora  CONTACT_CREATED  position ")
	assert.Contains(t, printed, "boa-vista  NOT VERIFIED")

	for _, theme := range []string{"light", "dark"} {
		b.do(t, chromedp.Click(".theme-toggle"), chromedp.WaitVisible(fmt.Sprintf(`html[data-theme=%q]`, theme)))
		for _, width := range []int64{1440, 760, 390, 320} {
			b.do(t, chromedp.EmulateViewport(width, 900))
			wider, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth - innerWidth`))
			require.NoError(t, err)
			assert.LessOrEqual(t, wider, 0, "at %d pixels the page must not scroll sideways", width)
			b.keep(t, fmt.Sprintf("inspector-%s-%d.png", theme, width))
		}
	}
	b.do(t, chromedp.Click(".details .close"), chromedp.WaitVisible(".received"))
	b.keep(t, "inspector-list.png")
}

// The next start takes the endpoint on that the former made, and has what happened between.
func TestInspector_GoesOnAfterAnotherStart(t *testing.T) {
	t.Parallel()
	i := startInspected(t)
	require.NoError(t, i.Register(t.Context(), i.server.URL))
	i.Close()
	i.contact(t, "Rita Lobo")

	out := &told{}
	next, err := inspector.New(t.Context(), inspector.Config{Clinics: i.clinics, Out: out})
	require.NoError(t, err)
	t.Cleanup(next.Close)
	require.NoError(t, next.Register(t.Context(), i.server.URL))
	assert.Equal(t, []string{next.URL(i.clinics[0].ID)}, i.endpoints(t), "one endpoint, however often it starts")
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "CONTACT_CREATED") }, 30*time.Second, 50*time.Millisecond)
	assert.NotContains(t, out.String(), "NOT VERIFIED")
}
