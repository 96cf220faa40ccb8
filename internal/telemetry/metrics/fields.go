package metrics

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
)

// Field is what is counted of one field with a resolver.
type Field struct {
	name     string
	meter    Meter
	failures prometheus.Counter

	mu sync.Mutex
	// statements are those that its resolver made.
	statements parts
}

// Name is as the schema has it: "Contact.appointments".
func (f *Field) Name() string { return f.name }

// Count counts a call of its resolver.
func (f *Field) Count(took time.Duration, failed bool) {
	f.meter.Observe(took, failed)
	if failed {
		f.failures.Inc()
	}
}

// Fields finds a field's counters by its definition, without a lock: the map is
// made from the schema and never changes.
type Fields struct {
	failures *prometheus.CounterVec
	schema   *ast.Schema
	names    map[*ast.FieldDefinition]*slot
}

// slot is a field's place: its counters come when its resolver first runs, for
// the schema does not say which fields have one.
type slot struct {
	name  string
	field atomic.Pointer[Field]
}

// NewFields registers what is counted of a schema's fields; of none without one.
func NewFields(c *Catalog, schema *ast.Schema) *Fields {
	f := &Fields{
		failures: c.counters("taskmed_field_errors_total", "Resolvers that gave an error.", "field"),
		schema:   schema, names: map[*ast.FieldDefinition]*slot{},
	}
	c.MustRegister(NewHistogram("taskmed_field_duration_seconds",
		"Time that a field's resolver took, without the fields below it.", f.Meters, "field"))
	if schema == nil {
		return f
	}
	for _, object := range schema.Types {
		if object.Kind != ast.Object && object.Kind != ast.Interface || strings.HasPrefix(object.Name, "__") {
			continue
		}
		for _, definition := range object.Fields {
			if !strings.HasPrefix(definition.Name, "__") {
				f.names[definition] = &slot{name: object.Name + "." + definition.Name}
			}
		}
	}
	return f
}

// Meters are those of the fields whose resolvers ran, by name.
func (f *Fields) Meters(yield func([]string, *Meter) bool) {
	for _, place := range f.names {
		if known := place.field.Load(); known != nil && !yield([]string{known.name}, &known.meter) {
			return
		}
	}
}

// NewBatches registers how many keys data loaders fetch at once, by the loader's name,
// which is the code's own.
func NewBatches(c *Catalog) *prometheus.HistogramVec {
	made := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "taskmed_loader_batch_size_keys", Help: "Keys that a data loader fetched at once.",
		Buckets:                     []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000},
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, []string{"loader"})
	c.MustRegister(made)
	return made
}

// Named is Of for a field by its object and its own name.
func (f *Fields) Named(object, name string) *Field {
	if f.schema == nil || f.schema.Types[object] == nil {
		return nil
	}
	return f.Of(f.schema.Types[object].Fields.ForName(name))
}

// Of is nil for what is not in the schema.
func (f *Fields) Of(definition *ast.FieldDefinition) *Field {
	place, ok := f.names[definition]
	if !ok {
		return nil
	}
	if known := place.field.Load(); known != nil {
		return known
	}
	made := &Field{name: place.name, failures: f.failures.WithLabelValues(place.name)}
	if !place.field.CompareAndSwap(nil, made) {
		return place.field.Load()
	}
	return made
}

// Around is the field whose resolver the context is in; nil outside of one.
func (f *Fields) Around(ctx context.Context) *Field {
	for at := graphql.GetFieldContext(ctx); at != nil; at = at.Parent {
		if at.IsResolver {
			return f.Of(at.Field.Definition)
		}
	}
	return nil
}

// Roll ends an interval and gives the slowest fields of the last minute.
func (f *Fields) Roll(most int) []dashboard.Field {
	slowest := []dashboard.Field{}
	all := map[string]*Field{}
	for _, place := range f.names {
		known := place.field.Load()
		if known == nil {
			continue
		}
		all[known.name] = known
		known.meter.Roll()
		if sum := known.meter.Last(Minute); sum.Count > 0 {
			slowest = append(slowest, dashboard.Field{
				Name: known.name, Count: sum.Count, Errors: sum.Faults,
				P50: sum.Quantile(.5), P95: sum.Quantile(.95), Total: sum.Total(),
			})
		}
	}
	slices.SortFunc(slowest, func(a, b dashboard.Field) int {
		return cmp.Or(cmp.Compare(b.P95, a.P95), cmp.Compare(a.Name, b.Name))
	})
	slowest = slowest[:min(len(slowest), most)]
	for i := range slowest {
		slowest[i].Statements = all[slowest[i].Name].topStatements(most)
	}
	for _, known := range all {
		known.mu.Lock()
		known.statements.roll()
		known.mu.Unlock()
	}
	return slowest
}

func (f *Field) topStatements(most int) []dashboard.Share {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.statements.top(most)
}
