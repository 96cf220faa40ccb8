package app_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/gcpace"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit/api"
)

// BenchmarkUncached computes answers whose sessions are kept and which are not kept
// themselves, in one process: for profiles. What they cost beside a handler written
// by hand is bench/uncached's to say.
func BenchmarkUncached(b *testing.B) {
	defer gcpace.Floor(gcpace.Server)()
	world := newSeeded(b)
	// A developer's answers say how they came about, which costs.
	world.database.Exec(b, "UPDATE memberships SET permissions = '{}'")
	server := api.NewServer(b, world.database, api.At(noon()), api.WithRedis(world.database))
	client := server.AsSubject(b, world.aurora, seed.Subject(world.aurora.Slug, "owner"))
	for _, name := range []string{"day_view", "contact_page", "contact_list"} {
		b.Run(name, func(b *testing.B) {
			query, variables := readQuery(b, name)
			text := strings.ReplaceAll(string(variables), "{{patient}}", busiestPatient(b, world))
			body, err := json.Marshal(map[string]any{"query": query, "variables": json.RawMessage(text)})
			require.NoError(b, err)
			ask := func() *httptest.ResponseRecorder {
				out := httptest.NewRecorder()
				request := client.Request(b, string(body))
				request.Header.Set("Cache-Control", "no-store")
				server.App.Handler().ServeHTTP(out, request)
				return out
			}
			require.Eventually(b, func() bool { return ask().Code == http.StatusOK }, 30*time.Second, 10*time.Millisecond)
			used := processTime(b)
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
			b.ReportMetric((processTime(b)-used).Seconds()*1e6/float64(b.N), "cpu_us/op")
		})
	}
}
