package telemetry

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/models"
)

// outcome is how a request ended.
type outcome int

const (
	okOutcome outcome = iota
	refusedOutcome
	failedOutcome
	canceledOutcome
)

func outcomes() [4]string { return [4]string{"ok", "refused", "failed", "canceled"} }

// request is what is noted while a request runs. It is the request's context
// and what its answer is written to, too, so that watching takes one allocation.
type request struct {
	context.Context //nolint:containedctx // it is a context

	telemetry *Telemetry

	out     watched
	started time.Time
	method  string
	header  http.Header
	span    trace.Span
	// trace is the trace's id where it is sampled, "" otherwise.
	trace  string
	logged atomic.Bool

	mu         sync.Mutex
	ended      bool
	name, kind string
	clinic     uuid.UUID
	code       models.Code
	failed     bool
	fields     []fieldShare
	statements []statementShare

	// outcome is set when it ends.
	outcome outcome
}

type fieldShare struct {
	field        *field
	count, nanos int64
}

type statementShare struct {
	statement    *statement
	field        *field
	count, nanos int64
}

type requestKey struct{}

// Value implements context.Context.
func (r *request) Value(key any) any {
	if _, own := key.(requestKey); own {
		return r
	}
	return r.Context.Value(key)
}

func requestOf(ctx context.Context) *request {
	r, _ := ctx.Value(requestKey{}).(*request)
	return r
}

func (r *request) addField(f *field, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended { // Its counts were taken.
		return
	}
	for i := range r.fields {
		if r.fields[i].field == f {
			r.fields[i].count++
			r.fields[i].nanos += int64(took)
			return
		}
	}
	r.fields = append(r.fields, fieldShare{f, 1, int64(took)})
}

func (r *request) addStatement(s *statement, of *field, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	for i := range r.statements {
		if r.statements[i].statement == s && r.statements[i].field == of {
			r.statements[i].count++
			r.statements[i].nanos += int64(took)
			return
		}
	}
	r.statements = append(r.statements, statementShare{s, of, 1, int64(took)})
}

// shareWithFields counts the request's statements among those of the fields
// that made them. The request has ended.
func (r *request) shareWithFields() {
	for _, s := range r.statements {
		if s.field != nil {
			s.field.mu.Lock()
			s.field.statements.add(s.statement.key(), s.count, s.nanos)
			s.field.mu.Unlock()
		}
	}
}

// count is how many statements the request made, without the pool's own.
func (r *request) count() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var n int64
	for _, s := range r.statements {
		if !s.statement.own {
			n += s.count
		}
	}
	return n
}

// note keeps the worst of an answer's errors: a fault of the server's before
// anything else.
func (r *request) note(code models.Code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if fault := serverFault(code); !r.ended && (r.code == "" || fault && !r.failed) {
		r.code, r.failed = code, fault
	}
}

// of notes the clinic. An operation may go on, or be run again for the cache's
// sake, after its request has ended.
func (r *request) of(clinic uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.clinic = clinic
	}
}

func serverFault(code models.Code) bool {
	return code == models.Internal || code == models.Unavailable || code == models.OutcomeUnknown
}

// Begin watches a request that is about an operation: its answer goes to out, under
// the context, and end is to be deferred.
func (t *Telemetry) Begin(w http.ResponseWriter, r *http.Request) (out http.ResponseWriter, ctx context.Context, end func()) {
	if r.Method == http.MethodOptions { // A browser's question, not a client's request.
		return w, r.Context(), func() {}
	}
	record := &request{Context: r.Context(), telemetry: t, out: watched{ResponseWriter: w}, started: time.Now(), method: r.Method, header: w.Header()}
	t.flying.Add(1)
	return &record.out, t.traces.begin(record, r, record), record.end
}

// end is deferred: it sees a panic, which is answered and logged further out.
func (r *request) end() {
	r.telemetry.flying.Add(-1)
	reason := recover()
	if reason != nil {
		r.out.status = http.StatusInternalServerError
	}
	r.telemetry.end(r)
	if reason != nil {
		panic(reason)
	}
}

