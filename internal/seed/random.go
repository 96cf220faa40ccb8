package seed

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// source is one stream of chance. Each kind of row of each clinic has its own,
// so that asking for more records does not change the contacts.
type source struct {
	*rand.Rand
}

func newSource(seed uint64, slug, stream string) source {
	sum := sha256.Sum256(fmt.Appendf(nil, "taskmed seed 1\x00%d\x00%s\x00%s", seed, slug, stream))
	return source{rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])))}
}

// id is a UUIDv7 (RFC 9562, section 5.7) of the given time.
func (s source) id(at time.Time) pgtype.UUID {
	id := pgtype.UUID{Valid: true}
	binary.BigEndian.PutUint64(id.Bytes[:8], uint64(at.UnixMilli())<<16|0x7000|s.Uint64()&0x0fff)
	binary.BigEndian.PutUint64(id.Bytes[8:], 1<<63|s.Uint64()>>2)
	return id
}

// chance is true so many times in a hundred.
func (s source) chance(percent int) bool { return s.IntN(100) < percent }

// between is a whole number from low to high, both in.
func (s source) between(low, high int) int { return low + s.IntN(high-low+1) }

// moment is a time in [from, to), to the millisecond; from where there is no
// room between the two.
func (s source) moment(from, to time.Time) time.Time {
	room := to.UnixMilli() - from.UnixMilli()
	if room <= 0 {
		return from
	}
	return time.UnixMilli(from.UnixMilli() + s.Int64N(room)).UTC()
}

func pick[T any](s source, from []T) T { return from[s.IntN(len(from))] }

// weighted is a list whose entries come up as often as their weights say.
type weighted[T any] struct {
	items []T
	upTo  []int
}

func (w *weighted[T]) add(item T, weight int) {
	total := weight
	if len(w.upTo) > 0 {
		total += w.upTo[len(w.upTo)-1]
	}
	w.items = append(w.items, item)
	w.upTo = append(w.upTo, total)
}

func (w *weighted[T]) pick(s source) T {
	drawn := s.IntN(w.upTo[len(w.upTo)-1])
	return w.items[sort.SearchInts(w.upTo, drawn+1)]
}
