package app_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit/api"
)

// BenchmarkTelemetry asks two servers for the day view over HTTP, one with all
// metrics and logs on and one with none, in turns, and reports by how much the
// first answers fewer requests (promise P5): the median of many pairs of turns,
// since noise and garbage collections meet some of them only.
func BenchmarkTelemetry(b *testing.B) {
	for _, kind := range []string{"computed", "cached"} {
		b.Run(kind, func(b *testing.B) {
			world := newSeeded(b)
			query, variables := readQuery(b, "day_view")
			body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
			require.NoError(b, err)
			sides := [2]*side{}
			for i, on := range []bool{false, true} {
				log := slog.New(slog.DiscardHandler)
				if on {
					log = slog.New(slog.NewJSONHandler(struct{ io.Writer }{io.Discard}, nil)) // Written, to nowhere.
				}
				server := api.NewServer(b, world.database, api.At(noon()), api.WithLog(log), func(settings *config.Config, _ *app.Options) {
					settings.Metrics, settings.Cache = config.Switch(on), kind == "cached"
				})
				sides[i] = &side{
					url: server.URL + "/graphql", body: string(body),
					client: server.AsSubject(b, world.aurora, seed.Subject(world.aurora.Slug, "receptionist")),
				}
			}
			for range 3 {
				sides[0].run(b)
				sides[1].run(b)
			}
			var fewer, off, on []float64
			b.ResetTimer()
			for b.Loop() {
				first := len(off) % 2 // The second is at no advantage.
				var rate [2]float64
				rate[first] = sides[first].run(b)
				rate[1-first] = sides[1-first].run(b)
				without, with := rate[0], rate[1]
				fewer, off, on = append(fewer, 100*(1-with/without)), append(off, without), append(on, with)
			}
			b.ReportMetric(median(off), "off_req/s")
			b.ReportMetric(median(on), "on_req/s")
			b.ReportMetric(median(fewer), "%fewer")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// side is a server that is asked the same again and again.
type side struct {
	url, body string
	client    *api.Client
}

// run gives how many requests a second two clients get answered.
func (s *side) run(b *testing.B) float64 {
	b.Helper()
	const clients, requests = 2, 100
	var asking sync.WaitGroup
	began := time.Now()
	for range clients {
		asking.Go(func() {
			for range requests {
				s.ask(b)
			}
		})
	}
	asking.Wait()
	return clients * requests / time.Since(began).Seconds()
}

func (s *side) ask(b *testing.B) {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.url, strings.NewReader(s.body))
	if err != nil {
		b.Error(err)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	s.client.Authorize(request)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Error(err)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	n, err := io.Copy(io.Discard, answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || n < 1000 {
		b.Errorf("%d, %d bytes: %v", answer.StatusCode, n, err)
	}
}

func median(numbers []float64) float64 {
	slices.Sort(numbers)
	return numbers[len(numbers)/2]
}
