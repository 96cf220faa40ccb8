package answers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/touched"
)

// entryMagic begins every value: four letters and the version of its form.
const entryMagic = "TMRC\x03"

// Entry is one answer that is kept. Whoever gets one must not change it.
type Entry struct {
	// Body is what stands behind "data" in the answer, as JSON.
	Body []byte
	// Tags are what the answer depends on.
	Tags []touched.Tag
	// Protected are the global ids of the protected entities in the answer.
	Protected []string
	// Recipe is what the caller needs to compute the answer anew, in a form of its
	// own; it may be empty.
	Recipe []byte
	// ETag is the caller's; it is kept as it is.
	ETag                string
	StoredAt, ExpiresAt time.Time

	// session is set where this is no answer but what is known of who asks. It is
	// kept in the process alone, where it takes extra bytes.
	session any
	extra   int

	// mark is how far it is known to hold.
	mark coherence.Mark
}

// weight is what the entry takes in the process, in bytes, roughly.
func (e *Entry) weight() uint32 {
	const fixed = 400
	weight := fixed + len(e.Body) + len(e.Recipe) + len(e.ETag) + e.extra
	for _, tag := range e.Tags {
		weight += 16 + len(tag)
	}
	for _, id := range e.Protected {
		weight += 16 + len(id)
	}
	return uint32(weight)
}

// errValue is returned for a value that is not the one that belongs there, be
// it cut off, damaged, of another version or another's.
var errValue = errors.New("not a value of this key")

// encode writes an entry for its place. The clinic and the key stand inside, so
// that a value found in another's place is known for what it is.
func (s sealer) encode(clinic uuid.UUID, key Key, entry *Entry) []byte {
	size := len(entryMagic) + 16 + len(key) + 7*binary.MaxVarintLen64 + len(entry.ETag) + len(entry.Recipe) + len(entry.Body) + sealBytes
	for _, tag := range entry.Tags {
		size += len(tag) + 2
	}
	for _, id := range entry.Protected {
		size += len(id) + 2
	}
	out := make([]byte, 0, size)
	out = append(out, entryMagic...)
	out = append(out, clinic[:]...)
	out = append(out, key[:]...)
	out = binary.AppendUvarint(out, entry.mark.From())
	out = binary.AppendVarint(out, entry.StoredAt.UnixMilli())
	out = binary.AppendVarint(out, entry.ExpiresAt.UnixMilli())
	out = appendText(out, entry.ETag)
	out = binary.AppendUvarint(out, uint64(len(entry.Tags)))
	for _, tag := range entry.Tags {
		out = appendText(out, string(tag))
	}
	out = binary.AppendUvarint(out, uint64(len(entry.Protected)))
	for _, id := range entry.Protected {
		out = appendText(out, id)
	}
	out = binary.AppendUvarint(out, uint64(len(entry.Recipe)))
	out = append(out, entry.Recipe...)
	out = binary.AppendUvarint(out, uint64(len(entry.Body)))
	out = append(out, entry.Body...)
	return s.seal(out)
}

func appendText(out []byte, text string) []byte {
	out = binary.AppendUvarint(out, uint64(len(text)))
	return append(out, text...)
}

// decode reads what encode wrote for the same place. Every other value, whatever
// it is, is errValue. The entry shares the value's bytes.
func (s sealer) decode(clinic uuid.UUID, key Key, value []byte) (*Entry, error) {
	const least = len(entryMagic) + 16 + len(Key{}) + sealBytes
	if len(value) < least || len(value) > coherence.MaxValue {
		return nil, fmt.Errorf("%w: %d bytes", errValue, len(value))
	}
	if string(value[:len(entryMagic)]) != entryMagic {
		return nil, fmt.Errorf("%w: another version", errValue)
	}
	data, own := s.open(value)
	if !own {
		return nil, fmt.Errorf("%w: damaged, or sealed with another secret", errValue)
	}
	rest := data[len(entryMagic):]
	if uuid.UUID(rest[:16]) != clinic || Key(rest[16:16+len(key)]) != key {
		return nil, fmt.Errorf("%w: another's", errValue)
	}
	r := reader{rest: rest[16+len(key):]}
	entry := &Entry{}
	entry.mark.ReadAfter(r.unsigned())
	entry.StoredAt, entry.ExpiresAt = time.UnixMilli(r.signed()), time.UnixMilli(r.signed())
	entry.ETag = string(r.bytes())
	entry.Tags = make([]touched.Tag, r.count())
	for i := range entry.Tags {
		entry.Tags[i] = touched.Tag(r.bytes())
	}
	entry.Protected = make([]string, r.count())
	for i := range entry.Protected {
		entry.Protected[i] = string(r.bytes())
	}
	entry.Recipe = r.bytes()
	entry.Body = r.bytes()
	if r.failed || len(r.rest) != 0 {
		return nil, fmt.Errorf("%w: odd lengths", errValue)
	}
	return entry, nil
}

// reader takes a value apart; after its first failure it gives zeros.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) unsigned() uint64 {
	value, n := binary.Uvarint(r.rest)
	return value * uint64(r.skip(n))
}

func (r *reader) signed() int64 {
	value, n := binary.Varint(r.rest)
	return value * int64(r.skip(n))
}

// skip moves past n bytes; it gives 1, and 0 for a number that could not be read.
func (r *reader) skip(n int) int {
	if r.failed || n <= 0 {
		r.failed = true
		return 0
	}
	r.rest = r.rest[n:]
	return 1
}

func (r *reader) bytes() []byte {
	length := r.unsigned()
	if r.failed || length > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	taken := r.rest[:length:length]
	r.rest = r.rest[length:]
	return taken
}

// count is a number of texts; each takes a byte at least, so that no value can
// ask for more memory than it has bytes.
func (r *reader) count() int {
	count := r.unsigned()
	if r.failed || count > uint64(len(r.rest)) {
		r.failed = true
		return 0
	}
	return int(count)
}
