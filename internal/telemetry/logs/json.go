package logs

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// jsonHandler writes what slog's JSON handler does, but lines of plain words and
// whole numbers, as every request has one, in six tenths of the processor's time
// (docs/decisions/0014). All others it leaves to slog's.
type jsonHandler struct {
	slog.Handler

	out  io.Writer
	pool *sync.Pool
}

// NewJSONHandler is slog.NewJSONHandler for a log of requests.
func NewJSONHandler(out io.Writer, level slog.Leveler) slog.Handler {
	shared := &oneAtATime{out: out}
	return &jsonHandler{
		Handler: slog.NewJSONHandler(shared, &slog.HandlerOptions{Level: level}), out: shared,
		pool: &sync.Pool{New: func() any { return new(make([]byte, 0, 1024)) }},
	}
}

// oneAtATime keeps lines apart: each is one Write.
type oneAtATime struct {
	mu  sync.Mutex
	out io.Writer
}

// Write implements io.Writer.
func (o *oneAtATime) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.out.Write(p)
}

// Handle implements slog.Handler.
func (h *jsonHandler) Handle(ctx context.Context, line slog.Record) error {
	var few [16]slog.Attr
	attrs := few[:0]
	line.Attrs(func(attr slog.Attr) bool {
		attrs = append(attrs, attr)
		return true
	})
	for _, attr := range attrs {
		if !untouched(attr.Key) {
			return h.Handler.Handle(ctx, line)
		}
	}
	if done, err := h.line(line.Time, line.Level, line.Message, attrs); done {
		return err
	}
	return h.Handler.Handle(ctx, line)
}

// line writes a line if it is plain. Its keys must be.
func (h *jsonHandler) line(at time.Time, level slog.Level, message string, attrs []slog.Attr) (done bool, err error) {
	buffer, ok := h.pool.Get().(*[]byte)
	if !ok {
		return false, nil
	}
	defer h.pool.Put(buffer)
	text, plain := appendPlain((*buffer)[:0], at, level, message, attrs)
	*buffer = text
	if !plain {
		return false, nil
	}
	_, err = h.out.Write(text)
	return true, err
}

// WithAttrs implements slog.Handler: slog's own takes over.
func (h *jsonHandler) WithAttrs(attrs []slog.Attr) slog.Handler { return h.Handler.WithAttrs(attrs) }

// WithGroup implements slog.Handler, likewise.
func (h *jsonHandler) WithGroup(name string) slog.Handler { return h.Handler.WithGroup(name) }

// appendPlain appends a line, or as much of it as is plain; its keys are.
func appendPlain(text []byte, at time.Time, level slog.Level, message string, attrs []slog.Attr) (_ []byte, plain bool) {
	if at.IsZero() {
		return text, false
	}
	text = append(text, `{"time":"`...)
	text = at.AppendFormat(text, time.RFC3339Nano)
	text = append(text, `","level":"`...)
	text = append(text, level.String()...)
	text = append(text, `","msg":`...)
	if text, plain = appendWords(text, message); !plain {
		return text, false
	}
	for _, attr := range attrs {
		text = append(text, ',', '"')
		text = append(text, attr.Key...)
		text = append(text, '"', ':')
		switch attr.Value.Kind() {
		case slog.KindString:
			if text, plain = appendWords(text, attr.Value.String()); !plain {
				return text, false
			}
		case slog.KindInt64:
			text = strconv.AppendInt(text, attr.Value.Int64(), 10)
		case slog.KindDuration:
			text = strconv.AppendInt(text, int64(attr.Value.Duration()), 10)
		case slog.KindBool:
			text = strconv.AppendBool(text, attr.Value.Bool())
		default:
			return text, false
		}
	}
	return append(text, "}\n"...), true
}

// appendWords appends a string of JSON, unless it has more than ASCII.
func appendWords(text []byte, words string) (_ []byte, plain bool) {
	text = append(text, '"')
	if untouched(words) {
		text = append(text, words...)
		return append(text, '"'), true
	}
	for i := range len(words) {
		c := words[i]
		if c < ' ' || c > '~' {
			return text, false
		}
		if c == '"' || c == '\\' {
			text = append(text, '\\')
		}
		text = append(text, c)
	}
	return append(text, '"'), true
}

// untouched tells that a string of JSON can hold words as they are.
func untouched(words string) bool {
	for i := range len(words) {
		if c := words[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
