package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/internal/telemetry/logs"
	"github.com/taskmed/taskmed/internal/telemetry/metrics"
	"github.com/taskmed/taskmed/internal/telemetry/traces"
	"github.com/taskmed/taskmed/models"
)

// request is what is noted while a request runs. It is the request's context
// and what its answer is written to, too, so that watching takes one allocation.
type request struct {
	context.Context //nolint:containedctx // it is a context

	telemetry *Telemetry

	out     watched
	started time.Time
	method  string
	header  http.Header
	span    traces.Request
	line    logs.Request

	mu         sync.Mutex
	ended      bool
	name, kind string
	clinic     uuid.UUID
	// code is the worst of the answer's errors.
	code   models.Code
	shares metrics.Shares
}

type requestKey struct{}

// Value implements context.Context.
func (r *request) Value(key any) any {
	switch key.(type) {
	case requestKey:
		return r
	case logs.RequestKey:
		return &r.line
	}
	return r.Context.Value(key)
}

func requestOf(ctx context.Context) *request {
	r, _ := ctx.Value(requestKey{}).(*request)
	return r
}

func (r *request) addField(f *metrics.Field, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended { // Afterwards its counts were taken.
		r.shares.AddField(f, took)
	}
}

func (r *request) addStatement(s *metrics.Statement, of *metrics.Field, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.shares.AddStatement(s, of, took)
	}
}

// Statements is how many SQL statements the context's request has made so far;
// 0 outside of one.
func (*Telemetry) Statements(ctx context.Context) (n int64, counted bool) {
	r := requestOf(ctx)
	if r == nil {
		return 0, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shares.Count(), true
}

// note keeps the worst of an answer's errors: a fault of the server's before
// anything else.
func (r *request) note(code models.Code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended && (r.code == "" || metrics.ServerFault(code) && !metrics.ServerFault(r.code)) {
		r.code = code
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

// Begin watches a request that is about an operation: its answer goes to out, under
// the context, and end is to be deferred.
func (t *Telemetry) Begin(w http.ResponseWriter, r *http.Request) (out http.ResponseWriter, ctx context.Context, end func()) {
	if r.Method == http.MethodOptions { // A browser's question, not a client's request.
		return w, r.Context(), func() {}
	}
	record := &request{Context: r.Context(), telemetry: t, out: watched{ResponseWriter: w}, started: time.Now(), method: r.Method, header: w.Header()}
	t.requests.Begin()
	ctx, record.span = t.Traces.Begin(record, r, record.header)
	record.line.Trace = record.span.ID
	return &record.out, ctx, record.end
}

// end is deferred: it sees a panic, which is answered and logged further out.
func (r *request) end() {
	r.telemetry.requests.End()
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
	outcome, kind := record.conclude(status, errors.Is(record.Err(), context.Canceled))
	failed := outcome == metrics.Failed
	t.requests.Count(outcome, kind, took, record.span.ID)
	if record.clinic != uuid.Nil {
		t.clinics.Of(record.clinic).Count(took, failed)
	}
	if record.kind != "" {
		if op := t.operations.Of(record.name, record.kind); op != nil {
			op.End(took, failed, record.span.ID, &record.shares)
		}
		t.cache.Count(record.header)
	}
	record.shares.End()
	record.span.End(status, record.shares.Count(), record.header.Get(metrics.CacheStatus), failed, string(record.code))
	if !record.line.Logged() {
		t.log.LogAttrs(record, slog.LevelInfo, "request", slog.String("request_id", requestid.From(record)),
			slog.String("method", record.method), slog.Int("status", status), slog.Duration("took", took))
	}
	if took > metrics.Limit {
		t.logSlow(record, took)
	}
}

// conclude ends what is noted, and judges it.
func (r *request) conclude(status int, canceled bool) (outcome metrics.Outcome, kind string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	return metrics.Judge(status, r.code, canceled)
}
