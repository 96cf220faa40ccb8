package inspector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// mostKept are kept, the oldest give way.
	mostKept = 200
	// longestBody is what is read of a body; TaskMed's own have some hundred bytes.
	longestBody = 32 << 10
	// longestHead bounds a request's headers.
	longestHead = 16 << 10
	// longestCall bounds one request.
	longestCall = 10 * time.Second
)

// prefix is what the paths of the receiver's endpoints begin with; a clinic's global id
// follows.
const prefix = "/taskmed-dev-inspector/"

// Clinic is one whose webhooks are received.
type Clinic struct {
	// ID is the global id.
	ID         string
	Slug, Name string
	// Token is a bearer token of somebody who may make endpoints there.
	Token string
}

// Config is what an Inspector is made of.
type Config struct {
	// Clinics are whose webhooks are received.
	Clinics []Clinic
	// Out is told a line of each webhook that comes, one write each.
	Out io.Writer
}

// Inspector receives webhooks on loopback.
type Inspector struct {
	clinics map[string]Clinic
	order   []Clinic
	run     string
	at      net.Listener
	server  *http.Server
	served  chan struct{}

	mu   sync.Mutex
	keys map[string]keys
	kept []Received
	last int64

	lines lines
}

// New begins to listen. It is to be closed.
func New(ctx context.Context, config Config) (*Inspector, error) {
	if config.Out == nil {
		config.Out = io.Discard
	}
	at, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for webhooks: %w", err)
	}
	i := &Inspector{
		clinics: map[string]Clinic{}, order: config.Clinics, at: at, served: make(chan struct{}),
		run: strconv.FormatInt(time.Now().UnixNano(), 36), keys: map[string]keys{}, lines: lines{out: config.Out},
	}
	for _, clinic := range config.Clinics {
		i.clinics[clinic.ID] = clinic
	}
	i.server = &http.Server{
		Handler: i, ReadHeaderTimeout: longestCall, ReadTimeout: longestCall, WriteTimeout: longestCall,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: longestHead,
	}
	go func() {
		defer close(i.served)
		_ = i.server.Serve(at) // ends with Close
	}()
	return i, nil
}

// Close ends the receiver, and what is under way there.
func (i *Inspector) Close() {
	_ = i.server.Close() // nothing is left to lose
	<-i.served
}

// URL is where a clinic's webhooks are received.
func (i *Inspector) URL(clinic string) string {
	return "http://" + i.at.Addr().String() + prefix + clinic
}

// Snapshot is what came, as the page reads it.
type Snapshot struct {
	// Run tells one start from another: numbers begin anew with each.
	Run string `json:"run"`
	// Clinics are the names of those whose webhooks are received.
	Clinics []string `json:"clinics"`
	// Received are the oldest first.
	Received []Received `json:"received"`
}

// Received is a webhook that came, or what somebody else sent.
type Received struct {
	// Number counts from 1.
	Number int64     `json:"number"`
	At     time.Time `json:"at"`
	Clinic string    `json:"clinic"`
	// Status is what was answered: 204 once verified, 401 where not, 413 for too large
	// a body, which is not kept.
	Status int `json:"status"`
	// Signatures are what came of v1 and v1a, in this order.
	Signatures []Signature `json:"signatures"`
	// Time is 2 where a webhook of this id came once before, as far as is kept.
	Time int `json:"time"`
	// Said is what the body says, empty where it is no webhook's.
	Said    said     `json:"said"`
	Headers []header `json:"headers"`
	Body    string   `json:"body"`

	id string
}

type header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Since gives what came after a number, of what is kept.
func (i *Inspector) Since(after int64) Snapshot {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := Snapshot{Run: i.run, Clinics: []string{}, Received: []Received{}}
	for _, clinic := range i.order {
		s.Clinics = append(s.Clinics, clinic.Name)
	}
	for _, r := range i.kept {
		if r.Number > after {
			s.Received = append(s.Received, r)
		}
	}
	return s
}

// ServeHTTP receives a webhook.
func (i *Inspector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	clinic, known := i.clinicAt(r.URL.Path)
	if !known {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "webhooks are posted", http.StatusMethodNotAllowed)
		return
	}
	i.mu.Lock()
	held, ready := i.keys[clinic.ID]
	i.mu.Unlock()
	if !ready { // The endpoint is made, and its keys are on their way.
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the keys are not here yet", http.StatusServiceUnavailable)
		return
	}
	// One byte more than is taken tells that it is too large.
	body, err := io.ReadAll(io.LimitReader(r.Body, longestBody+1))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	got := Received{At: time.Now().UTC(), Clinic: clinic.Name, Headers: headersOf(r), id: r.Header.Get("webhook-id")}
	if len(body) > longestBody {
		got.Status = http.StatusRequestEntityTooLarge
		failure := errors.New("the body is larger than 32 KiB")
		got.Signatures = []Signature{signature("v1", failure), signature("v1a", failure)}
	} else {
		got.Body, got.Said = string(body), sayingOf(body)
		got.Signatures, got.Status = held.verify(body, r.Header), http.StatusNoContent
		for _, s := range got.Signatures {
			if !s.Verified {
				got.Status = http.StatusUnauthorized
			}
		}
	}
	got = i.keep(got)
	i.lines.tell(clinic.Slug, got)
	w.WriteHeader(got.Status)
}

func (i *Inspector) clinicAt(path string) (Clinic, bool) {
	if len(path) <= len(prefix) || path[:len(prefix)] != prefix {
		return Clinic{}, false
	}
	clinic, known := i.clinics[path[len(prefix):]]
	return clinic, known
}

// keep numbers what came, and lets go of the oldest.
func (i *Inspector) keep(got Received) Received {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.last++
	got.Number, got.Time = i.last, 1
	for _, before := range i.kept {
		if got.id != "" && before.id == got.id && before.Clinic == got.Clinic {
			got.Time++
		}
	}
	if len(i.kept) == mostKept {
		i.kept = append(i.kept[:0:0], i.kept[1:]...)
	}
	i.kept = append(i.kept, got)
	return got
}
