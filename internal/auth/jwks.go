package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

const (
	// refreshEvery bounds how long a key that the provider withdrew is believed.
	refreshEvery = 15 * time.Minute
	// retryEvery is for a provider that did not answer.
	retryEvery = 30 * time.Second
	// askEvery bounds what tokens with made-up key ids cost the provider. The
	// two before it is paid let a rotation right after a start be noticed.
	askEvery = 10 * time.Second
	askBurst = 2
	// fetchTimeout is for a whole fetch, redirects and body included.
	fetchTimeout = 5 * time.Second
	maxKeySet    = 1 << 20 // bytes
	maxKeys      = 100
	maxRedirects = 3
	minRSABits   = 2048
)

// keySet is the identity provider's public keys, fetched in the background.
// While the provider is away the last good ones stay.
//
// keyfunc and jwkset's own HTTP client are not used for this: one odd key, or
// an empty answer, makes them lose the whole set, they read a body of any
// length, and their first fetch either blocks the start or is given up.
type keySet struct {
	url    string
	client *http.Client
	log    *slog.Logger
	now    func() time.Time
	asks   chan chan struct{}
	ready  chan struct{} // closed after the first fetch, good or not
	ended  chan struct{}
	limit  *rate.Limiter
	state  atomic.Pointer[keyState]
}

type keyState struct {
	keys []publicKey
	// version is another whenever the keys are: what was believed with one
	// version is to be checked anew with the next.
	version uint64
	// failed tells that the newest fetch did not succeed, so that a key that
	// is missing here may exist.
	failed bool
}

type publicKey struct {
	id  string
	alg string // empty: any that fits the key's type
	key jwt.VerificationKey
}

func newKeySet(rawURL string, plainHTTP bool, log *slog.Logger, now func() time.Time) (*keySet, error) {
	acceptable := func(u *url.URL) error {
		if u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && (plainHTTP || isLoopback(u.Hostname()))) {
			return nil
		}
		return errors.New("it must be an https URL: over http, whoever sits between could sign in as anybody")
	}
	parsed, err := url.Parse(rawURL)
	if err == nil {
		err = acceptable(parsed)
	}
	if err != nil {
		return nil, fmt.Errorf("auth: TASKMED_JWKS_URL: %w", err)
	}
	return &keySet{
		url: rawURL,
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				DialContext:            (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
				TLSHandshakeTimeout:    3 * time.Second,
				ResponseHeaderTimeout:  fetchTimeout,
				MaxResponseHeaderBytes: 64 << 10,
				ForceAttemptHTTP2:      true,
				// A fetch each quarter of an hour needs no idle connection.
				DisableKeepAlives: true,
			},
			CheckRedirect: func(next *http.Request, via []*http.Request) error {
				if len(via) > maxRedirects {
					return errors.New("too many redirects")
				}
				return acceptable(next.URL)
			},
		},
		log:   log,
		now:   now,
		asks:  make(chan chan struct{}),
		ready: make(chan struct{}),
		ended: make(chan struct{}),
		limit: rate.NewLimiter(rate.Every(askEvery), askBurst),
	}, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// run fetches the set at once, every quarter of an hour, and when asked to. It
// alone fetches, so there is never more than one fetch under way.
func (s *keySet) run(ctx context.Context) {
	defer close(s.ended)
	s.refresh(ctx)
	close(s.ready)
	timer := time.NewTimer(s.pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			s.refresh(ctx)
			timer.Reset(s.pause())
		case done := <-s.asks:
			if s.limit.AllowN(s.now(), 1) {
				s.refresh(ctx)
				timer.Reset(s.pause())
			}
			close(done)
		}
	}
}

func (s *keySet) pause() time.Duration {
	if s.state.Load().failed {
		return retryEvery
	}
	return refreshEvery
}

func (s *keySet) refresh(ctx context.Context) {
	keys, err := s.fetch(ctx)
	next := &keyState{keys: keys, version: 1, failed: err != nil}
	if last := s.state.Load(); last != nil {
		if err != nil {
			next.keys = last.keys
		}
		next.version = last.version
		if !slices.EqualFunc(next.keys, last.keys, publicKey.equal) {
			next.version++
		}
	}
	s.state.Store(next)
	if err == nil {
		return
	}
	if ctx.Err() == nil {
		s.log.WarnContext(ctx, "the identity provider's key set could not be fetched; its last keys stay in use",
			slog.String("url", s.url), slog.Int("keys", len(next.keys)), slog.Any("error", err))
	}
}

