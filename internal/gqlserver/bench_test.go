package gqlserver_test

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/taskmed/taskmed/internal/gqlserver"
)

// A whole request but for its execution, with an answer of 16 KB: what the edge
// itself takes.
func BenchmarkRequest(b *testing.B) {
	f := newFixture(b, func(c *gqlserver.Config) { c.Log = slog.New(slog.DiscardHandler) })
	f.always(`{"appointments":"` + strings.Repeat("x", 16<<10) + `"}`)
	const body = `{"query":"query DayView($range: DateTimeRange!) { appointments(filter: { range: $range }, first: 50) { nodes { id startsAt endsAt status contact { id name phone } practitioner { id name } service { id name } } } }","variables":{"range":{"from":"2026-11-22T00:00:00-03:00","to":"2026-11-23T00:00:00-03:00"}}}`
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/graphql", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer OWNER")
		out := httptest.NewRecorder()
		f.server.Public().ServeHTTP(out, r)
		if out.Code != 200 {
			b.Fatal(out.Body)
		}
	}
}
