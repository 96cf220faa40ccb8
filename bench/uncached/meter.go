package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/taskmed/taskmed/models"
)

// meter asks servers and reads what it cost them.
type meter struct {
	bench   *bench
	servers map[string]*server
	client  *http.Client
}

func newMeter(b *bench, servers []*server) *meter {
	m := &meter{bench: b, servers: map[string]*server{}, client: &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConnsPerHost: b.options.clients, DisableCompression: true},
	}}
	for _, s := range servers {
		m.servers[s.name] = s
	}
	return m
}

// turn is what some requests, asked of one subject, came to.
type turn struct {
	// server and postgres are processors' time per request.
	server, postgres time.Duration
	took             []time.Duration
	bytes            int
}

// turn asks with all clients at once, each one question after the other.
func (m *meter) turn(ctx context.Context, s *scene, who subject, requests []request) (turn, error) {
	t := turn{took: make([]time.Duration, len(requests))}
	failed := make([]error, m.bench.options.clients)
	sizes := make([]int, len(failed))
	before, err := m.usage()
	if err != nil {
		return t, err
	}
	var asking sync.WaitGroup
	for client := range failed {
		asking.Go(func() {
			for i := client; i < len(requests) && failed[client] == nil; i += len(failed) {
				began := time.Now()
				var body []byte
				body, failed[client] = m.ask(ctx, s, who, &requests[i])
				t.took[i] = time.Since(began)
				sizes[client] += len(body)
			}
		})
	}
	asking.Wait()
	after, err := m.usage()
	for i := range failed {
		if failed[i] != nil {
			return t, failed[i]
		}
		t.bytes += sizes[i]
	}
	each := time.Duration(len(requests))
	t.server = (after.servers[who.server] - before.servers[who.server]) / each
	t.postgres = (after.postgres - before.postgres) / each
	t.bytes /= len(requests)
	return t, err
}

// usage is the processors' time that each process has used so far.
type usage struct {
	servers  map[string]time.Duration
	postgres time.Duration
}

func (m *meter) usage() (u usage, err error) {
	u.servers = make(map[string]time.Duration, len(m.servers))
	for name, s := range m.servers {
		if u.servers[name], err = cpuOf(s.pid); err != nil {
			return u, err
		}
	}
	u.postgres, err = cpuOfFamily(m.bench.database.postmaster)
	return u, err
}

// ask sends one question and gives the whole answer; what is no answer, or did
// not come about as the subject should answer, is an error.
func (m *meter) ask(ctx context.Context, s *scene, who subject, r *request) ([]byte, error) {
	server := m.servers[who.server]
	if server.byHand {
		body, _, err := m.send(ctx, http.MethodGet, server.url+r.path, "", nil)
		return body, err
	}
	header := http.Header{
		"Authorization": {"Bearer " + r.clinic.tokens[who.role]}, "X-Clinic-Id": {r.clinic.global}, "Content-Type": {"application/json"},
	}
	if who.directive != "" {
		header.Set("Cache-Control", who.directive)
	}
	status := "taskmed; fwd=bypass"
	if who.directive == "no-cache" {
		status = "taskmed; fwd=request"
	}
	body, got, err := m.send(ctx, http.MethodPost, server.url+"/graphql", r.body, header)
	switch {
	case err != nil:
		return nil, err
	case !bytes.HasPrefix(body, []byte(`{"data":{"`)) || s.path == "" && !bytes.Contains(body, []byte(`"userErrors":[]`)):
		return nil, fmt.Errorf("%s, %s: %.300s", s.name, who.Name, body)
	case s.path != "" && !strings.HasPrefix(got.Get("Cache-Status"), status):
		return nil, fmt.Errorf("%s, %s: Cache-Status is %q", s.name, who.Name, got.Get("Cache-Status"))
	}
	return body, nil
}

func (m *meter) send(ctx context.Context, method, url, body string, header http.Header) ([]byte, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body)) //nolint:gosec // a server that this run started
	if err != nil {
		return nil, nil, err
	}
	if header != nil {
		request.Header = header
	}
	answer, err := m.client.Do(request) //nolint:gosec // a server that this run started
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = answer.Body.Close() }() // read to its end
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %d: %.300s", url, answer.StatusCode, text)
	}
	return text, answer.Header, err
}

// opened waits until the server with the cache keeps answers: it serves before it does.
func (m *meter) opened(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, startingAtMost)
	defer done()
	at := slices.IndexFunc(m.bench.scenes, func(s *scene) bool { return s.path != "" })
	for s := m.bench.scenes[at]; ; {
		_, err := m.ask(ctx, s, missed(), &s.requests[0])
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// check compares answers with those of the handler written by hand, byte for
// byte, and finds what was a miss kept.
func (m *meter) check(ctx context.Context) error {
	if err := m.opened(ctx); err != nil {
		return err
	}
	const compared = 200
	all := subjects()
	for _, s := range m.bench.scenes {
		if s.path == "" {
			continue
		}
		for i := range s.requests[:min(len(s.requests), compared)] {
			r := &s.requests[i]
			wanted, err := m.ask(ctx, s, all[0], r)
			if err != nil {
				return err
			}
			for _, who := range all {
				if who.role != models.RoleOwner {
					continue // By hand, or masked.
				}
				got, err := m.ask(ctx, s, who, r)
				if err != nil {
					return err
				}
				if got, wanted := data(got), data(wanted); len(got) == 0 || !bytes.Equal(got, wanted) {
					return errDiffers(s, wanted, got)
				}
			}
		}
		if err := m.kept(ctx, s); err != nil {
			return err
		}
	}
	m.bench.say("the answers are equal")
	return nil
}

// kept finds that the cache has an answer which was asked for with no-cache.
func (m *meter) kept(ctx context.Context, s *scene) error {
	r := &s.requests[0]
	// The first time the cache may not have known the clinic yet.
	if _, err := m.ask(ctx, s, missed(), r); err != nil {
		return err
	}
	_, header, err := m.send(ctx, http.MethodPost, m.servers[cacheOn].url+"/graphql", r.body, http.Header{
		"Authorization": {"Bearer " + r.clinic.tokens[models.RoleOwner]}, "X-Clinic-Id": {r.clinic.global}, "Content-Type": {"application/json"},
	})
	if err == nil && !strings.HasPrefix(header.Get("Cache-Status"), "taskmed; hit") {
		err = fmt.Errorf("%s: an answer that should be kept was not: %s", s.name, header.Get("Cache-Status"))
	}
	return err
}

// data is an answer's data as it was sent.
func data(answer []byte) []byte {
	var whole struct{ Data json.RawMessage }
	if json.Unmarshal(answer, &whole) != nil {
		return nil
	}
	return whole.Data
}

// allocations is how many objects a server has allocated so far.
func (m *meter) allocations(ctx context.Context, s *server) (float64, error) {
	text, _, err := m.send(ctx, http.MethodGet, s.metrics, "", nil)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if figure, found := strings.CutPrefix(line, "go_memstats_mallocs_total "); found {
			return strconv.ParseFloat(strings.TrimSpace(figure), 64)
		}
	}
	return 0, fmt.Errorf("%s does not say what it has allocated", s.name)
}
