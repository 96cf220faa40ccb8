package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/taskmed/taskmed/models"
)

// leeway is how far the provider's clock may be ahead of ours. A token's end
// is taken as it stands: one that is late to end is one that was not revoked.
const leeway = time.Minute

const (
	maxSubject = 255 // as the memberships' column has it, in characters
	maxName    = 200
)

// identity is what a token that was verified says.
type identity struct {
	subject   string
	name      string
	expiresAt time.Time
}

type tokenClaims struct {
	jwt.RegisteredClaims
	// Name is a text in OpenID Connect; what else a provider may put there is
	// no reason to refuse its user.
	Name any `json:"name"`
}

// tokenVerifier checks tokens against the provider's key set and, if there is
// one, the development key.
type tokenVerifier struct {
	parser *jwt.Parser
	now    func() time.Time

	set      *keySet // nil without a provider
	provider *jwt.Validator

	devKey *DevKey // nil in production
	dev    *jwt.Validator

	verified *verified
}

func newTokenVerifier(cfg Config, set *keySet) (*tokenVerifier, error) {
	verified, err := newVerified(verifiedBytes)
	if err != nil {
		return nil, err
	}
	common := []jwt.ParserOption{
		jwt.WithTimeFunc(cfg.Now), jwt.WithLeeway(leeway), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
	}
	provider := common
	if cfg.Issuer != "" {
		provider = append(slices.Clip(provider), jwt.WithIssuer(cfg.Issuer))
	}
	if cfg.Audience != "" {
		provider = append(slices.Clip(provider), jwt.WithAudience(cfg.Audience))
	}
	dev := append(slices.Clip(common), jwt.WithIssuer(devIssuer), jwt.WithAudience(devAudience))
	return &tokenVerifier{
		// Signatures by shared secrets (HS256 and its like) are left out for
		// good: with them, whoever knows a public key could sign.
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{
				"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
			}),
			// Which claims are right depends on who signed.
			jwt.WithoutClaimsValidation(),
			jwt.WithStrictDecoding(),
		),
		now:      cfg.Now,
		set:      set,
		provider: jwt.NewValidator(provider...),
		devKey:   cfg.DevKey,
		dev:      jwt.NewValidator(dev...),
		verified: verified,
	}, nil
}

// verify checks signature and claims: the signature of a token once, as long as
// the keys stay the same, and the claims each time.
func (v *tokenVerifier) verify(ctx context.Context, bearer string) (identity, error) {
	hash := sha256.Sum256([]byte(bearer))
	token := v.verified.find(hash, v.keys())
	known := token != nil
	if !known {
		var err error
		if token, err = v.verifySignature(ctx, bearer); err != nil {
			return identity{}, err
		}
	}
	if err := v.checkClaims(token); err != nil {
		if known {
			v.verified.forget(hash)
		}
		return identity{}, err
	}
	if !known {
		v.verified.remember(hash, token)
	}
	return identity{subject: token.claims.Subject, name: token.name, expiresAt: token.claims.ExpiresAt.Time}, nil
}

// keys is the version of the keys that are believed now. The development key
// never changes.
func (v *tokenVerifier) keys() uint64 {
	if v.set == nil {
		return 0
	}
	return v.set.version()
}

// verifySignature gives what a token says if somebody signed it who is believed.
func (v *tokenVerifier) verifySignature(ctx context.Context, bearer string) (*verifiedToken, error) {
	var claims tokenClaims
	token := &verifiedToken{validator: v.provider, keys: v.keys(), bytes: len(bearer)}
	_, err := v.parser.ParseWithClaims(bearer, &claims, func(parsed *jwt.Token) (any, error) {
		// RFC 7515, section 4.1.11: what is critical and not understood is refused.
		if _, critical := parsed.Header["crit"]; critical {
			return nil, errHeader
		}
		kid, _ := parsed.Header["kid"].(string) // a token without one is tried with every key
		if v.devKey != nil && kid == v.devKey.id {
			if parsed.Method != jwt.SigningMethodEdDSA {
				return nil, errUnknownSigner
			}
			token.validator = v.dev
			return v.devKey.private.Public(), nil
		}
		if v.set == nil {
			return nil, errUnknownSigner
		}
		keys, version, err := v.set.find(ctx, kid, parsed.Method.Alg())
		if err != nil {
			return nil, err
		}
		// That of the keys themselves: the set may be another by now.
		token.keys = version
		return jwt.VerificationKeySet{Keys: keys}, nil
	})
	if errors.Is(err, errNoKeySet) || ctx.Err() != nil {
		return nil, unavailable(errors.Join(err, ctx.Err()))
	}
	if err != nil {
		return nil, unauthenticated(sayInvalidToken, err)
	}
	token.claims, token.name = claims.RegisteredClaims, cleanName(claims.Name)
	return token, nil
}

// checkClaims checks what a well-signed token says.
func (v *tokenVerifier) checkClaims(token *verifiedToken) error {
	if err := token.validator.Validate(&token.claims); err != nil {
		// Only one who holds a well-signed token learns that it is old, and
		// only if nothing else is wrong with it.
		if onlyExpired(err) {
			return unauthenticated(sayExpiredToken, err)
		}
		return unauthenticated(sayInvalidToken, err)
	}
	if !v.now().Before(token.claims.ExpiresAt.Time) {
		return unauthenticated(sayExpiredToken, jwt.ErrTokenExpired)
	}
	if err := checkSubject(token.claims.Subject); err != nil {
		return unauthenticated(sayInvalidToken, err)
	}
	return nil
}

func onlyExpired(err error) bool {
	if !errors.Is(err, jwt.ErrTokenExpired) {
		return false
	}
	for _, other := range []error{
		jwt.ErrTokenNotValidYet, jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenInvalidIssuer,
		jwt.ErrTokenInvalidAudience, jwt.ErrTokenRequiredClaimMissing,
	} {
		if errors.Is(err, other) {
			return false
		}
	}
	return true
}

// checkSubject refuses what could not be a membership's subject, and what
// could be taken for a partner's key.
func checkSubject(subject string) error {
	length := utf8.RuneCountInString(subject)
	switch {
	case length < 1 || length > maxSubject:
		return fmt.Errorf("%w: it has %d characters, 1 to %d are possible", errSubject, length, maxSubject)
	case !utf8.ValidString(subject) || strings.ContainsFunc(subject, unicode.IsControl):
		return fmt.Errorf("%w: it has control characters", errSubject)
	case strings.HasPrefix(subject, models.KeySubject):
		return fmt.Errorf("%w: it begins with %q", errSubject, models.KeySubject)
	}
	return nil
}

// cleanName makes a claim fit to be shown: a text of one line, cut off at
// maxName characters.
func cleanName(claim any) string {
	text, _ := claim.(string) // anything else is no name
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	runes := []rune(strings.Join(strings.Fields(text), " "))
	return string(runes[:min(len(runes), maxName)])
}
