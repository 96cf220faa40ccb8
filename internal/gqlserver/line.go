package gqlserver

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/taskmed/taskmed/internal/requestid"
)

// linePool has the attributes of request lines, for a line is written for every
// request.
type linePool struct{ pool sync.Pool }

// line is as many attributes as a request's line has.
type line [12]slog.Attr

func (p *linePool) get() *line {
	if l, ok := p.pool.Get().(*line); ok {
		return l
	}
	return new(line)
}

func (p *linePool) put(l *line) {
	*l = line{} // What it tells of a request goes with it.
	p.pool.Put(l)
}

// log hands the request's line to the log's handler by itself: the logger would look
// for the caller each time, which takes longer than all else here.
func (q *request) log(ctx context.Context, status, faults, bytes int) {
	handler := q.config.Log.Handler()
	if !handler.Enabled(ctx, slog.LevelInfo) {
		return
	}
	cache := ""
	if q.told != nil {
		cache = strings.TrimPrefix(q.told.status(), "taskmed; ")
	}
	now := time.Now()
	pooled := q.lines.get()
	defer q.lines.put(pooled)
	attrs := append(pooled[:0],
		slog.String("request_id", requestid.From(ctx)), slog.String("clinic_id", q.scope.ClinicID.String()), slog.String("operation", operationName(q.op)),
		slog.String("method", q.in.Method), slog.Int("status", status), slog.Int("errors", faults),
		slog.Int("bytes", bytes), slog.Int64("cost", q.estimate()), slog.String("cache", cache), slog.Duration("took", now.Sub(q.started)))
	if statements, counted := q.config.Observer.Statements(ctx); counted {
		attrs = append(attrs, slog.Int64("statements", statements))
	}
	// What fails is not told, as the logger has it: there is nobody to tell.
	if whole, ok := handler.(lineHandler); ok {
		_ = whole.HandleLine(ctx, now, slog.LevelInfo, "request", attrs)
		return
	}
	record := slog.NewRecord(now, slog.LevelInfo, "request", 0)
	record.AddAttrs(attrs...) // It copies them.
	_ = handler.Handle(ctx, record)
}

// lineHandler is a handler that takes a line without a record made for it, with
// keys of letters alone. It does not keep the attributes.
type lineHandler interface {
	HandleLine(ctx context.Context, at time.Time, level slog.Level, message string, attrs []slog.Attr) error
}
