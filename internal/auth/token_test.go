package auth_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

func TestToken_EveryAllowedAlgorithm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := testkit.Subject("aurora", models.RoleOwner)
	algorithms := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	signers := make([]*signer, len(algorithms))
	for i, alg := range algorithms {
		signers[i] = newSigner(t, "key-of-"+alg, alg)
	}
	w.provider.publish(t, signers...)
	for i, alg := range algorithms {
		_, err := w.auth.Check(t.Context(), bearer(signers[i].token(t, w.claims(owner), nil)))
		require.NoError(t, err, alg)
		_, err = w.auth.Check(t.Context(), bearer(newSigner(t, "key-of-"+alg, alg).token(t, w.claims(owner), nil)))
		refused(t, err, models.Unauthenticated)
	}
}

func TestToken_ClaimsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner, now := testkit.Subject("aurora", models.RoleOwner), w.clock.Now()
	_, err := w.auth.Check(t.Context(), bearer("a.b.c"))
	invalid := refused(t, err, models.Unauthenticated)
	_, err = w.auth.Check(t.Context(), bearer(w.signer.token(t, jwt.MapClaims{
		"iss": issuer, "aud": audience, "sub": owner, "exp": now.Unix(),
	}, nil)))
	expired := refused(t, err, models.Unauthenticated)
	require.NotEqual(t, invalid, expired)

	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for name, tc := range map[string]struct {
		change jwt.MapClaims
		words  string // empty: accepted
	}{
		"as it is":                {},
		"several audiences":       {change: jwt.MapClaims{"aud": []string{"other", audience}}},
		"issued a minute ahead":   {change: jwt.MapClaims{"iat": at(time.Minute), "nbf": at(time.Minute)}},
		"no iat":                  {change: jwt.MapClaims{"iat": nil}},
		"a name that is none":     {change: jwt.MapClaims{"name": 7}},
		"a second left":           {change: jwt.MapClaims{"exp": at(time.Second)}},
		"expired this second":     {change: jwt.MapClaims{"exp": at(0)}, words: expired},
		"expired an hour ago":     {change: jwt.MapClaims{"exp": at(-time.Hour)}, words: expired},
		"expired, another issuer": {change: jwt.MapClaims{"exp": at(-time.Hour), "iss": "https://evil.example"}, words: invalid},
		"never expires":           {change: jwt.MapClaims{"exp": nil}, words: invalid},
		"exp that is text":        {change: jwt.MapClaims{"exp": "tomorrow"}, words: invalid},
		"exp of 0":                {change: jwt.MapClaims{"exp": 0}, words: expired},
		"not yet":                 {change: jwt.MapClaims{"nbf": at(61 * time.Second)}, words: invalid},
		"issued in the future":    {change: jwt.MapClaims{"iat": at(61 * time.Second)}, words: invalid},
		"another issuer":          {change: jwt.MapClaims{"iss": "https://evil.example"}, words: invalid},
		"issuer with a slash":     {change: jwt.MapClaims{"iss": issuer + "/"}, words: invalid},
		"no issuer":               {change: jwt.MapClaims{"iss": nil}, words: invalid},
		"another audience":        {change: jwt.MapClaims{"aud": "another-app"}, words: invalid},
		"no audience":             {change: jwt.MapClaims{"aud": nil}, words: invalid},
		"no subject":              {change: jwt.MapClaims{"sub": nil}, words: invalid},
		"empty subject":           {change: jwt.MapClaims{"sub": ""}, words: invalid},
		"long subject":            {change: jwt.MapClaims{"sub": strings.Repeat("s", 256)}, words: invalid},
		"subject with a NUL":      {change: jwt.MapClaims{"sub": owner + "\x00"}, words: invalid},
		"a partner key's subject": {change: jwt.MapClaims{"sub": "key:api_key_01h455vb4pex5vsknk084sn02q"}, words: invalid},
		"roles in the token":      {change: jwt.MapClaims{"role": "PARTNER", "roles": []string{"PARTNER"}}},
	} {
		claims := w.claims(owner)
		maps.Copy(claims, tc.change)
		for name, value := range tc.change {
			if value == nil {
				delete(claims, name)
			}
		}
		grant, err := w.auth.Check(t.Context(), bearer(w.signer.token(t, claims, nil)))
		if tc.words == "" {
			require.NoError(t, err, name)
			require.Equal(t, models.RoleOwner, grant.Scope.Role, name)
			continue
		}
		require.Equal(t, tc.words, refused(t, err, models.Unauthenticated), name)
	}
}

