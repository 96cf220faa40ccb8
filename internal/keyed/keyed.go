// Package keyed makes a key for each purpose of the one secret that instances
// share, and hashes with them (HMAC-SHA-256, RFC 2104).
package keyed

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// Derive gives a purpose's key, 32 bytes: who has one purpose's knows nothing of
// another's.
func Derive(secret []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

// Hash hashes with a key. It may be used from any goroutine.
type Hash struct {
	key []byte
	// states are *state: the key is dear to put in place.
	states sync.Pool
}

// state is a hash with its key, and room for what it takes and gives.
type state struct {
	mac       hash.Hash
	room, sum []byte
}

// New is a hash with a purpose's key.
func New(secret []byte, purpose string) *Hash { return &Hash{key: Derive(secret, purpose)} }

// Sum hashes data.
func (h *Hash) Sum(data []byte) [sha256.Size]byte {
	s := h.state()
	defer h.states.Put(s)
	return s.hash(data)
}

// SumOf hashes what is appended to the room that fill is given, which it must not
// keep.
func (h *Hash) SumOf(fill func(room []byte) []byte) [sha256.Size]byte {
	s := h.state()
	defer h.states.Put(s)
	s.room = fill(s.room[:0])
	return s.hash(s.room)
}

func (h *Hash) state() *state {
	if s, ok := h.states.Get().(*state); ok {
		return s
	}
	return &state{mac: hmac.New(sha256.New, h.key)}
}

func (s *state) hash(data []byte) (sum [sha256.Size]byte) {
	s.mac.Reset()
	s.mac.Write(data)
	s.sum = s.mac.Sum(s.sum[:0])
	copy(sum[:], s.sum)
	return sum
}
