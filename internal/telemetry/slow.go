package telemetry

import (
	"cmp"
	"log/slog"
	"slices"
	"time"

	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/internal/telemetry/metrics"
)

// mostShapes bounds the statements and fields in a line about a slow operation.
const mostShapes = 5

// logSlow tells where a slow operation's time went.
func (t *Telemetry) logSlow(r *request, took time.Duration) {
	r.mu.Lock()
	fields, statements := slices.Clone(r.shares.Fields), slices.Clone(r.shares.Statements)
	r.mu.Unlock()
	slices.SortFunc(fields, func(a, b metrics.FieldShare) int { return cmp.Compare(b.Nanos, a.Nanos) })
	slices.SortFunc(statements, func(a, b metrics.StatementShare) int { return cmp.Compare(b.Nanos, a.Nanos) })
	type share struct {
		Name  string  `json:"name"`
		Count int64   `json:"count"`
		Total float64 `json:"total_ms"`
	}
	var slowFields, slowStatements []share
	for _, f := range fields[:min(len(fields), mostShapes)] {
		slowFields = append(slowFields, share{f.Field.Name(), f.Count, metrics.Milliseconds(f.Nanos)})
	}
	for _, s := range statements[:min(len(statements), mostShapes)] {
		slowStatements = append(slowStatements, share{s.Statement.Shape(), s.Count, metrics.Milliseconds(s.Nanos)})
	}
	t.log.LogAttrs(r, slog.LevelWarn, "slow operation", slog.String("request_id", requestid.From(r)),
		slog.String("operation", r.name), slog.String("type", r.kind), slog.String("clinic_id", r.clinic.String()),
		slog.Duration("took", took), slog.Any("fields", slowFields), slog.Any("sql", slowStatements))
}