func (t *Telemetry) end(record *request) {
	took := time.Since(record.started)
	status := record.out.status
	if status == http.StatusSeeOther { // Someone opened the API's address in a browser.
		return
	}
	kind := record.conclude(status, errors.Is(record.Err(), context.Canceled))
	t.metrics.outcomes[record.outcome].Inc()
	if record.outcome != okOutcome {
		t.metrics.refusals.WithLabelValues(kind).Inc()
		t.refusals.count(kind)
	}
	if record.outcome == refusedOutcome {
		t.refused.Add(1)
	}
	failed := record.outcome == failedOutcome
	t.requests.observeTraced(took, failed, record.trace)
	t.longest.note(took)
	if record.clinic != uuid.Nil {
		t.clinics.of(record.clinic).count(took, failed)
	}
	if record.kind != "" {
		if op := t.operations.of(record.name, record.kind); op != nil {
			op.end(record, took)
		}
		t.cache.count(record.header)
	}
	record.shareWithFields()
	t.traces.end(record, status)
	if !record.logged.Load() {
		t.log.LogAttrs(record, slog.LevelInfo, requestLine, slog.String("request_id", requestid.From(record)),
			slog.String("method", record.method), slog.Int("status", status), slog.Duration("took", took))
	}
	if took > fair {
		t.logSlow(record, took)
	}
}

// conclude settles a request's outcome and names what it was refused or failed by.
func (r *request) conclude(status int, canceled bool) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	kind := string(r.code)
	if kind == "" && status >= http.StatusBadRequest {
		kind = kindOf(status)
		r.failed = status >= http.StatusInternalServerError
	}
	switch {
	case kind == "":
		r.outcome = okOutcome
	case canceled && r.code != models.Internal:
		r.outcome, kind = canceledOutcome, "CANCELED"
	case r.failed:
		r.outcome = failedOutcome
	default:
		r.outcome = refusedOutcome
	}
	if kind != "" && !slices.Contains(kinds(), kind) {
		kind = other
	}
	return kind
}

// kindOf names a refusal that came before there was an operation.
func kindOf(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return string(models.Unauthenticated)
	case http.StatusForbidden:
		return string(models.Forbidden)
	case http.StatusTooManyRequests:
		return string(models.RateLimited)
	case http.StatusServiceUnavailable:
		return string(models.Unavailable)
	case http.StatusMethodNotAllowed:
		return "METHOD_NOT_ALLOWED"
	case http.StatusNotAcceptable:
		return "NOT_ACCEPTABLE"
	case http.StatusRequestEntityTooLarge:
		return "BODY_TOO_LARGE"
	case http.StatusUnsupportedMediaType:
		return "UNSUPPORTED_MEDIA_TYPE"
	}
	if status >= http.StatusInternalServerError {
		return string(models.Internal)
	}
	return string(models.BadUserInput)
}

// kinds are all that refusals are counted by, besides "other".
func kinds() []string {
	return []string{
		string(models.Unauthenticated), string(models.Forbidden), string(models.BadUserInput), string(models.CostLimit),
		string(models.RateLimited), string(models.Unavailable), string(models.OutcomeUnknown), string(models.Expired), string(models.Internal),
		"GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "PERSISTED_QUERY_NOT_FOUND", "PERSISTED_QUERY_NOT_SUPPORTED",
		"METHOD_NOT_ALLOWED", "NOT_ACCEPTABLE", "BODY_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "CANCELED",
	}
}

// watched remembers an answer's status.
type watched struct {
	http.ResponseWriter

	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *watched) WriteHeader(status int) {
	if w.status == 0 || w.status < http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *watched) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush implements http.Flusher, for events as they come.
func (w *watched) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// Hijack implements http.Hijacker, for WebSockets.
func (w *watched) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
