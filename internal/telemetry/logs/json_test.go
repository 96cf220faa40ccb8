package logs

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestJSONHandler_WritesWhatSlogDoes compares them byte for byte.
func TestJSONHandler_WritesWhatSlogDoes(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("-03", -3*3600)
	for name, line := range map[string]struct {
		at    time.Time
		words string
		attrs []slog.Attr
	}{
		"plain": {time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.UTC), "request", []slog.Attr{
			slog.String("request_id", "a-7"), slog.Int("status", 200), slog.Int64("cost", -3), slog.Duration("took", 1500*time.Microsecond),
			slog.String("cache", `fwd=miss; detail="first \ seen"`), slog.String("operation", ""), slog.Bool("hit", true), slog.Int("bytes", 1<<40),
			slog.String("html", "<a href='x'>&</a>"),
		}},
		"a zone and no fraction": {time.Date(2026, 11, 22, 12, 0, 0, 0, zone), "x", nil},
		"not ASCII":              {time.Date(2026, 11, 22, 12, 0, 0, 5000, zone), "clínica", []slog.Attr{slog.String("é", "ã\u2028\x00\xff\n\t\x7f")}},
		"other kinds": {time.Date(2026, 11, 22, 12, 0, 0, 5, zone), "x", []slog.Attr{
			slog.Float64("value", 0.1), slog.Any("list", []string{"a"}), slog.Group("g", slog.Int("a", 1)), slog.Time("at", time.Date(2026, 1, 1, 0, 0, 0, 0, zone)), slog.Uint64("n", 7),
		}},
		"nothing": {time.Time{}, "", nil},
	} {
		var want, got bytes.Buffer
		for _, to := range []slog.Handler{slog.NewJSONHandler(&want, nil), NewJSONHandler(&got, slog.LevelInfo)} {
			for _, to := range []slog.Handler{to, to.WithAttrs([]slog.Attr{slog.String("kept", "k")}), to.WithGroup("group")} {
				record := slog.NewRecord(line.at, slog.LevelWarn, line.words, 0)
				record.AddAttrs(line.attrs...)
				require.NoError(t, to.Handle(t.Context(), record))
			}
		}
		require.Equal(t, want.String(), got.String(), name)
	}
	for c := range 256 {
		var want, got bytes.Buffer
		record := slog.NewRecord(time.Date(2026, 11, 22, 12, 0, 0, 5, zone), slog.LevelInfo, "x", 0)
		record.AddAttrs(slog.String("k", "a"+string([]byte{byte(c)})+"b"))
		require.NoError(t, slog.NewJSONHandler(&want, nil).Handle(t.Context(), record))
		require.NoError(t, NewJSONHandler(&got, slog.LevelInfo).Handle(t.Context(), record))
		require.Equal(t, want.String(), got.String(), "byte %d", c)
	}
	handler := NewJSONHandler(io.Discard, slog.LevelWarn)
	require.False(t, handler.Enabled(context.Background(), slog.LevelInfo))
}

// BenchmarkRequestLine is what a request's line takes.
func BenchmarkRequestLine(b *testing.B) {
	for name, handler := range map[string]slog.Handler{
		"slog": slog.NewJSONHandler(struct{ io.Writer }{io.Discard}, nil), "own": NewJSONHandler(struct{ io.Writer }{io.Discard}, slog.LevelInfo),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			record := slog.NewRecord(time.Now(), slog.LevelInfo, "request", 0)
			record.AddAttrs(
				slog.String("request_id", "01a205a5-d0ac-72bf-8698-cb94499ff433"), slog.String("clinic_id", "01a205a5-d0ac-72bf-8698-cb94499ff433"),
				slog.String("operation", "DayView"), slog.String("method", "POST"), slog.Int("status", 200), slog.Int("errors", 0), slog.Int("bytes", 16000),
				slog.Int64("cost", 200), slog.String("cache", "hit"), slog.Duration("took", time.Millisecond), slog.Int64("statements", 0),
			)
			for b.Loop() {
				_ = handler.Handle(b.Context(), record)
			}
		})
	}
}