func (s *keySet) fetch(ctx context.Context) ([]publicKey, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch the key set: %w", err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetch the key set: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it was read as far as it is wanted
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch the key set: status %d", response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("fetch the key set: %w", err)
	}
	if len(text) > maxKeySet {
		return nil, fmt.Errorf("fetch the key set: longer than %d bytes", maxKeySet)
	}
	return parseKeySet(text)
}

// parseKeySet takes every public key it can use and passes over the others: a
// provider may publish keys for encryption, or of types yet to come. A set
// without any is an error, so that an empty answer does not lock everyone out.
func parseKeySet(text []byte) ([]publicKey, error) {
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	if len(document.Keys) > maxKeys {
		return nil, fmt.Errorf("read the key set: it has %d keys, at most %d are possible", len(document.Keys), maxKeys)
	}
	keys := make([]publicKey, 0, len(document.Keys))
	var odd []error
	for _, raw := range document.Keys {
		key, err := parseKey(raw)
		if err != nil {
			odd = append(odd, err)
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("read the key set: no key in it can be used: %w", errors.Join(odd...))
	}
	return keys, nil
}

func parseKey(raw json.RawMessage) (publicKey, error) {
	var text jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &text); err != nil {
		return publicKey{}, fmt.Errorf("read a key: %w", err)
	}
	if text.USE != "" && text.USE != jwkset.UseSig {
		return publicKey{}, errors.New("read a key: it is not for signatures")
	}
	// The certificates say nothing that the key itself does not.
	text.X5U, text.X5C, text.X5T, text.X5TS256 = "", nil, "", ""
	// Private is left out: symmetric keys are refused, private halves not read.
	parsed, err := jwkset.NewJWKFromMarshal(text, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return publicKey{}, fmt.Errorf("read a key: %w", err)
	}
	key := publicKey{id: text.KID, alg: string(text.ALG), key: parsed.Key()}
	if rsaKey, ok := key.key.(*rsa.PublicKey); ok && rsaKey.N.BitLen() < minRSABits {
		return publicKey{}, fmt.Errorf("read a key: RSA with %d bits, at least %d are needed", rsaKey.N.BitLen(), minRSABits)
	}
	switch key.key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		return key, nil
	default:
		return publicKey{}, fmt.Errorf("read a key: a %T cannot verify", key.key)
	}
}

// version is that of the keys in use; 0 before there are any.
func (s *keySet) version() uint64 {
	if state := s.state.Load(); state != nil {
		return state.version
	}
	return 0
}

// find gives the keys that may have made a signature, and the version of the set
// that they are of, fetching the set anew, within limits, if it has none. Without
// a key id those of every key that fits the algorithm.
func (s *keySet) find(ctx context.Context, kid, alg string) ([]jwt.VerificationKey, uint64, error) {
	// Right after a start: the fetch under way is all that is needed.
	select {
	case <-s.ready:
	case <-ctx.Done():
		return nil, 0, errNoKeySet
	}
	if keys, version := s.fitting(kid, alg); len(keys) > 0 {
		return keys, version, nil
	}
	done := make(chan struct{})
	select {
	case s.asks <- done:
		select {
		case <-done:
		case <-ctx.Done():
		}
	case <-s.ended:
	case <-ctx.Done():
	}
	if keys, version := s.fitting(kid, alg); len(keys) > 0 {
		return keys, version, nil
	}
	if state := s.state.Load(); state == nil || state.failed {
		return nil, 0, errNoKeySet
	}
	return nil, 0, errUnknownSigner
}

func (s *keySet) fitting(kid, alg string) ([]jwt.VerificationKey, uint64) {
	state := s.state.Load()
	if state == nil {
		return nil, 0
	}
	var keys []jwt.VerificationKey
	for _, candidate := range state.keys {
		if (kid == "" || candidate.id == kid) && candidate.fits(alg) {
			keys = append(keys, candidate.key)
		}
	}
	return keys, state.version
}

// equal tells whether two are the same key for the same use.
func (k publicKey) equal(other publicKey) bool {
	key, ok := k.key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.id == other.id && k.alg == other.alg && key.Equal(other.key)
}

// fits tells whether a key is for an algorithm, the curve included, which the
// signature's length alone does not say.
func (k publicKey) fits(alg string) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		switch alg {
		case "ES256":
			return key.Curve == elliptic.P256()
		case "ES384":
			return key.Curve == elliptic.P384()
		case "ES512":
			return key.Curve == elliptic.P521()
		}
		return false
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}
