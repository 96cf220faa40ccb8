package inspector

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	clinicID = "clinic_01h455vb4pex5vsknk084sn02q"
	event    = `{"type":"contact.created","timestamp":"2026-11-29T13:00:00Z","data":{"clinicId":"` + clinicID + `","changeId":"change_1","position":7,"event":"CONTACT_CREATED","entityId":"contact_1"}}`
)

// printed is what was printed, by lines.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *printed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(text)
}

func (p *printed) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Split(strings.TrimSuffix(p.text.String(), "\n"), "\n")
}

// world is a receiver with an endpoint's keys, and who signs with them.
type world struct {
	*Inspector

	secret []byte
	signer ed25519.PrivateKey
	out    *printed
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{secret: []byte("0123456789abcdef0123456789abcdef"), out: &printed{}}
	public, signer, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	w.signer = signer
	w.Inspector, err = New(t.Context(), Config{Clinics: []Clinic{{ID: clinicID, Slug: "aurora", Name: "Clínica Aurora"}}, Out: w.out})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	held, err := keysOf("whsec_"+base64.StdEncoding.EncodeToString(w.secret), "whpk_"+base64.StdEncoding.EncodeToString(public))
	require.NoError(t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys[clinicID] = held
	return w
}

// post sends a body, signed as of an instant and then changed, and gives the status.
func (w *world) post(t *testing.T, id, body string, at time.Time, change func(*http.Request)) int {
	t.Helper()
	hook, err := standardwebhooks.NewWebhookRaw(w.secret)
	require.NoError(t, err)
	symmetric, err := hook.Sign(id, at, []byte(body))
	require.NoError(t, err)
	public := ed25519.Sign(w.signer, fmt.Appendf(nil, "%s.%d.%s", id, at.Unix(), body))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL(clinicID), strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", fmt.Sprint(at.Unix()))
	r.Header.Set("webhook-signature", symmetric+" v1a,"+base64.StdEncoding.EncodeToString(public))
	if change != nil {
		change(r)
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

func (w *world) only(t *testing.T) Received {
	t.Helper()
	got := w.Since(0).Received
	require.Len(t, got, 1)
	return got[0]
}

func TestInspector_KeepsAndPrintsWhatIsVerified(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, http.StatusNoContent, w.post(t, "change_1", event, time.Now(), nil))
	got := w.only(t)
	assert.Equal(t, []Signature{{Version: "v1", Verified: true}, {Version: "v1a", Verified: true}}, got.Signatures)
	assert.Equal(t, said{"contact.created", "CONTACT_CREATED", 7, "contact_1"}, got.Said)
	assert.Equal(t, "Clínica Aurora", got.Clinic)
	assert.Equal(t, []byte(event), []byte(got.Body), "byte by byte, as it was signed") //nolint:testifylint // not what it means: what it says
	assert.Contains(t, got.Headers, header{"webhook-id", "change_1"})
	assert.Equal(t, 1, got.Time)

	require.Equal(t, http.StatusNoContent, w.post(t, "change_1", event, time.Now(), nil))
	again := w.Since(got.Number).Received
	require.Len(t, again, 1, "what is known is not told again")
	assert.Equal(t, 2, again[0].Time)

	lines := w.out.lines()
	require.Len(t, lines, 2)
	assert.Contains(t, lines[0], "aurora  CONTACT_CREATED  position 7  contact_1  verified")
	assert.Contains(t, lines[1], "came 2 times")
}

func TestInspector_BelievesNoForgery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at     time.Time
		change func(*http.Request)
		v1     bool
		v1a    bool
	}{
		"another id":      {change: func(r *http.Request) { r.Header.Set("webhook-id", "change_2") }},
		"nothing signed":  {change: func(r *http.Request) { r.Header.Del("webhook-signature") }},
		"an old one":      {at: time.Now().Add(-6 * time.Minute)},
		"one of tomorrow": {at: time.Now().Add(24 * time.Hour)},
		"v1 alone": {v1: true, change: func(r *http.Request) {
			signed, _, _ := strings.Cut(r.Header.Get("webhook-signature"), " ")
			r.Header.Set("webhook-signature", signed)
		}},
		"v1a alone": {v1a: true, change: func(r *http.Request) {
			_, signed, _ := strings.Cut(r.Header.Get("webhook-signature"), " ")
			r.Header.Set("webhook-signature", signed)
		}},
		"no signature at all": {change: func(r *http.Request) { r.Header.Set("webhook-signature", "v1, v1a, ,v1a,!!") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.at.IsZero() {
				c.at = time.Now()
			}
			assert.Equal(t, http.StatusUnauthorized, w.post(t, "change_1", event, c.at, c.change))
			got := w.only(t)
			assert.Equal(t, c.v1, got.Signatures[0].Verified)
			assert.Equal(t, c.v1a, got.Signatures[1].Verified)
			for _, s := range got.Signatures {
				assert.NotEqual(t, s.Verified, s.Problem != "", s.Version)
			}
			assert.Contains(t, w.out.lines()[0], "NOT VERIFIED")
		})
	}
}

func TestInspector_PrintsNothingThatAnybodyMayHaveSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := `{"type":"\u001b[2J","data":{"event":"\u001b[31m","entityId":"\u0007"}}`
	w.post(t, "\x7f[2J", body, time.Now(), func(r *http.Request) { r.Header.Set("webhook-id", "else") })
	require.Len(t, w.out.lines(), 1)
	assert.NotContains(t, w.out.lines()[0], "\x1b")
	assert.NotContains(t, w.out.lines()[0], "[31m")
}

func TestInspector_IsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	large := strings.Repeat("x", longestBody+1)
	assert.Equal(t, http.StatusRequestEntityTooLarge, w.post(t, "large", large, time.Now(), nil))
	got := w.only(t)
	assert.Empty(t, got.Body)
	assert.False(t, got.Signatures[0].Verified)
	assert.False(t, got.Signatures[1].Verified)
	assert.Equal(t, http.StatusNoContent, w.post(t, "fits", large[1:], time.Now(), nil))

	for n := range mostKept {
		require.Equal(t, http.StatusNoContent, w.post(t, fmt.Sprint("change_", n), event, time.Now(), nil))
	}
	kept := w.Since(0).Received
	require.Len(t, kept, mostKept)
	assert.Equal(t, "change_0", kept[0].id, "the oldest give way")
	assert.Equal(t, fmt.Sprint("change_", mostKept-1), kept[mostKept-1].id)
	perSecond := map[string]int{}
	for _, line := range w.out.lines() {
		if !strings.HasPrefix(line, " ") {
			perSecond[line[:len(time.TimeOnly)]]++
		}
	}
	for second, lines := range perSecond {
		assert.LessOrEqual(t, lines, mostLines, second)
	}
}

func TestInspector_KnowsNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for path, status := range map[string]int{
		"/":                      http.StatusNotFound,
		prefix:                   http.StatusNotFound,
		prefix + "clinic_else":   http.StatusNotFound,
		prefix + clinicID + "/x": http.StatusNotFound,
		prefix + clinicID:        http.StatusMethodNotAllowed,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.at.Addr().String()+path, nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, status, response.StatusCode, path)
	}
	assert.Empty(t, w.Since(0).Received)

	w.mu.Lock()
	delete(w.keys, clinicID)
	w.mu.Unlock()
	assert.Equal(t, http.StatusServiceUnavailable, w.post(t, "early", event, time.Now(), nil), "it comes again once the keys are here")
	assert.Empty(t, w.Since(0).Received)
}
