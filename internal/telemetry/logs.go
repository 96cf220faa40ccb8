package telemetry

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/taskmed/taskmed/internal/requestid"
)

// requestLine is the message of the line that every request has in the log.
const requestLine = "request"

// mostShapes bounds the statements and fields in a line about a slow operation.
const mostShapes = 5

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
	if r.trace != "" {
		line = line.Clone()
		line.AddAttrs(slog.String("trace_id", r.trace))
	}
	return h.Handler.Handle(ctx, line)
}

// HandleLine is Handle without a record, for attributes whose keys are plain words.
func (h handler) HandleLine(ctx context.Context, at time.Time, level slog.Level, message string, attrs []slog.Attr) error {
	r := requestOf(ctx)
	if own, ok := h.Handler.(*jsonHandler); ok && r != nil && r.trace == "" && message == requestLine {
		if done, err := own.line(at, level, message, attrs); done {
			r.logged.Store(true)
			return err
		}
	}
	line := slog.NewRecord(at, level, message, 0)
	line.AddAttrs(attrs...)
	return h.Handle(ctx, line)
}

// Statements is how many SQL statements the context's request has made so far;
// 0 outside of one.
func Statements(ctx context.Context) int64 {
	r := requestOf(ctx)
	if r == nil {
		return 0
	}
	return r.count()
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }

// logSlow tells where a slow operation's time went.
func (t *Telemetry) logSlow(r *request, took time.Duration) {
	r.mu.Lock()
	fields, statements := slices.Clone(r.fields), slices.Clone(r.statements)
	r.mu.Unlock()
	slices.SortFunc(fields, func(a, b fieldShare) int { return cmp.Compare(b.nanos, a.nanos) })
	slices.SortFunc(statements, func(a, b statementShare) int { return cmp.Compare(b.nanos, a.nanos) })
	type share struct {
		Name  string  `json:"name"`
		Count int64   `json:"count"`
		Total float64 `json:"total_ms"`
	}
	var slowFields, slowStatements []share
	for _, f := range fields[:min(len(fields), mostShapes)] {
		slowFields = append(slowFields, share{f.field.name, f.count, milliseconds(f.nanos)})
	}
	for _, s := range statements[:min(len(statements), mostShapes)] {
		slowStatements = append(slowStatements, share{s.statement.shape, s.count, milliseconds(s.nanos)})
	}
	t.log.LogAttrs(r, slog.LevelWarn, "slow operation", slog.String("request_id", requestid.From(r)),
		slog.String("operation", r.name), slog.String("type", r.kind), slog.String("clinic_id", r.clinic.String()),
		slog.Duration("took", took), slog.Any("fields", slowFields), slog.Any("sql", slowStatements))
}
