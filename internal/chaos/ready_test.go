package chaos_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Promise P8: how long `taskmed serve` takes from its start until /readyz is 200, on a
// migrated database with two clinics: the median of b.N starts, and the longest.
//
//	go run ./internal/testkit/teststack go test ./internal/chaos -run '^$' -bench BenchmarkReady -benchtime 21x
func BenchmarkReady(b *testing.B) {
	p := newWorld(b)
	server := p.serve(b, p.stack.RedisURL())
	server.stop()
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		server.start(b)
		require.Eventually(b, func() bool { return server.ready(b.Context()) }, time.Minute, time.Millisecond, "the server is ready")
		took = append(took, time.Since(began))
		server.stop()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/median")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "ms/longest")
	b.ReportMetric(0, "ns/op")
}
