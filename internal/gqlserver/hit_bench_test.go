package gqlserver_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/taskmed/taskmed/internal/gqlserver"
)

// ready is a cache that has every answer.
type ready struct {
	gqlserver.Uncached

	data []byte
}

func (r ready) Answer(context.Context, *gqlserver.Question, gqlserver.Compute) gqlserver.CacheAnswer {
	return gqlserver.CacheAnswer{Data: r.data, Digest: "0123456789abcdefghijkl", Hit: true}
}

// BenchmarkHit is what the edge adds to an answer that is kept: parameters,
// checks, key material, headers and the log. Authentication and the cache's own
// look-up come on top.
func BenchmarkHit(b *testing.B) {
	for name, size := range map[string]int{"1KB": 1 << 10, "12KB": 12 << 10} {
		data := []byte(`{"contacts":"` + strings.Repeat("x", size) + `"}`)
		f := newFixture(b, func(c *gqlserver.Config) {
			c.Cache, c.Log = ready{data: data}, testLog()
		})
		const body = `{"query":"query Page($n: Int) { contacts(first: $n) { nodes { id name email } } }","variables":{"n":50}}`
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				in := httptest.NewRequest("POST", "/graphql", strings.NewReader(body))
				in.Header.Set("Authorization", "Bearer OWNER")
				in.Header.Set("Content-Type", "application/json")
				f.server.Public().ServeHTTP(httptest.NewRecorder(), in)
			}
		})
	}
}
