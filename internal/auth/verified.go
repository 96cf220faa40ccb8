package auth

import (
	"crypto/sha256"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
	"github.com/maypok86/otter/v2"
)

// verifiedBytes bounds what is remembered of tokens, roughly in bytes: about ten
// thousand of usual ones.
const verifiedBytes = 8 << 20

// tokenHash stands for a token; the tokens themselves are not kept.
type tokenHash = [sha256.Size]byte

// verified remembers tokens whose signature was good, so that it is checked once
// per token and not once per request: it takes longer than all the rest of an
// answer from the cache. Only the signature is taken as read; what depends on the
// time is looked at whenever the token is used.
type verified struct {
	tokens *otter.Cache[tokenHash, *verifiedToken]
}

// verifiedToken is what a token says whose signature was good.
type verifiedToken struct {
	claims jwt.RegisteredClaims
	name   string
	// validator has the claims that are right for who signed.
	validator *jwt.Validator
	// keys is the version of the key set with which the signature was good. It is
	// worth nothing with any other: the key may have been withdrawn.
	keys  uint64
	bytes int
}

// weight is what remembering a token takes, roughly: no claim is longer than the
// token that it stands in.
func (t *verifiedToken) weight() uint32 { return uint32(512 + t.bytes) }

func newVerified(bytes uint64) (*verified, error) {
	tokens, err := otter.New(&otter.Options[tokenHash, *verifiedToken]{
		MaximumWeight: bytes,
		Weigher:       func(_ tokenHash, token *verifiedToken) uint32 { return token.weight() },
	})
	if err != nil {
		return nil, fmt.Errorf("auth: remember verified tokens: %w", err)
	}
	return &verified{tokens: tokens}, nil
}

// find gives what is remembered of a token, nil if it must be verified.
func (v *verified) find(token tokenHash, keys uint64) *verifiedToken {
	known, ok := v.tokens.GetIfPresent(token)
	if !ok {
		return nil
	}
	if known.keys != keys {
		v.forget(token)
		return nil
	}
	return known
}

func (v *verified) remember(token tokenHash, known *verifiedToken) { v.tokens.Set(token, known) }

func (v *verified) forget(token tokenHash) { v.tokens.Invalidate(token) }
