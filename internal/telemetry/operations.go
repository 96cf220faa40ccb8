package telemetry

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxOperations bounds the operations that are told apart, should more be
// registered than anyone can look at.
const maxOperations = 500

type operationKey struct{ name, kind string }

// operation is what is counted of one operation.
type operation struct {
	operationKey
	meter    meter
	failures prometheus.Counter

	mu sync.Mutex
	// now are the parts of the current interval, by name.
	fields, statements parts
}

// part is a share of an operation's or a field's time.
type part struct{ count, nanos int64 }

// partKey is a part's name and, for a statement, by what it is asked for.
type partKey struct{ name, statement string }

// parts are an operation's or a field's over the last intervals.
type parts struct {
	recent [minute]map[partKey]part
	turn   int
}

func (p *parts) add(key partKey, count, nanos int64) {
	if p.recent[p.turn] == nil {
		p.recent[p.turn] = map[partKey]part{}
	}
	had, known := p.recent[p.turn][key]
	if !known && len(p.recent[p.turn]) >= maxParts {
		key = partKey{name: other}
		had = p.recent[p.turn][key]
	}
	p.recent[p.turn][key] = part{had.count + count, had.nanos + nanos}
}

// maxParts bounds an operation's parts: "other" sends whatever it likes.
const maxParts = 200

func (p *parts) roll() {
	p.turn = (p.turn + 1) % minute
	p.recent[p.turn] = nil
}

func (p *parts) top(most int) []Share {
	sums := map[partKey]part{}
	for _, interval := range p.recent {
		for key, n := range interval {
			sum := sums[key]
			sums[key] = part{sum.count + n.count, sum.nanos + n.nanos}
		}
	}
	shares := make([]Share, 0, len(sums))
	for key, sum := range sums {
		total := milliseconds(sum.nanos)
		shares = append(shares, Share{Name: key.name, Statement: key.statement, Count: sum.count, Total: total, Mean: total / float64(max(sum.count, 1))})
	}
	slices.SortFunc(shares, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Name, b.Name))
	})
	return shares[:min(len(shares), most)]
}

// end counts a request of the operation's. The request has ended.
func (o *operation) end(r *request, took time.Duration) {
	failed := r.outcome == failedOutcome
	o.meter.observeTraced(took, failed, r.trace)
	if failed {
		o.failures.Inc()
	}
	if len(r.fields)+len(r.statements) == 0 { // As for what was kept.
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range r.fields {
		o.fields.add(partKey{name: f.field.name}, f.count, f.nanos)
	}
	for _, s := range r.statements {
		o.statements.add(s.statement.key(), s.count, s.nanos)
	}
}

// operations tells operations apart.
type operations struct {
	metrics *metrics
	byKey   table[operationKey, *operation]
	// rest has those without a name of their own by their kind, and never changes.
	rest map[string]*operation
	// mu is held while one is made.
	mu    sync.Mutex
	count int
}

func newOperations(m *metrics) *operations {
	o := &operations{metrics: m, rest: map[string]*operation{}}
	for _, kind := range []string{"query", "mutation", "subscription"} {
		o.rest[kind] = o.make(operationKey{other, kind})
	}
	m.catalog.MustRegister(newHistogram("taskmed_operation_duration_seconds",
		"Time from a request's first header to its last byte, by registered or well-known operation.", o.meters, "operation", "type"))
	return o
}

// of is nil for a kind that GraphQL has not.
func (o *operations) of(name, kind string) *operation {
	if name == other {
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
	if o.count >= maxOperations {
		return o.rest[kind]
	}
	return o.make(key)
}

func (o *operations) make(key operationKey) *operation {
	made := &operation{operationKey: key, failures: o.metrics.opFaults.WithLabelValues(key.name, key.kind)}
	o.byKey.put(key, made)
	o.count++
	return made
}

func (o *operations) all() []*operation {
	return slices.Collect(maps.Values(o.byKey.all()))
}

func (o *operations) meters(yield func([]string, *meter) bool) {
	for _, each := range o.all() {
		if !yield([]string{each.name, each.kind}, &each.meter) {
			return
		}
	}
}

// roll ends an interval and gives the slowest operations of the last minute,
// and those that were slow within the alerts' window.
func (o *operations) roll(most int) (slowest []Operation, slow []crossing) {
	all := o.all()
	slowest = []Operation{}
	from := map[operationKey]*operation{}
	for _, each := range all {
		each.meter.roll()
		slow = slowly(each.kind+" "+each.name, &each.meter, slow)
		sum := each.meter.last(minute)
		if sum.count > 0 {
			from[each.operationKey] = each
			slowest = append(slowest, Operation{
				Name: each.name, Type: each.kind, Count: sum.count, Failed: sum.faults,
				P50: sum.quantile(.5), P95: sum.quantile(.95), P99: sum.quantile(.99),
			})
		}
	}
	slices.SortFunc(slowest, func(a, b Operation) int {
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
	return slowest, slow
}
