package logs

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// requestLine is the message of the line that every request has in the log.
const requestLine = "request"

// Request is what the log knows of a request: its context gives it for a RequestKey.
type Request struct {
	// Trace is its trace's id, "" where it is not traced.
	Trace string

	logged atomic.Bool
}

// Logged tells whether its line was written.
func (r *Request) Logged() bool { return r.logged.Load() }

// RequestKey is what a request's context has its Request by.
type RequestKey struct{}

func requestOf(ctx context.Context) *Request {
	r, _ := ctx.Value(RequestKey{}).(*Request)
	return r
}

// handler notes which requests have their line in the log, and adds their
// traces to lines.
type handler struct{ slog.Handler }

// Logger is a log whose lines about a traced request tell its trace.
func Logger(log *slog.Logger) *slog.Logger { return slog.New(handler{log.Handler()}) }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, line slog.Record) error {
	r := requestOf(ctx)
	if r == nil {
		return h.Handler.Handle(ctx, line)
	}
	if line.Message == requestLine {
		r.logged.Store(true)
	}
	if r.Trace != "" {
		line = line.Clone()
		line.AddAttrs(slog.String("trace_id", r.Trace))
	}
	return h.Handler.Handle(ctx, line)
}

// HandleLine is Handle without a record, for attributes whose keys are plain words.
func (h handler) HandleLine(ctx context.Context, at time.Time, level slog.Level, message string, attrs []slog.Attr) error {
	r := requestOf(ctx)
	if own, ok := h.Handler.(*jsonHandler); ok && r != nil && r.Trace == "" && message == requestLine {
		if done, err := own.line(at, level, message, attrs); done {
			r.logged.Store(true)
			return err
		}
	}
	line := slog.NewRecord(at, level, message, 0)
	line.AddAttrs(attrs...)
	return h.Handle(ctx, line)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
