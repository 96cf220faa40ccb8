package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

func TestKeySet_FollowsARotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	claims := w.claims(testkit.Subject("aurora", models.RoleOwner))
	_, err := w.auth.Check(t.Context(), bearer(w.signer.token(t, claims, nil)))
	require.NoError(t, err)

	second := newSigner(t, "second", "RS256")
	token := second.token(t, claims, nil)
	_, err = w.auth.Check(t.Context(), bearer(token))
	refused(t, err, models.Unauthenticated)
	w.provider.publish(t, second)
	_, err = w.auth.Check(t.Context(), bearer(token))
	require.NoError(t, err, "an unknown key id is looked for")
	_, err = w.auth.Check(t.Context(), bearer(w.signer.token(t, claims, nil)))
	refused(t, err, models.Unauthenticated)
}

func TestKeySet_UnknownKeyIDsCostTheProviderLittle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	claims := w.claims(testkit.Subject("aurora", models.RoleOwner))
	good := w.signer.token(t, claims, nil)
	_, err := w.auth.Check(t.Context(), bearer(good))
	require.NoError(t, err)
	before := w.provider.fetches.Load()

	var clients sync.WaitGroup
	errs := make([]error, 200)
	for i := range errs {
		clients.Go(func() {
			_, errs[i] = w.auth.Check(t.Context(), bearer(w.signer.token(t, claims, map[string]any{"kid": "made-up-" + strconv.Itoa(i)})))
		})
	}
	clients.Wait()
	for _, err := range errs {
		refused(t, err, models.Unauthenticated)
	}
	require.LessOrEqual(t, w.provider.fetches.Load()-before, int64(2))
	_, err = w.auth.Check(t.Context(), bearer(good))
	require.NoError(t, err)

	// Once the limit has recovered, a rotation is noticed again.
	third := newSigner(t, "third", "ES256")
	w.provider.publish(t, w.signer, third)
	_, err = w.auth.Check(t.Context(), bearer(third.token(t, claims, nil)))
	refused(t, err, models.Unauthenticated)
	w.clock.Advance(10 * time.Second)
	_, err = w.auth.Check(t.Context(), bearer(third.token(t, claims, nil)))
	require.NoError(t, err)
}

func TestKeySet_LastGoodKeysOutliveAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	claims := w.claims(testkit.Subject("aurora", models.RoleOwner))
	good := w.signer.token(t, claims, nil)
	_, err := w.auth.Check(t.Context(), bearer(good))
	require.NoError(t, err)
	unknown := newSigner(t, "second", "ES256")

	newKey, err := json.Marshal(unknown.jwk(t, jwkset.JWKMetadataOptions{}))
	require.NoError(t, err)

	outages := map[string]func(){
		"502":             func() { w.provider.fail(true) },
		"not JSON":        func() { w.provider.answer("<html>maintenance</html>") },
		"no keys":         func() { w.provider.answer(`{"keys":[]}`) },
		"another answer":  func() { w.provider.answer(`{}`) },
		"only odd keys":   func() { w.provider.answer(`{"keys":[{"kty":"oct","k":"c2VjcmV0"},{"kty":"new"},7]}`) },
		"a million bytes": func() { w.provider.answer(`{"keys":[` + string(newKey) + strings.Repeat(" ", 2<<20) + `]}`) },
		"200 keys":        func() { w.provider.answer(`{"keys":[` + strings.Repeat(`{},`, 199) + string(newKey) + `]}`) },
		"gone":            func() { w.provider.Close() },
	}
	for _, name := range []string{"502", "not JSON", "no keys", "another answer", "only odd keys", "a million bytes", "200 keys", "gone"} {
		w.provider.fail(false)
		outages[name]()
		w.clock.Advance(20 * time.Second)
		before := w.provider.fetches.Load()
		_, err = w.auth.Check(t.Context(), bearer(unknown.token(t, claims, nil)))
		refused(t, err, models.Unavailable)
		if name != "gone" {
			require.Equal(t, before+1, w.provider.fetches.Load(), name)
		}
		_, err = w.auth.Check(t.Context(), bearer(good))
		require.NoError(t, err, name)
	}
}

func TestKeySet_AServerStartsDuringAnOutageAndRecovers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.provider.fail(true)
	late := w.open(t, func(*auth.Config) {})
	good := bearer(w.tokenOf(t, w.a, models.RoleOwner))
	_, err := late.Check(t.Context(), good)
	refused(t, err, models.Unavailable)
	w.provider.fail(false)
	w.clock.Advance(20 * time.Second)
	_, err = late.Check(t.Context(), good)
	require.NoError(t, err)
}

func TestKeySet_OneOddKeyDoesNotSpoilTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, weak := newSigner(t, "good", "RS256"), newSigner(t, "weak", "RS256")
	var err error
	weak.private, err = rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	w.provider.publishKeys(t,
		jwkset.JWKMarshal{KTY: "AKP", KID: "post-quantum", ALG: "ML-DSA-65"},
		jwkset.JWKMarshal{KTY: jwkset.KtyRSA, KID: "broken", N: "!", E: "AQAB"},
		weak.jwk(t, jwkset.JWKMetadataOptions{}),
		good.jwk(t, jwkset.JWKMetadataOptions{}),
	)
	claims := w.claims(testkit.Subject("aurora", models.RoleOwner))
	_, err = w.auth.Check(t.Context(), bearer(good.token(t, claims, nil)))
	require.NoError(t, err)
	_, err = w.auth.Check(t.Context(), bearer(weak.token(t, claims, nil)))
	refused(t, err, models.Unauthenticated)
}

func TestKeySet_IsNotFetchedOverPlainHTTPThroughARedirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var target string
	redirect := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		http.Redirect(out, in, target, http.StatusFound)
	}))
	t.Cleanup(redirect.Close)
	good := bearer(w.tokenOf(t, w.a, models.RoleOwner))

	target = w.provider.URL
	_, err := w.open(t, func(c *auth.Config) { c.JWKSURL = redirect.URL }).Check(t.Context(), good)
	require.NoError(t, err)
	// A name, not an address: plain HTTP to it is refused before it is looked up.
	target = strings.Replace(w.provider.URL, "127.0.0.1", "provider.invalid", 1)
	_, err = w.open(t, func(c *auth.Config) { c.JWKSURL = redirect.URL }).Check(t.Context(), good)
	refused(t, err, models.Unavailable)
	require.ErrorContains(t, err, "could not be fetched")
}
