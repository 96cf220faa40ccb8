package app_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/gcpace"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/telemetry/logs"
	"github.com/taskmed/taskmed/internal/testkit/api"
)

// BenchmarkHit is promise P1: answers from the cache, authentication, metrics and
// the log's lines included, beside net/http writing the same bytes and beside
// net/http writing what go-redis fetches. All are asked over loopback in turns, in
// one run, by the same clients; the clients share the processors. The figures are
// the medians of the rounds, and of each round's ratios; p50 and p99 are the time
// in the server's handler while one client asks at a time.
//
//	go run ./internal/testkit/teststack go test ./internal/app -run '^$' -bench BenchmarkHit -benchtime 40x
func BenchmarkHit(b *testing.B) {
	world := newSeeded(b)
	log := slog.New(logs.NewJSONHandler(struct{ io.Writer }{io.Discard}, slog.LevelInfo)) // As taskmed serve has it; to nowhere.
	defer gcpace.Floor(gcpace.Server)()
	day, _ := readQuery(b, "day_view")
	for _, size := range []struct {
		name, query string
		variables   map[string]any
	}{
		{"1 KB", `{ contacts(first: 10) { nodes { id name email } } }`, nil},
		{"12 KB", `{ contacts(first: 100) { nodes { id name email } } }`, nil},
		// As many appointments as a page has, which a clinic of this size has in a fortnight.
		{"day view", day, map[string]any{"range": map[string]any{"from": "2026-11-20T03:00:00Z", "to": "2026-12-04T03:00:00Z"}}},
	} {
		b.Run(strings.ReplaceAll(size.name, " ", ""), func(b *testing.B) {
			body, err := json.Marshal(map[string]any{"query": size.query, "variables": size.variables})
			require.NoError(b, err)
			sides := make([]*hitSide, 0, 4)
			for _, kept := range []struct {
				name   string
				option api.Option
			}{{"taskmed", nothing}, {"taskmed, Redis", api.WithRedis(world.database)}} {
				server := api.NewServer(b, world.database, api.At(noon()), api.WithLog(log), kept.option)
				client := server.AsSubject(b, world.aurora, seed.Subject(world.aurora.Slug, "receptionist"))
				var answer *api.Response
				require.Eventually(b, func() bool {
					answer = client.Do(b, size.query, size.variables)
					return status(answer) == "taskmed; hit"
				}, 30*time.Second, time.Millisecond)
				var beside http.Handler
				if kept.name == "taskmed" {
					beside = writing(func() ([]byte, error) { return answer.Body, nil })
				} else {
					beside = fetching(b, world.database.RedisURL, answer.Body)
				}
				request := client.Request(b, string(body))
				sides = append(sides,
					newHitSide(b, map[bool]string{true: "net/http", false: "net/http, go-redis GET"}[kept.name == "taskmed"], beside, request, len(answer.Body)),
					newHitSide(b, kept.name, server.App.Handler(), request, len(answer.Body)))
			}
			for _, side := range sides {
				side.turn(b)
				side.time(b)
				side.rates = nil
			}
			b.ResetTimer()
			for b.Loop() {
				for _, i := range rand.Perm(len(sides)) { // Nobody is always first, or after the same.
					sides[i].turn(b)
				}
			}
			var table bytes.Buffer
			columns := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
			_, _ = fmt.Fprintf(columns, "\n%s, %d bytes\trequests/s\tof the one above\tp50 µs\tp99 µs\n", size.name, sides[0].bytes)
			for i, side := range sides {
				ratio := 1.0
				if i%2 == 1 {
					ratio = side.ratio(sides[i-1])
					unit := map[int]string{1: "process", 3: "redis"}[i]
					b.ReportMetric(ratio, unit+"-ratio")
					b.ReportMetric(side.percentile(50), unit+"-p50-us")
					b.ReportMetric(side.percentile(99), unit+"-p99-us")
				}
				_, _ = fmt.Fprintf(columns, "%s\t%.0f\t%.2f\t%.1f\t%.1f\n", side.name,
					side.rate(), ratio, side.percentile(50), side.percentile(99))
			}
			require.NoError(b, columns.Flush())
			b.Log(table.String())
			b.ReportMetric(0, "ns/op")
		})
	}
}

