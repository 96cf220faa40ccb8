package respcache

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// sealBytes is how long a seal is: as much of an HMAC-SHA-256 as nobody can guess
// (RFC 2104, section 5).
const sealBytes = 16

// sealer ends values in Redis with a keyed hash, so that only who knows the
// instances' secret can make one that is served: neither damage nor somebody who
// can write to Redis.
type sealer struct {
	key []byte
	// macs are hash.Hash: the key is dear to put in place.
	macs sync.Pool
}

func newSealer(secret []byte) *sealer {
	// A key of its own, whatever else the secret is for.
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("taskmed kept answer 1"))
	return &sealer{key: mac.Sum(nil)}
}

// seal appends the seal of a value to it.
func (s *sealer) seal(value []byte) []byte {
	sum := s.sum(value)
	return append(value, sum[:sealBytes]...)
}

// open gives a value without its seal; false if that is not its own.
func (s *sealer) open(sealed []byte) (value []byte, own bool) {
	if len(sealed) < sealBytes {
		return nil, false
	}
	value, seal := sealed[:len(sealed)-sealBytes], sealed[len(sealed)-sealBytes:]
	sum := s.sum(value)
	return value, hmac.Equal(sum[:sealBytes], seal)
}

func (s *sealer) sum(value []byte) (sum [sha256.Size]byte) {
	mac, ok := s.macs.Get().(hash.Hash)
	if !ok {
		mac = hmac.New(sha256.New, s.key)
	}
	defer s.macs.Put(mac)
	mac.Reset()
	mac.Write(value)
	mac.Sum(sum[:0])
	return sum
}
