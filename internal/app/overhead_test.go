package app_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/gcpace"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/telemetry/logs"
	"github.com/taskmed/taskmed/internal/testkit/api"
)

// BenchmarkTelemetry asks servers for the day view over HTTP in turns: one with
// all metrics and logs on, and two with none, of which one is the control. It
// reports by how much the first answers fewer requests and takes more of the
// processors than the second (promise P5), and the same of the control: the
// median of many rounds, since noise and garbage collections meet some of them
// only. The processors' time is the whole process', clients included, without
// Postgres'.
func BenchmarkTelemetry(b *testing.B) {
	defer gcpace.Floor(gcpace.Server)() // as taskmed serve has it
	for _, kind := range []string{"computed", "cached"} {
		b.Run(kind, func(b *testing.B) {
			world := newSeeded(b)
			query, variables := readQuery(b, "day_view")
			body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
			require.NoError(b, err)
			sides := [3]*side{} // off, on, and off once more
			for i := range sides {
				log := slog.New(slog.DiscardHandler)
				if i == 1 {
					log = slog.New(logs.NewJSONHandler(struct{ io.Writer }{io.Discard}, slog.LevelInfo)) // Written, to nowhere.
				}
				server := api.NewServer(b, world.database, api.At(noon()), api.WithLog(log), func(settings *config.Config, _ *app.Options) {
					settings.Metrics, settings.Cache = config.Switch(i == 1), kind == "cached"
				})
				sides[i] = &side{
					requests: map[string]int{"computed": 100, "cached": 1000}[kind],
					url:      server.URL + "/graphql", body: string(body),
					client: server.AsSubject(b, world.aurora, seed.Subject(world.aurora.Slug, "receptionist")),
				}
			}
			for range 3 {
				for _, each := range sides {
					each.run(b)
				}
			}
			for _, each := range sides {
				each.rates, each.cpu, each.took = nil, nil, nil
			}
			b.ResetTimer()
			for b.Loop() {
				for _, i := range rand.Perm(len(sides)) { // Nobody is always first, or after the same.
					sides[i].run(b)
				}
			}
			off, on, control := sides[0], sides[1], sides[2]
			b.ReportMetric(median(slices.Clone(off.rates)), "off_req/s")
			b.ReportMetric(median(slices.Clone(on.rates)), "on_req/s")
			b.ReportMetric(off.p95(), "off_p95_ms")
			b.ReportMetric(on.p95(), "on_p95_ms")
			b.ReportMetric(-more(off.rates, on.rates), "%fewer")
			b.ReportMetric(-more(off.rates, control.rates), "%fewer_control")
			b.ReportMetric(median(slices.Clone(off.cpu)), "off_cpu_us")
			b.ReportMetric(more(off.cpu, on.cpu), "%cpu")
			b.ReportMetric(more(off.cpu, control.cpu), "%cpu_control")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// more is by how many percent one side's figures are above another's, round by round.
func more(base, other []float64) float64 {
	ratios := make([]float64, len(base))
	for i := range base {
		ratios[i] = 100 * (other[i]/base[i] - 1)
	}
	return median(ratios)
}

// side is a server that is asked the same again and again.
type side struct {
	url, body string
	client    *api.Client
	// requests are how many each client sends in a turn.
	requests int

	// rates are requests a second, cpu microseconds of the process per request, of
	// each turn.
	rates, cpu []float64
	mu         sync.Mutex
	// took are milliseconds.
	took []float64
}

// run is a turn: two clients ask.
func (s *side) run(b *testing.B) {
	b.Helper()
	const clients = 2
	requests := s.requests
	runtime.GC() // Nobody pays for what another one left.
	var asking sync.WaitGroup
	began, used := time.Now(), processTime(b)
	for range clients {
		asking.Go(func() {
			took := make([]float64, requests)
			for i := range took {
				asked := time.Now()
				s.ask(b)
				took[i] = time.Since(asked).Seconds() * 1e3
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.took = append(s.took, took...)
		})
	}
	asking.Wait()
	s.rates = append(s.rates, float64(clients*requests)/time.Since(began).Seconds())
	s.cpu = append(s.cpu, (processTime(b)-used).Seconds()*1e6/float64(clients*requests))
}

func (s *side) p95() float64 {
	slices.Sort(s.took)
	return s.took[len(s.took)*95/100]
}

// processTime is what this process has used of the processors.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
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

// BenchmarkTelemetryHandler is an answer's way through the handler, without a
// network, with nothing watching it and with everything.
func BenchmarkTelemetryHandler(b *testing.B) {
	world := newSeeded(b)
	query, variables := readQuery(b, "day_view")
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	require.NoError(b, err)
	for _, kind := range []string{"computed", "cached"} {
		for _, on := range []bool{false, true} {
			b.Run(kind+map[bool]string{false: "/off", true: "/on"}[on], func(b *testing.B) {
				log := slog.New(slog.DiscardHandler)
				if on {
					log = slog.New(logs.NewJSONHandler(struct{ io.Writer }{io.Discard}, slog.LevelInfo))
				}
				server := api.NewServer(b, world.database, api.At(noon()), api.WithLog(log), func(settings *config.Config, _ *app.Options) {
					settings.Metrics, settings.Cache = config.Switch(on), kind == "cached"
				})
				client := server.AsSubject(b, world.aurora, seed.Subject(world.aurora.Slug, "receptionist"))
				ask := func() *httptest.ResponseRecorder {
					out := httptest.NewRecorder()
					server.App.Handler().ServeHTTP(out, client.Request(b, string(body)))
					return out
				}
				require.Eventually(b, func() bool {
					return strings.HasPrefix(ask().Header().Get("Cache-Status"), "taskmed; hit") == (kind == "cached")
				}, 30*time.Second, time.Millisecond)
				used := processTime(b)
				b.ReportAllocs()
				for b.Loop() {
					ask()
				}
				b.ReportMetric((processTime(b)-used).Seconds()*1e6/float64(b.N), "cpu_us/op")
			})
		}
	}
}