// sign makes a token by hand, so that the header can say anything.
func sign(t *testing.T, header map[string]any, claims jwt.MapClaims, signature func(text string) []byte) string {
	t.Helper()
	head, err := json.Marshal(header)
	require.NoError(t, err)
	body, err := json.Marshal(claims)
	require.NoError(t, err)
	text := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature(text))
}

func TestToken_AlgorithmConfusion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rsaSigner := newSigner(t, "rsa", "RS256")
	bare := newSigner(t, "bare", "RS256") // published without "alg" and "use"
	encryption := newSigner(t, "enc", "RS256")
	curve := newSigner(t, "p384", "ES384")
	secret := []byte("a symmetric key that the provider should not publish")
	w.provider.publishKeys(t,
		w.signer.jwk(t, jwkset.JWKMetadataOptions{}),
		rsaSigner.jwk(t, jwkset.JWKMetadataOptions{ALG: jwkset.AlgRS256, USE: jwkset.UseSig}),
		bare.jwk(t, jwkset.JWKMetadataOptions{}),
		encryption.jwk(t, jwkset.JWKMetadataOptions{USE: jwkset.UseEnc}),
		curve.jwk(t, jwkset.JWKMetadataOptions{}),
		jwkset.JWKMarshal{KTY: jwkset.KtyOct, KID: "oct", K: base64.RawURLEncoding.EncodeToString(secret)},
	)
	claims := w.claims(testkit.Subject("aurora", models.RoleOwner))
	hmac := func(key []byte) func(string) []byte {
		return func(text string) []byte {
			signature, err := jwt.SigningMethodHS256.Sign(text, key)
			require.NoError(t, err)
			return signature
		}
	}
	publicDER, err := x509.MarshalPKIXPublicKey(rsaSigner.private.Public())
	require.NoError(t, err)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER})
	modulus, ok := rsaSigner.private.Public().(*rsa.PublicKey)
	require.True(t, ok)
	nothing := func(string) []byte { return nil }

	pss := *rsaSigner
	pss.method = jwt.SigningMethodPS256
	// A P-256 key under the name of a P-384 one's algorithm, its numbers padded.
	wrongCurve := func(text string) []byte {
		sum := sha512.Sum384([]byte(text))
		private, ok := w.signer.private.(*ecdsa.PrivateKey)
		require.True(t, ok)
		r, v, err := ecdsa.Sign(rand.Reader, private, sum[:])
		require.NoError(t, err)
		return append(r.FillBytes(make([]byte, 48)), v.FillBytes(make([]byte, 48))...)
	}
	good := rsaSigner.token(t, claims, nil)
	spare := good[:len(good)-1] + string(good[len(good)-1]+1) // differs in bits that base64 does not use
	for name, token := range map[string]string{
		"none":                         sign(t, map[string]any{"alg": "none", "kid": "rsa"}, claims, nothing),
		"None":                         sign(t, map[string]any{"alg": "None", "kid": "rsa"}, claims, nothing),
		"no alg":                       sign(t, map[string]any{"kid": "rsa"}, claims, nothing),
		"HS256 with the public PEM":    sign(t, map[string]any{"alg": "HS256", "kid": "rsa"}, claims, hmac(publicPEM)),
		"HS256 with the public DER":    sign(t, map[string]any{"alg": "HS256", "kid": "rsa"}, claims, hmac(publicDER)),
		"HS256 with the modulus":       sign(t, map[string]any{"alg": "HS256", "kid": "rsa"}, claims, hmac(modulus.N.Bytes())),
		"HS256 with a published key":   sign(t, map[string]any{"alg": "HS256", "kid": "oct"}, claims, hmac(secret)),
		"HS256 with no key":            sign(t, map[string]any{"alg": "HS256"}, claims, hmac([]byte{})),
		"RS256 without a signature":    sign(t, map[string]any{"alg": "RS256", "kid": "rsa"}, claims, nothing),
		"another algorithm of the key": pss.token(t, claims, nil),
		"another curve":                sign(t, map[string]any{"alg": "ES384", "kid": "first"}, claims, wrongCurve),
		"spare bits of the encoding":   spare,
		"a key for encryption":         encryption.token(t, claims, nil),
		"another key's id":             rsaSigner.token(t, claims, map[string]any{"kid": "bare"}),
		"its own key beside it":        newSigner(t, "rsa", "RS256").token(t, claims, map[string]any{"jwk": rsaSigner.jwk(t, jwkset.JWKMetadataOptions{})}),
		"a critical extension":         rsaSigner.token(t, claims, map[string]any{"crit": []string{"b64"}, "b64": false}),
		"a kid that is no text":        newSigner(t, "", "RS256").token(t, claims, map[string]any{"kid": 7}),
		"padding":                      good + "=",
		"four parts":                   good + ".e30",
	} {
		_, err := w.auth.Check(t.Context(), bearer(token))
		refused(t, err, models.Unauthenticated)
		require.NotContains(t, err.Error(), token, name)
	}
	for name, token := range map[string]string{
		"its own algorithm":   good,
		"any that fits":       bare.token(t, claims, nil),
		"its own curve":       curve.token(t, claims, nil),
		"no kid":              rsaSigner.token(t, claims, map[string]any{"kid": nil}),
		"typed as RFC 9068":   bare.token(t, claims, map[string]any{"typ": "at+jwt"}),
		"the first published": w.signer.token(t, claims, nil),
	} {
		_, err := w.auth.Check(t.Context(), bearer(token))
		require.NoError(t, err, name)
	}
}

