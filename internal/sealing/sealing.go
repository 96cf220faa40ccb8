// Package sealing encrypts what is kept, or handed out, so that the server alone can read
// it: AES-256-GCM with a key for each purpose of the one secret that instances share,
// bound to what it belongs to. What is sealed for one clinic, account or list is opened
// for no other.
package sealing

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"

	"github.com/taskmed/taskmed/internal/keyed"
)

// ErrSealed is returned for what was sealed with another secret, for another purpose, or
// bound to something else, and for what was never sealed.
var ErrSealed = errors.New("sealing: it cannot be opened; was TASKMED_SECRET changed?")

// Box seals for one purpose. It may be used from any goroutine. What is sealed is longer
// by 28 bytes: the nonce before it and the tag after it.
type Box struct {
	aead cipher.AEAD
	// nonces is nil where nonces are random.
	nonces []byte
}

// New is a box whose key follows from the secret and the purpose. The same text, sealed
// twice, looks different. For one purpose 2³² texts may be sealed (NIST SP 800-38D,
// section 8.3).
func New(secret []byte, purpose string) (*Box, error) {
	block, err := aes.NewCipher(keyed.Derive(secret, purpose))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &Box{aead: aead}, err
}

// NewRepeatable is a box that seals the same text with the same binding to the same
// bytes, and so tells who compares them that they are the same. Its nonces are derived
// from both (as in a synthetic initialization vector, RFC 5297): they repeat only where
// the whole does.
func NewRepeatable(secret []byte, purpose string) (*Box, error) {
	b, err := New(secret, purpose+" seal")
	if err != nil {
		return nil, err
	}
	b.nonces = keyed.Derive(secret, purpose+" nonce")
	return b, nil
}

// Seal seals a text, bound to something.
func (b *Box) Seal(plain, bound []byte) []byte {
	nonce := make([]byte, b.aead.NonceSize(), b.aead.NonceSize()+len(plain)+b.aead.Overhead())
	if b.nonces == nil {
		_, _ = rand.Read(nonce) // it never fails, says crypto/rand
	} else {
		mac := hmac.New(sha256.New, b.nonces)
		mac.Write(bound)
		mac.Write(plain)
		copy(nonce, mac.Sum(nil))
	}
	return b.aead.Seal(nonce, nonce, plain, bound)
}

// Open opens what was sealed with the same binding, or gives ErrSealed.
func (b *Box) Open(sealed, bound []byte) ([]byte, error) {
	size := b.aead.NonceSize()
	if len(sealed) < size {
		return nil, ErrSealed
	}
	plain, err := b.aead.Open(nil, sealed[:size], sealed[size:], bound)
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}