// writing is a handler that does nothing but write an answer.
func writing(answer func() ([]byte, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		body, err := answer()
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
}

// fetching is a handler that fetches an answer from Redis each time.
func fetching(b *testing.B, url string, answer []byte) http.Handler {
	b.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(b, err)
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	client := redis.NewClient(options)
	b.Cleanup(func() { _ = client.Close() })
	key := "bench-" + strconv.FormatUint(rand.Uint64(), 36)
	require.NoError(b, client.Set(b.Context(), key, answer, time.Hour).Err())
	return writing(func() ([]byte, error) { return client.Get(b.Context(), key).Bytes() })
}

// hitClients ask at once in a turn, each as often as hitRequests.
const (
	hitClients  = 16
	hitRequests = 200
)

// hitSide is one of those that are compared.
type hitSide struct {
	name  string
	bytes int
	// address listens, and request is what each client writes, headers included.
	address string
	request []byte
	// rates are requests a second of each turn.
	rates []float64

	timing atomic.Bool
	mu     sync.Mutex
	took   []float64
}

func newHitSide(b *testing.B, name string, handler http.Handler, request *http.Request, size int) *hitSide {
	b.Helper()
	s := &hitSide{name: name, bytes: size}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.timing.Load() {
			handler.ServeHTTP(w, r)
			return
		}
		began := time.Now()
		handler.ServeHTTP(w, r)
		took := float64(time.Since(began).Nanoseconds()) / 1e3
		s.mu.Lock()
		defer s.mu.Unlock()
		s.took = append(s.took, took)
	}))
	b.Cleanup(listener.Close)
	s.address = listener.Listener.Addr().String()
	sent := request.Clone(b.Context())
	body, err := io.ReadAll(request.Body)
	require.NoError(b, err)
	request.Body = io.NopCloser(bytes.NewReader(body)) // for the next
	sent.Body, sent.ContentLength, sent.Host = io.NopCloser(bytes.NewReader(body)), int64(len(body)), s.address
	sent.Header.Set("User-Agent", "bench")
	var text bytes.Buffer
	require.NoError(b, sent.Write(&text))
	s.request = text.Bytes()
	return s
}

// turn has all clients ask.
func (s *hitSide) turn(b *testing.B) {
	b.Helper()
	runtime.GC() // Nobody pays for what another one left.
	took := s.ask(b, hitClients, hitRequests)
	s.rates = append(s.rates, hitClients*hitRequests/took.Seconds())
}

// time has one client ask, and notes how long the handler takes.
func (s *hitSide) time(b *testing.B) {
	b.Helper()
	s.timing.Store(true)
	s.ask(b, 1, 5000)
	s.timing.Store(false)
	slices.Sort(s.took)
}

// ratio is how much of another's rate this one has, by the median of the rounds.
func (s *hitSide) ratio(other *hitSide) float64 {
	ratios := make([]float64, len(s.rates))
	for i := range ratios {
		ratios[i] = s.rates[i] / other.rates[i]
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

func (s *hitSide) rate() float64 { return slices.Sorted(slices.Values(s.rates))[len(s.rates)/2] }

func (s *hitSide) percentile(p int) float64 { return s.took[len(s.took)*p/100] }

// ask has clients ask, each over a connection of its own, the next time as soon as
// it has the last byte of an answer. They do as little as a client can.
func (s *hitSide) ask(b *testing.B, clients, requests int) time.Duration {
	b.Helper()
	var all sync.WaitGroup
	failed := make(chan error, clients)
	start := make(chan struct{})
	for range clients {
		conn, err := net.Dial("tcp", s.address)
		require.NoError(b, err)
		all.Go(func() {
			defer func() { _ = conn.Close() }()
			reader := bufio.NewReaderSize(conn, 32<<10)
			<-start
			for range requests {
				if err := s.askOnce(conn, reader); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	began := time.Now()
	close(start)
	all.Wait()
	took := time.Since(began)
	close(failed)
	require.NoError(b, <-failed)
	return took
}

func (s *hitSide) askOnce(conn net.Conn, reader *bufio.Reader) error {
	if _, err := conn.Write(s.request); err != nil {
		return err
	}
	length := -1
	for first := true; ; first = false {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.Contains(line, []byte(" 200 ")) {
			return fmt.Errorf("answered %s", line)
		}
		if len(line) <= 2 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
		if value, ok := bytes.CutPrefix(line, []byte("Cache-Status: ")); ok && !bytes.HasPrefix(value, []byte("taskmed; hit")) {
			return fmt.Errorf("no hit: %s", value)
		}
	}
	if length != s.bytes {
		return fmt.Errorf("%d bytes, and not %d", length, s.bytes)
	}
	_, err := reader.Discard(length)
	return err
}
