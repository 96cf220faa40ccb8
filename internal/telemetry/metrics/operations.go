package metrics

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
)

// MaxOperations bounds the operations that are told apart, should more be
// registered than anyone can look at.
const MaxOperations = 500

type operationKey struct{ name, kind string }

// Operation is what is counted of one operation.
type Operation struct {
	operationKey
	meter    Meter
	failures prometheus.Counter

	mu sync.Mutex
	// These are the parts of the current interval, by name.
	fields, statements parts
}

// End counts a request of the operation's, with where its time went.
func (o *Operation) End(took time.Duration, failed bool, trace string, shares *Shares) {
	o.meter.ObserveTraced(took, failed, trace)
	if failed {
		o.failures.Inc()
	}
	if len(shares.Fields)+len(shares.Statements) == 0 { // As for what was kept.
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range shares.Fields {
		o.fields.add(partKey{name: f.Field.name}, f.Count, f.Nanos)
	}
	for _, s := range shares.Statements {
		o.statements.add(s.Statement.key(), s.Count, s.Nanos)
	}
}

// Operations tells operations apart.
type Operations struct {
	failures *prometheus.CounterVec
	byKey    table[operationKey, *Operation]
	// rest has those without a name of their own by their kind, and never changes.
	rest map[string]*Operation
	// mu is held while one is made.
	mu    sync.Mutex
	count int
}

// NewOperations registers what is counted of operations.
func NewOperations(c *Catalog) *Operations {
	o := &Operations{
		failures: c.counters("taskmed_operation_failures_total", "Operations that failed by a fault of the server's.", "operation", "type"),
		rest:     map[string]*Operation{},
	}
	for _, kind := range []string{"query", "mutation", "subscription"} {
		o.rest[kind] = o.make(operationKey{Other, kind})
	}
	c.MustRegister(NewHistogram("taskmed_operation_duration_seconds",
		"Time from a request's first header to its last byte, by registered or well-known operation.", o.Meters, "operation", "type"))
	return o
}

// Of is nil for a kind that GraphQL has not.
func (o *Operations) Of(name, kind string) *Operation {
	if name == Other {
		return o.rest[kind]
	}
	key := operationKey{name, kind}
	if known, ok := o.byKey.get(key); ok {
		return known
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if known, ok := o.byKey.get(key); ok {
		return known
	}
	if o.count >= MaxOperations {
		return o.rest[kind]
	}
	return o.make(key)
}

func (o *Operations) make(key operationKey) *Operation {
	made := &Operation{operationKey: key, failures: o.failures.WithLabelValues(key.name, key.kind)}
	o.byKey.put(key, made)
	o.count++
	return made
}

// Meters are by name and type.
func (o *Operations) Meters(yield func([]string, *Meter) bool) {
	for _, each := range o.byKey.all() {
		if !yield([]string{each.name, each.kind}, &each.meter) {
			return
		}
	}
}

// Roll ends an interval and gives the slowest operations of the last minute.
func (o *Operations) Roll(most int) []dashboard.Operation {
	all := slices.Collect(maps.Values(o.byKey.all()))
	slowest := []dashboard.Operation{}
	from := map[operationKey]*Operation{}
	for _, each := range all {
		each.meter.Roll()
		if sum := each.meter.Last(Minute); sum.Count > 0 {
			from[each.operationKey] = each
			slowest = append(slowest, dashboard.Operation{
				Name: each.name, Type: each.kind, Count: sum.Count, Failed: sum.Faults,
				P50: sum.Quantile(.5), P95: sum.Quantile(.95), P99: sum.Quantile(.99),
			})
		}
	}
	slices.SortFunc(slowest, func(a, b dashboard.Operation) int {
		return cmp.Or(cmp.Compare(b.P95, a.P95), cmp.Compare(a.Name, b.Name))
	})
	slowest = slowest[:min(len(slowest), most)]
	for i := range slowest {
		each := from[operationKey{slowest[i].Name, slowest[i].Type}]
		each.mu.Lock()
		slowest[i].Fields, slowest[i].Statements = each.fields.top(most), each.statements.top(most)
		each.mu.Unlock()
	}
	for _, each := range all {
		each.mu.Lock()
		each.fields.roll()
		each.statements.roll()
		each.mu.Unlock()
	}
	return slowest
}
