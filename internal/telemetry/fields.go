package telemetry

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
)

// field is what is counted of one field with a resolver.
type field struct {
	name     string
	meter    meter
	failures prometheus.Counter

	mu sync.Mutex
	// statements are those that its resolver made.
	statements parts
}

// fields finds a field's counters by its definition, without a lock: the map is
// made from the schema and never changes.
type fields struct {
	metrics *metrics
	schema  *ast.Schema
	names   map[*ast.FieldDefinition]*slot
}

// slot is a field's place: its counters come when its resolver first runs, for
// the schema does not say which fields have one.
type slot struct {
	name  string
	field atomic.Pointer[field]
}

func newFields(m *metrics, schema *ast.Schema) *fields {
	f := &fields{metrics: m, schema: schema, names: map[*ast.FieldDefinition]*slot{}}
	m.catalog.MustRegister(newHistogram("taskmed_field_duration_seconds",
		"Time that a field's resolver took, without the fields below it.", f.meters, "field"))
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

// meters are those of the fields whose resolvers ran.
func (f *fields) meters(yield func([]string, *meter) bool) {
	for _, place := range f.names {
		if known := place.field.Load(); known != nil && !yield([]string{known.name}, &known.meter) {
			return
		}
	}
}

// Fetched counts a relation that was fetched for all of its parents at once, before
// their resolvers were asked.
func (t *Telemetry) Fetched(ctx context.Context, object, name string, took time.Duration, failed bool) {
	if t.fields.schema == nil || t.fields.schema.Types[object] == nil {
		return
	}
	of := t.fields.schema.Types[object]
	f := t.fields.of(of.Fields.ForName(name))
	if f == nil {
		return
	}
	f.count(took, failed)
	if r := requestOf(ctx); r != nil && took >= noticeable {
		r.addField(f, took)
	}
}

// of is nil for what is not in the schema.
func (f *fields) of(definition *ast.FieldDefinition) *field {
	place, ok := f.names[definition]
	if !ok {
		return nil
	}
	if known := place.field.Load(); known != nil {
		return known
	}
	made := &field{
		name: place.name, failures: f.metrics.fldFaults.WithLabelValues(place.name),
	}
	if !place.field.CompareAndSwap(nil, made) {
		return place.field.Load()
	}
	return made
}

func (f *field) count(took time.Duration, failed bool) {
	f.meter.observe(took, failed)
	if failed {
		f.failures.Inc()
	}
}

// around is the field whose resolver the context is in; nil outside of one.
func (f *fields) around(ctx context.Context) *field {
	for at := graphql.GetFieldContext(ctx); at != nil; at = at.Parent {
		if at.IsResolver {
			return f.of(at.Field.Definition)
		}
	}
	return nil
}

// roll ends an interval and gives the slowest fields of the last minute, and
// those that were slow within the alerts' window.
func (f *fields) roll(most int) (slowest []Field, slow []crossing) {
	slowest = []Field{}
	all := map[string]*field{}
	for _, place := range f.names {
		known := place.field.Load()
		if known == nil {
			continue
		}
		all[known.name] = known
		known.meter.roll()
		slow = slowly(known.name, &known.meter, slow)
		if sum := known.meter.last(minute); sum.count > 0 {
			slowest = append(slowest, Field{
				Name: known.name, Count: sum.count, Errors: sum.faults,
				P50: sum.quantile(.5), P95: sum.quantile(.95), Total: sum.total(),
			})
		}
	}
	slices.SortFunc(slowest, func(a, b Field) int { return cmp.Or(cmp.Compare(b.P95, a.P95), cmp.Compare(a.Name, b.Name)) })
	slowest = slowest[:min(len(slowest), most)]
	for i := range slowest {
		slowest[i].Statements = all[slowest[i].Name].topStatements(most)
	}
	for _, known := range all {
		known.mu.Lock()
		known.statements.roll()
		known.mu.Unlock()
	}
	return slowest, slow
}

func (f *field) topStatements(most int) []Share {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.statements.top(most)
}
