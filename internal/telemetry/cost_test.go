package telemetry

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/vektah/gqlparser/v2/ast"
)

// BenchmarkParts are what one field, statement and request take to be watched.
func BenchmarkParts(b *testing.B) {
	schema := &ast.Schema{Types: map[string]*ast.Definition{"Query": {
		Name: "Query", Kind: ast.Object, Fields: ast.FieldList{{Name: "contacts"}},
	}}}
	telemetry := newTelemetry(b.Context(), Config{Schema: schema})
	f := telemetry.fields.Of(schema.Types["Query"].Fields[0])
	b.Run("clock", func(b *testing.B) {
		for b.Loop() {
			_ = time.Since(time.Now())
		}
	})
	b.Run("meter", func(b *testing.B) {
		for b.Loop() {
			f.Count(time.Microsecond, false)
		}
	})
	// What is done without: Prometheus' own histograms cost more, and on all
	// processors at once still more.
	native := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x", NativeHistogramBucketFactor: 1.1})
	b.Run("native", func(b *testing.B) {
		for b.Loop() {
			native.Observe(1e-6)
		}
	})
	r := &request{}
	b.Run("note", func(b *testing.B) {
		for b.Loop() {
			r.addField(f, time.Microsecond)
		}
	})
	ctx := context.WithValue(b.Context(), requestKey{}, r)
	for range 20 {
		ctx = context.WithValue(ctx, statementKey{}, r) //nolint:fatcontext // a field's context is that deep
	}
	b.Run("context", func(b *testing.B) {
		for b.Loop() {
			_ = requestOf(ctx)
		}
	})
	tracer := telemetry.Tracer()
	statement := asks(tracer, "SELECT id, name FROM contacts WHERE clinic_id = $1", nil)
	b.Run("request with a statement", func(b *testing.B) {
		clinic := uuid.New()
		b.ReportAllocs()
		for b.Loop() {
			serve(telemetry, clinic, "x", statement)
		}
	})
}
