package gqlserver

import (
	"bytes"
	"fmt"
	"hash/maphash"

	"github.com/maypok86/otter/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

const (
	// rememberedBytes bounds the queries that are remembered, roughly in bytes.
	rememberedBytes = 4 << 20
	// longestRemembered bounds one of them, as it was sent.
	longestRemembered = 16 << 10
)

// remembered knows queries by the bytes that they were sent as: clients send the
// same ones again and again, and reading them takes longer than finding their
// answer in the cache. Only what is the same for everybody is remembered; whether
// the document may be used, and the operation run, is asked each time.
type remembered struct {
	// queries are found by a hash that nobody outside can know or foresee; that it
	// is the same query is told by its bytes.
	queries *otter.Cache[uint64, *said]
	seed    maphash.Seed
}

// passed is what a query came to that passed all checks: the document that was run,
// its variables coerced, and canonical the same as text.
type passed struct {
	text      string
	coerced   map[string]any
	canonical []byte
}

func newRemembered() (*remembered, error) {
	queries, err := otter.New(&otter.Options[uint64, *said]{
		MaximumWeight: rememberedBytes,
		Weigher: func(_ uint64, s *said) uint32 {
			const fixed = 1 << 10
			return uint32(fixed + 8*len(s.sent) + len(s.passed.text))
		},
	})
	if err != nil {
		return nil, fmt.Errorf("gqlserver: remember queries: %w", err)
	}
	return &remembered{queries: queries, seed: maphash.MakeSeed()}, nil
}

// read gives what a request says: as it was read before, or by parse. from tells
// bodies from URLs.
func (m *remembered) read(from byte, sent []byte, parse func() (*said, *refusal)) (*said, *refusal) {
	if len(sent) > longestRemembered {
		return parse()
	}
	sum := maphash.Bytes(m.seed, sent) ^ uint64(from)
	if known, ok := m.queries.GetIfPresent(sum); ok && known.sent[0] == from && bytes.Equal(known.sent[1:], sent) {
		return known, nil
	}
	fresh, why := parse()
	if why == nil {
		fresh.sum, fresh.sent = sum, append([]byte{from}, sent...)
	}
	return fresh, why
}

// remember keeps a query that has passed all checks.
func (q *request) remember() {
	if len(q.said.sent) == 0 || q.said.passedAs(q.op.RawQuery) || q.op.Operation.Operation != ast.Query {
		return
	}
	variables, err := q.comparable()
	if err != nil {
		return // it is read anew each time
	}
	kept := *q.said // another may be reading it
	kept.passed = &passed{text: q.op.RawQuery, coerced: q.op.Variables, canonical: variables}
	q.remembered.queries.Set(kept.sum, &kept)
}

// passedAs tells that the same request has passed all checks with this document.
func (s *said) passedAs(text string) bool { return s.passed != nil && s.passed.text == text }
