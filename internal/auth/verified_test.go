package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

func hashOf(token string) tokenHash { return sha256.Sum256([]byte(token)) }

func codeOf(t *testing.T, err error) models.Code {
	t.Helper()
	var coded *models.Error
	require.ErrorAs(t, err, &coded)
	return coded.Code
}

// rotation is a provider whose keys a test changes, and a verifier that follows.
type rotation struct {
	set      *keySet
	verifier *tokenVerifier
	now      time.Time
	keys     map[string]ed25519.PrivateKey
}

func newRotation(t *testing.T) *rotation {
	t.Helper()
	r := &rotation{now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), keys: map[string]ed25519.PrivateKey{}}
	clock := func() time.Time { return r.now }
	var err error
	r.set, err = newKeySet("https://id.example/jwks", false, slog.New(slog.DiscardHandler), clock)
	require.NoError(t, err)
	close(r.set.ready)
	close(r.set.ended)
	r.verifier, err = newTokenVerifier(Config{Issuer: "i", Audience: "a", Now: clock}, r.set)
	require.NoError(t, err)
	return r
}

// publish makes these the provider's keys and fetches them; none: it is away.
func (r *rotation) publish(t *testing.T, kids ...string) {
	t.Helper()
	jwks := make([]map[string]string, 0, len(kids))
	for _, kid := range kids {
		if r.keys[kid] == nil {
			_, private, err := ed25519.GenerateKey(rand.Reader)
			require.NoError(t, err)
			r.keys[kid] = private
		}
		public := r.keys[kid][ed25519.SeedSize:]
		jwks = append(jwks, map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64.RawURLEncoding.EncodeToString(public)})
	}
	body, err := json.Marshal(map[string]any{"keys": jwks})
	require.NoError(t, err)
	r.set.client.Transport = transport(func(in *http.Request) (*http.Response, error) {
		if len(kids) == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(body))), Request: in}, nil
	})
	r.set.refresh(t.Context())
}

func (r *rotation) token(t *testing.T, kid string, change func(jwt.MapClaims)) string {
	t.Helper()
	claims := jwt.MapClaims{"iss": "i", "aud": "a", "sub": "ana", "exp": r.now.Add(time.Hour).Unix()}
	if change != nil {
		change(claims)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	token.Header["kid"] = kid
	signed, err := token.SignedString(r.keys[kid])
	require.NoError(t, err)
	return signed
}

// remembers tells whether a token's signature would not be checked again.
func (r *rotation) remembers(token string) bool {
	return r.verifier.verified.find(hashOf(token), r.set.version()) != nil
}

func (r *rotation) check(token string) error {
	_, err := r.verifier.verify(context.Background(), token)
	return err
}

func TestVerified_AWithdrawnKeyEndsItsTokensAtOnce(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	r.publish(t, "first", "second")
	first, second := r.token(t, "first", nil), r.token(t, "second", nil)
	for range 2 {
		require.NoError(t, r.check(first))
		require.NoError(t, r.check(second))
		require.True(t, r.remembers(first))
	}
	version := r.set.version()
	r.publish(t, "first", "second")
	require.Equal(t, version, r.set.version(), "the same keys: nothing is checked anew")
	r.publish(t)
	require.Equal(t, version, r.set.version(), "the provider is away: the last good keys stay in use")
	require.True(t, r.remembers(first))
	require.NoError(t, r.check(first))

	r.publish(t, "second")
	require.Equal(t, models.Unauthenticated, codeOf(t, r.check(first)))
	require.NoError(t, r.check(second), "the other key's tokens go on")
	require.True(t, r.remembers(second))

	// The same id for another key: what was signed with the old one is worth nothing.
	old := r.keys["second"]
	delete(r.keys, "second")
	r.publish(t, "second")
	require.NotEqual(t, old, r.keys["second"])
	require.Equal(t, models.Unauthenticated, codeOf(t, r.check(second)))

	r.keys["second"] = old
	r.publish(t, "second")
	require.NoError(t, r.check(second), "it was the key")
}

// A token that was verified while the set was being replaced counts for the set
// that its key was of.
func TestVerified_ATokenIsOfTheKeysItWasVerifiedWith(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	r.publish(t, "first")
	token := r.token(t, "first", nil)
	verified, err := r.verifier.verifySignature(t.Context(), token)
	require.NoError(t, err)
	r.publish(t, "second")
	r.verifier.verified.remember(hashOf(token), verified)
	require.Equal(t, models.Unauthenticated, codeOf(t, r.check(token)))
}

func TestVerified_TimesAreLookedAtEachTime(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	r.publish(t, "first")
	start := r.now
	token := r.token(t, "first", func(c jwt.MapClaims) {
		c["exp"], c["nbf"], c["iat"] = start.Add(time.Hour).Unix(), start.Unix(), start.Unix()
	})
	require.NoError(t, r.check(token))
	require.True(t, r.remembers(token))
	r.now = start.Add(time.Hour - time.Second)
	require.NoError(t, r.check(token))
	for _, now := range []time.Time{start.Add(time.Hour), start.Add(2 * time.Hour), start.Add(-leeway - time.Second)} {
		r.now = start
		require.NoError(t, r.check(token))
		require.True(t, r.remembers(token))
		r.now = now
		require.Equal(t, models.Unauthenticated, codeOf(t, r.check(token)), "at %s", now)
		require.False(t, r.remembers(token), "what is worth nothing takes no room")
	}
}

func TestVerified_OnlyGoodTokensAreRemembered(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	r.publish(t, "first")
	good := r.token(t, "first", nil)
	require.NoError(t, r.check(good))
	for name, token := range map[string]string{
		"another signature": good[:len(good)-6] + "AAAAAA",
		"expired":           r.token(t, "first", func(c jwt.MapClaims) { c["exp"] = r.now.Unix() }),
		"another issuer":    r.token(t, "first", func(c jwt.MapClaims) { c["iss"] = "j" }),
		"no subject":        r.token(t, "first", func(c jwt.MapClaims) { delete(c, "sub") }),
		"not a token":       "e30.e30.",
	} {
		for range 2 {
			require.Error(t, r.check(token), name)
		}
		require.False(t, r.remembers(token), name)
	}
	require.True(t, r.remembers(good))

	// Nobody reads it again: there is nobody left to.
	r.verifier.parser = nil
	require.NoError(t, r.check(good))
	require.Panics(t, func() { _ = r.check(r.token(t, "first", nil) + "A") })
}

func TestVerified_IsBounded(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	r.publish(t, "first")
	var err error
	r.verifier.verified, err = newVerified(64 << 10)
	require.NoError(t, err)
	long := strings.Repeat("x", 5000)
	for i := range 400 {
		require.NoError(t, r.check(r.token(t, "first", func(c jwt.MapClaims) { c["jti"], c["groups"] = strconv.Itoa(i), long[:i*10] })))
	}
	r.verifier.verified.tokens.CleanUp()
	require.LessOrEqual(t, r.verifier.verified.tokens.WeightedSize(), uint64(64<<10))
	require.Positive(t, r.verifier.verified.tokens.EstimatedSize())
}
