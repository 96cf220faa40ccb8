// Package auth turns what a request carries, a bearer token or a partner's
// key, into a tenant.Scope: who asks, for which clinic and in which role.
//
// A token says who somebody is and nothing more; the role comes from the
// subject's membership in the clinic, asked for at every request, so that a
// membership that was revoked is worth nothing from the next request on.
package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/taskmed/taskmed/internal/tenant"
)

// Config says whose tokens are believed and where rights are looked up.
type Config struct {
	// Memberships and Keys are asked once per request. Store implements both; a
	// cache may stand before it if it forgets what changes the moment it does.
	// What they give is not changed here, so it may be shared.
	Memberships Memberships
	Keys        Keys

	// JWKSURL is where the identity provider publishes its keys (RFC 7517),
	// with https, or http on loopback. Empty: no provider's tokens are believed.
	JWKSURL string
	// Issuer and Audience must be in a provider's token, letter for letter, as
	// its "iss" and among its "aud". They may be empty only beside a DevKey.
	Issuer   string
	Audience string
	// AllowPlainHTTP lets JWKSURL be http on other hosts than loopback, where
	// whoever sits between can sign in as anybody.
	AllowPlainHTTP bool

	// DevKey, if set, is believed too. Never set it in production.
	DevKey *DevKey

	// Log is told about key sets that cannot be fetched; nil discards it.
	Log *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Authenticator checks credentials. It may be used from any goroutine.
type Authenticator struct {
	memberships Memberships
	keys        Keys
	tokens      *tokenVerifier
	used        *usage
	now         func() time.Time

	stop    context.CancelFunc
	running sync.WaitGroup
}

// Grant is what valid credentials are worth.
type Grant struct {
	Scope *tenant.Scope
	// ExpiresAt is when the token or key expires, zero for never. A connection
	// that outlives a request, such as a WebSocket, must end by then.
	ExpiresAt time.Time
}

// New makes an Authenticator and starts fetching the provider's keys; it does
// not wait for them, so an outage of the provider does not keep a server from
// starting. Close it.
func New(cfg Config) (*Authenticator, error) {
	if cfg.Memberships == nil || cfg.Keys == nil {
		return nil, errors.New("auth: memberships and keys are needed")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.JWKSURL == "" && cfg.DevKey == nil {
		return nil, errors.New("auth: nobody could sign in: set TASKMED_JWKS_URL to the identity provider's key set")
	}
	if cfg.JWKSURL != "" && cfg.DevKey == nil && (cfg.Issuer == "" || cfg.Audience == "") {
		return nil, errors.New("auth: TASKMED_JWT_ISSUER and TASKMED_JWT_AUDIENCE are needed beside TASKMED_JWKS_URL: " +
			"without them a token that the provider made for another application would be believed")
	}
	a := &Authenticator{
		memberships: cfg.Memberships,
		keys:        cfg.Keys,
		used:        newUsage(cfg.Keys, cfg.Log),
		now:         cfg.Now,
	}
	var set *keySet
	if cfg.JWKSURL != "" {
		var err error
		if set, err = newKeySet(cfg.JWKSURL, cfg.AllowPlainHTTP, cfg.Log, cfg.Now); err != nil {
			return nil, err
		}
	}
	var err error
	if a.tokens, err = newTokenVerifier(cfg, set); err != nil {
		return nil, err
	}

	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	a.running.Go(func() { a.used.run(ctx) })
	if set != nil {
		a.running.Go(func() { set.run(ctx) })
	}
	return a, nil
}

// Close ends what runs in the background and waits for it.
func (a *Authenticator) Close() {
	a.stop()
	a.running.Wait()
}

// Authenticate gives the scope of an HTTP request. It reads two headers,
// Authorization and X-Clinic-Id; a token in the URL is never looked at, since
// URLs end up in logs.
//
// Its errors are *models.Error: UNAUTHENTICATED where the credentials are
// missing or worth nothing, FORBIDDEN where they are good but not for this
// clinic, BAD_USER_INPUT where X-Clinic-Id is no id at all, UNAVAILABLE where
// the answer cannot be known at the moment.
func (a *Authenticator) Authenticate(ctx context.Context, r *http.Request) (*tenant.Scope, error) {
	credentials, err := FromHeader(r.Header)
	if err != nil {
		return nil, err
	}
	grant, err := a.Check(ctx, credentials)
	if err != nil {
		return nil, err
	}
	return grant.Scope, nil
}

// Check gives what credentials are worth, with the errors of Authenticate. It
// is for those that do not come in HTTP headers, such as a WebSocket's
// connection_init.
func (a *Authenticator) Check(ctx context.Context, credentials Credentials) (*Grant, error) {
	bearer, err := credentials.bearer()
	if err != nil {
		return nil, err
	}
	if isKey(bearer) {
		return a.checkKey(ctx, bearer, credentials.ClinicID)
	}
	return a.checkToken(ctx, bearer, credentials.ClinicID)
}

func (a *Authenticator) checkToken(ctx context.Context, bearer, wantedClinic string) (*Grant, error) {
	identity, err := a.tokens.verify(ctx, bearer)
	if err != nil {
		return nil, err
	}
	all, err := a.memberships.Of(ctx, identity.subject)
	if err != nil {
		return nil, unavailable(err)
	}
	membership, err := pick(all, wantedClinic)
	if err != nil {
		return nil, err
	}
	name := identity.name
	if name == "" {
		name = membership.SubjectName
	}
	return &Grant{
		Scope: &tenant.Scope{
			Subject:     identity.subject,
			Name:        name,
			ClinicID:    membership.ClinicID,
			Role:        membership.Role,
			Permissions: membership.Permissions,
		},
		ExpiresAt: identity.expiresAt,
	}, nil
}
