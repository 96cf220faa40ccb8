package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// BenchmarkWrite is what a write over HTTP costs with the cache on, against the
// same with the cache off, Redis on loopback. One client asks both in turns, in one
// run; the figures are medians and means in milliseconds, and the difference is
// between the two requests of a pair.
//
//	go run ./internal/testkit/teststack go test ./internal/app -run '^$' -bench BenchmarkWrite -benchtime 1000x
func BenchmarkWrite(b *testing.B) {
	d := testkit.NewDatabase(b)
	clinic := d.NewClinic(b, "aurora")
	sides := []*writer{{}, {}}
	for n, option := range []api.Option{api.WithoutCache(), api.WithRedis(d)} {
		sides[n].server = api.NewServer(b, d, option)
		sides[n].client = sides[n].server.As(b, clinic, models.RoleOwner)
	}
	require.Eventually(b, func() bool {
		return strings.HasPrefix(status(sides[1].client.Do(b, `query Warm { clinic { id } }`, nil)), "taskmed; hit")
	}, time.Minute, 10*time.Millisecond, "the cache is on")
	id := models.KindContact.Global(clinic.Contacts[0])
	for _, write := range []struct {
		name string
		body func(n int) string
	}{
		{"createContact", func(n int) string {
			return fmt.Sprintf(`mutation { createContact(input: {name: "Rita Lobo %d", phone: "+55119%08d", email: "rita%d@correio.example"}) { contact { id version } userErrors { code } } }`, n, n, n)
		}},
		{"updateContact", func(n int) string {
			return fmt.Sprintf(`mutation { updateContact(input: {id: %q, notes: "note %d"}) { contact { id version } userErrors { code } } }`, id, n)
		}},
	} {
		b.Run(write.name, func(b *testing.B) {
			for _, side := range sides {
				side.taken = side.taken[:0]
			}
			made := 0
			for b.Loop() {
				// Neither side always comes first.
				order := slices.Clone(sides)
				if made%4 >= 2 {
					slices.Reverse(order)
				}
				for _, side := range order {
					made++
					side.write(b, write.body(made))
				}
			}
			difference := make([]time.Duration, len(sides[0].taken))
			for n := range difference {
				difference[n] = sides[1].taken[n] - sides[0].taken[n]
			}
			for name, all := range map[string][]time.Duration{"off": sides[0].taken, "on": sides[1].taken, "more": difference} {
				slices.Sort(all)
				var sum time.Duration
				for _, one := range all {
					sum += one
				}
				b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, name+"-median-ms")
				b.ReportMetric(float64(sum.Microseconds())/1000/float64(len(all)), name+"-mean-ms")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// writer is one of the two servers.
type writer struct {
	server *api.Server
	client *api.Client
	taken  []time.Duration
}

func (w *writer) write(b *testing.B, query string) {
	b.Helper()
	body, err := json.Marshal(map[string]any{"query": query})
	require.NoError(b, err)
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, w.server.URL+"/graphql", bytes.NewReader(body))
	require.NoError(b, err)
	request.Header.Set("Content-Type", "application/json")
	w.client.Authorize(request)
	began := time.Now()
	response, err := http.DefaultClient.Do(request)
	require.NoError(b, err)
	answer, err := io.ReadAll(response.Body)
	w.taken = append(w.taken, time.Since(began))
	require.NoError(b, err)
	require.NoError(b, response.Body.Close())
	require.Contains(b, string(answer), `"userErrors":[]`)
	require.NotContains(b, string(answer), `"errors"`)
}
