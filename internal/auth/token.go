package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
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
}

func newTokenVerifier(cfg Config, set *keySet) *tokenVerifier {
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
	}
}

// verify checks signature and claims.
func (v *tokenVerifier) verify(ctx context.Context, bearer string) (identity, error) {
	var claims tokenClaims
	validator := v.provider
	_, err := v.parser.ParseWithClaims(bearer, &claims, func(token *jwt.Token) (any, error) {
		// RFC 7515, section 4.1.11: what is critical and not understood is refused.
		if _, critical := token.Header["crit"]; critical {
			return nil, errHeader
		}
		kid, _ := token.Header["kid"].(string) // a token without one is tried with every key
		if v.devKey != nil && kid == v.devKey.id {
			if token.Method != jwt.SigningMethodEdDSA {
				return nil, errUnknownSigner
			}
			validator = v.dev
			return v.devKey.private.Public(), nil
		}
		if v.set == nil {
			return nil, errUnknownSigner
		}
		keys, err := v.set.find(ctx, kid, token.Method.Alg())
		if err != nil {
			return nil, err
		}
		return jwt.VerificationKeySet{Keys: keys}, nil
	})
	if errors.Is(err, errNoKeySet) || ctx.Err() != nil {
		return identity{}, unavailable(errors.Join(err, ctx.Err()))
	}
	if err != nil {
		return identity{}, unauthenticated(sayInvalidToken, err)
	}
	if err := validator.Validate(&claims); err != nil {
		// Only one who holds a well-signed token learns that it is old, and
		// only if nothing else is wrong with it.
		if onlyExpired(err) {
			return identity{}, unauthenticated(sayExpiredToken, err)
		}
		return identity{}, unauthenticated(sayInvalidToken, err)
	}
	if !v.now().Before(claims.ExpiresAt.Time) {
		return identity{}, unauthenticated(sayExpiredToken, jwt.ErrTokenExpired)
	}
	if err := checkSubject(claims.Subject); err != nil {
		return identity{}, unauthenticated(sayInvalidToken, err)
	}
	return identity{subject: claims.Subject, name: cleanName(claims.Name), expiresAt: claims.ExpiresAt.Time}, nil
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
	case strings.HasPrefix(subject, keySubject):
		return fmt.Errorf("%w: it begins with %q", errSubject, keySubject)
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
