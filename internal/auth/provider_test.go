package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	issuer   = "https://id.example/realms/clinics"
	audience = "taskmed-api"
)

// clock is a clock that stands still unless told to go on.
type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.now.Store(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).Unix())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(c.now.Load(), 0).UTC() }
func (c *clock) Advance(d time.Duration) { c.now.Add(int64(d / time.Second)) }

// signer is one of a provider's keys.
type signer struct {
	kid     string
	method  jwt.SigningMethod
	private crypto.Signer
}

func newSigner(tb testing.TB, kid, alg string) *signer {
	tb.Helper()
	s := &signer{kid: kid, method: jwt.GetSigningMethod(alg)}
	var err error
	switch alg {
	case "ES256":
		s.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		s.private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		s.private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, s.private, err = ed25519.GenerateKey(rand.Reader)
	default:
		s.private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	require.NoError(tb, err)
	return s
}

func (s *signer) jwk(tb testing.TB, metadata jwkset.JWKMetadataOptions) jwkset.JWKMarshal {
	tb.Helper()
	metadata.KID = s.kid
	key, err := jwkset.NewJWKFromKey(s.private.Public(), jwkset.JWKOptions{Metadata: metadata})
	require.NoError(tb, err)
	return key.Marshal()
}

// token signs claims; header entries are put beside the usual ones, nil ones
// taken out.
func (s *signer) token(tb testing.TB, claims jwt.MapClaims, header map[string]any) string {
	tb.Helper()
	token := jwt.NewWithClaims(s.method, claims)
	token.Header["kid"] = s.kid
	for name, value := range header {
		token.Header[name] = value
		if value == nil {
			delete(token.Header, name)
		}
	}
	signed, err := token.SignedString(s.private)
	require.NoError(tb, err)
	return signed
}

// provider is an identity provider's key set over HTTP.
type provider struct {
	*httptest.Server
	fetches atomic.Int64

	mu   sync.Mutex
	body []byte
	down bool
}

func newProvider(tb testing.TB, signers ...*signer) *provider {
	tb.Helper()
	p := &provider{}
	p.publish(tb, signers...)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.fetches.Add(1)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.down {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		_, _ = w.Write(p.body)
	}))
	tb.Cleanup(p.Close)
	return p
}

func (p *provider) publish(tb testing.TB, signers ...*signer) {
	tb.Helper()
	keys := make([]jwkset.JWKMarshal, len(signers))
	for i, s := range signers {
		keys[i] = s.jwk(tb, jwkset.JWKMetadataOptions{USE: jwkset.UseSig})
	}
	p.publishKeys(tb, keys...)
}

func (p *provider) publishKeys(tb testing.TB, keys ...jwkset.JWKMarshal) {
	tb.Helper()
	body, err := json.Marshal(jwkset.JWKSMarshal{Keys: keys})
	require.NoError(tb, err)
	p.answer(string(body))
}

func (p *provider) answer(body string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.body = []byte(body)
}

func (p *provider) fail(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// world is a database with two clinics, a provider and an Authenticator.
type world struct {
	*testkit.Database
	clock    *clock
	a, b     *testkit.Clinic
	store    *auth.Store
	signer   *signer
	provider *provider
	auth     *auth.Authenticator
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{Database: testkit.NewDatabase(tb), clock: newClock(), signer: newSigner(tb, "first", "ES256")}
	w.a, w.b = w.NewClinic(tb, "aurora"), w.NewClinic(tb, "horizonte")
	w.store = auth.NewStore(w.DB)
	w.provider = newProvider(tb, w.signer)
	w.auth = w.open(tb, func(*auth.Config) {})
	return w
}

// open makes an Authenticator over the world with another configuration.
func (w *world) open(tb testing.TB, change func(*auth.Config)) *auth.Authenticator {
	tb.Helper()
	config := auth.Config{
		Memberships: w.store, Keys: w.store, JWKSURL: w.provider.URL, Issuer: issuer, Audience: audience, Now: w.clock.Now,
	}
	change(&config)
	a, err := auth.New(config)
	require.NoError(tb, err)
	tb.Cleanup(a.Close)
	return a
}

// claims are what a provider's token says of a subject.
func (w *world) claims(subject string) jwt.MapClaims {
	now := w.clock.Now()
	return jwt.MapClaims{
		"iss": issuer, "aud": audience, "sub": subject, "name": "Ana Prado",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

func (w *world) tokenOf(tb testing.TB, clinic *testkit.Clinic, role models.Role) string {
	tb.Helper()
	return w.signer.token(tb, w.claims(testkit.Subject(clinic.Slug, role)), nil)
}

func bearer(token string) auth.Credentials { return auth.Credentials{Authorization: "Bearer " + token} }

func inClinic(token string, clinic *testkit.Clinic) auth.Credentials {
	return auth.Credentials{Authorization: "Bearer " + token, ClinicID: models.KindClinic.Global(clinic.ID)}
}

// refused wants an error with a code and gives its words.
func refused(tb testing.TB, err error, code models.Code) string {
	tb.Helper()
	var coded *models.Error
	require.ErrorAs(tb, err, &coded)
	require.Equal(tb, code, coded.Code, "%v", err)
	require.NotEmpty(tb, coded.Message)
	return coded.Message
}
