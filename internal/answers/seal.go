package answers

import (
	"crypto/hmac"

	"github.com/taskmed/taskmed/internal/keyed"
)

// sealBytes is how long a seal is: as much of an HMAC-SHA-256 as nobody can guess
// (RFC 2104, section 5).
const sealBytes = 16

// sealer ends values in Redis with a keyed hash, so that only who knows the
// instances' secret can make one that is served: neither damage nor somebody who
// can write to Redis.
type sealer struct{ *keyed.Hash }

func newSealer(secret []byte) sealer { return sealer{keyed.New(secret, "taskmed kept answer 1")} }

// seal appends the seal of a value to it.
func (s sealer) seal(value []byte) []byte {
	sum := s.Sum(value)
	return append(value, sum[:sealBytes]...)
}

// open gives a value, of sealBytes at least, without its seal; false if that is
// not its own.
func (s sealer) open(sealed []byte) (value []byte, own bool) {
	value, seal := sealed[:len(sealed)-sealBytes], sealed[len(sealed)-sealBytes:]
	sum := s.Sum(value)
	return value, hmac.Equal(sum[:sealBytes], seal)
}
