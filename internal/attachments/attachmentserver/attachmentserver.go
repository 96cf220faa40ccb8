// Package attachmentserver takes and serves the files of medical records over HTTP.
package attachmentserver

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/taskmed/taskmed/internal/attachments"
)

// What of the public listener's requests is files', as http.ServeMux has it.
const (
	PutPattern = "PUT " + attachments.UploadPath + "{token}"
	GetPattern = "GET " + attachments.Path + "{name}"
)

const (
	// mostUploads and mostDownloads are under way at once on a server, and of one clinic
	// no more than a quarter of them.
	mostUploads   = 32
	mostDownloads = 128
	// slowestReader is how many bytes a second a client must take at least, and spare what
	// it has besides.
	slowestReader = 64 << 10
	spare         = 30 * time.Second
	// longestUpload bounds an upload, whoever is slow: an hour after an address has expired
	// its row is cleared.
	longestUpload = 50 * time.Minute
	// longest bounds how long a file is read from the store.
	longest = 20 * time.Minute
)

// Files are what is taken and served.
type Files interface {
	Await(ctx context.Context, token string) (*attachments.Awaited, error)
	Open(ctx context.Context, name string) (*attachments.Opened, error)
}

// Handler takes and serves files. fit tells whether the database may be served.
func Handler(files Files, fit func() error, log *slog.Logger) http.Handler {
	return &handler{files, fit, log, newTurns(mostUploads), newTurns(mostDownloads), slowest()}
}

type handler struct {
	files              Files
	fit                func() error
	log                *slog.Logger
	uploads, downloads *turns
	pace               pace
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	// The address is a credential, and what it gives is a patient's: it must not travel on,
	// nor lie in anybody's cache or index, nor run with this site's rights.
	header.Set("Cache-Control", "private, no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Robots-Tag", "noindex")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if r.Method == http.MethodPut {
		h.put(w, r)
		return
	}
	h.get(w, r)
}

// allow gives whoever reads so long for so many bytes, and not more: the server's own
// limits are for requests that fit into memory.
func allow(w http.ResponseWriter, bytes int) {
	long := spare + time.Duration(bytes/slowestReader)*time.Second
	// What is no connection of net/http's has no deadlines: tests.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(long + spare))
}

// receiving is the body of an upload and the time that it has: as long as it takes, while
// the client keeps pace.
func (h *handler) receiving(w http.ResponseWriter, r *http.Request) (context.Context, io.Reader, context.CancelFunc) {
	control := http.NewResponseController(w)
	// What is no connection of net/http's has no deadlines: tests.
	_ = control.SetWriteDeadline(time.Now().Add(longestUpload + spare))
	ctx, done := context.WithTimeout(r.Context(), longestUpload)
	return ctx, &paced{pace: h.pace, body: r.Body, deadline: control.SetReadDeadline, now: time.Now}, done
}

// turns bounds how much is under way at once, in all and of one clinic.
type turns struct {
	most int

	mu  sync.Mutex
	all int
	of  map[string]int
}

func newTurns(most int) *turns { return &turns{most: most, of: map[string]int{}} }

// take gives what ends the turn; false if there is none.
func (t *turns) take(clinic string) (func(), bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all >= t.most || t.of[clinic] >= t.most/4 {
		return nil, false
	}
	t.all++
	t.of[clinic]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.all--
		if t.of[clinic]--; t.of[clinic] == 0 {
			delete(t.of, clinic)
		}
	}, true
}

func tell(w http.ResponseWriter, status int, words string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, words+"\n") //nolint:gosec // plain text; whoever is gone reads no more
}

func busy(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "5")
	tell(w, http.StatusServiceUnavailable, "too many files are on their way: try again in a moment")
}

const (
	nothing = "there is no such file"
	// clinicChars are those of an address that name the clinic.
	clinicChars = 26
)
