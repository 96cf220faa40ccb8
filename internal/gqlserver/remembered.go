package gqlserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"

	"github.com/99designs/gqlgen/graphql"
	"github.com/maypok86/otter/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

const (
	// rememberedBytes bounds the queries that are remembered, roughly in bytes.
	rememberedBytes = 4 << 20
	// longestRemembered bounds one of them, as it was sent.
	longestRemembered = 16 << 10
)

// canonicalKey is where the canonical variables of an operation are among its
// stats, where they are known already.
const canonicalKey = "taskmed.variables"

// remembered knows queries by the bytes that they were sent as: clients send the
// same ones again and again, and reading them takes longer than finding their
// answer in the cache. Only what is the same for everybody is remembered; whether
// the document may be used, and the operation run, is asked each time.
type remembered struct {
	// queries are found by a hash that nobody outside can know or foresee; that it
	// is the same query is told by its bytes.
	queries *otter.Cache[uint64, *asked]
	seed    maphash.Seed
}

// asked is what a request says. What others will be given is not changed.
type asked struct {
	sum uint64
	// sent are the bytes of a query that is remembered, with where they were.
	sent []byte

	query, operationName string
	extensions           map[string]any
	// given are the variables, as JSON, empty if there are none.
	given []byte

	// text is the document that was run, coerced its variables and canonical the
	// same as text. They are set once the query has passed all checks.
	text      string
	coerced   map[string]any
	canonical []byte
}

func newRemembered() (*remembered, error) {
	queries, err := otter.New(&otter.Options[uint64, *asked]{
		MaximumWeight: rememberedBytes,
		Weigher: func(_ uint64, a *asked) uint32 {
			const fixed = 1 << 10
			return uint32(fixed + 5*len(a.sent) + len(a.text))
		},
	})
	if err != nil {
		return nil, fmt.Errorf("gqlserver: remember queries: %w", err)
	}
	return &remembered{queries: queries, seed: maphash.MakeSeed()}, nil
}

// read gives what a request says: as it was read before, or by parse. from tells
// bodies from URLs.
func (m *remembered) read(from byte, sent []byte, parse func() (*graphql.RawParams, *refusal)) (*graphql.RawParams, *asked, *refusal) {
	if m == nil || len(sent) > longestRemembered {
		params, why := parse()
		return params, nil, why
	}
	sum := maphash.Bytes(m.seed, sent) ^ uint64(from)
	if known, ok := m.queries.GetIfPresent(sum); ok && known.is(from, sent) {
		return &graphql.RawParams{Query: known.query, OperationName: known.operationName, Extensions: known.extensions}, known, nil
	}
	params, why := parse()
	if why != nil {
		return nil, nil, why
	}
	fresh := &asked{sum: sum, sent: append([]byte{from}, sent...), query: params.Query, operationName: params.OperationName, extensions: params.Extensions}
	if len(params.Variables) > 0 {
		// Now: coercion writes into them.
		var err error
		if fresh.given, err = json.Marshal(params.Variables); err != nil {
			return params, nil, nil // it is read anew each time
		}
	}
	return params, fresh, nil
}

// keep remembers a query that has passed all checks.
func (m *remembered) keep(a *asked, op *graphql.OperationContext) {
	if m == nil || a == nil || a.passed(op.RawQuery) || op.Operation.Operation != ast.Query {
		return
	}
	variables, err := canonical(op.Variables)
	if err != nil {
		return // it cannot be compared, and is read anew each time
	}
	kept := *a // another may be reading it
	kept.text, kept.coerced, kept.canonical = op.RawQuery, op.Variables, variables
	m.queries.Set(a.sum, &kept)
}

type askedKey struct{}

func askedOf(ctx context.Context) *asked {
	a, _ := ctx.Value(askedKey{}).(*asked)
	return a
}

// is tells that a request was read from these bytes.
func (a *asked) is(from byte, sent []byte) bool {
	return a.sent[0] == from && bytes.Equal(a.sent[1:], sent)
}

// passed tells that the same request has passed all checks with this document.
func (a *asked) passed(text string) bool { return a != nil && a.text != "" && a.text == text }

// variables gives the variables of a request that was read before, for a document
// that it did not have then.
func (a *asked) variables() (variables map[string]any, err error) {
	if len(a.given) > 0 {
		err = decode(bytes.NewReader(a.given), &variables)
	}
	return variables, err
}