func TestToken_LongerThanEightKilobytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	claims := w.claims(testkit.Subject("aurora", models.RoleOwner))
	claims["groups"] = strings.Repeat("g", 5000)
	_, err := w.auth.Check(t.Context(), bearer(w.signer.token(t, claims, nil)))
	require.NoError(t, err)
	claims["groups"] = strings.Repeat("g", 7000)
	_, err = w.auth.Check(t.Context(), bearer(w.signer.token(t, claims, nil)))
	refused(t, err, models.Unauthenticated)
}

func TestToken_NameIsOneLineOfBoundedLength(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	claims := w.claims(testkit.Subject("aurora", models.RoleOwner))
	claims["name"] = "  Ana\r\n\x00Prado " + strings.Repeat("ç", 300)
	grant, err := w.auth.Check(t.Context(), bearer(w.signer.token(t, claims, nil)))
	require.NoError(t, err)
	require.Equal(t, "Ana Prado "+strings.Repeat("ç", 190), grant.Scope.Name)
}

func TestToken_WithoutExpectationsOnlyBesideTheDevKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lax := w.open(t, func(c *auth.Config) { c.Issuer, c.Audience, c.DevKey = "", "", newDevKey(t) })
	claims := w.claims(testkit.Subject("aurora", models.RoleOwner))
	claims["iss"], claims["aud"] = "https://other.example", "other"
	token := w.signer.token(t, claims, nil)
	_, err := lax.Check(t.Context(), bearer(token))
	require.NoError(t, err)
	_, err = w.auth.Check(t.Context(), bearer(token))
	refused(t, err, models.Unauthenticated)
}
