package metrics

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
)

const (
	// MaxFamilies and maxTexts bound what is kept of statements. A client's
	// selection decides which columns a statement has, so there are more texts
	// than anyone wants to keep; families are as many as the code has tables.
	MaxFamilies = 200
	maxTexts    = 4000
)

// family is a kind of statement: what it does to which tables.
type family struct {
	name     string
	meter    Meter
	failures prometheus.Counter

	// slowest is how long the slowest one lately took, example which one it was.
	slowest atomic.Int64
	mu      sync.Mutex
	example *Statement
}

// Statement is what is known of one text.
type Statement struct {
	family *family
	shape  string
	// id is by what its plan is asked for: short, and the same for the same shape.
	// "" where it has no plan, or is not among those that are kept.
	id string
	// own is true for what the pool does by itself: putting the clinic on a
	// connection, beginning and ending transactions.
	own bool
}

// Family is what it does to which tables: a verb and their names.
func (s *Statement) Family() string { return s.family.name }

// Shape is its text without values or columns.
func (s *Statement) Shape() string { return s.shape }

// Count counts a run of it.
func (s *Statement) Count(took time.Duration, failed bool, trace string) {
	f := s.family
	f.meter.ObserveTraced(took, failed, trace)
	if failed {
		f.failures.Inc()
	}
	if int64(took) <= f.slowest.Load() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if int64(took) > f.slowest.Load() {
		f.slowest.Store(int64(took))
		f.example = s
	}
}

// Statements finds a text's family.
type Statements struct {
	failures *prometheus.CounterVec

	// texts has *Statement by text; it is mostly read.
	texts sync.Map

	mu       sync.RWMutex
	kept     int
	families map[string]*family
	// examples are texts by the ids of their statements.
	examples map[string]string
}

// NewStatements registers what is counted of SQL statements.
func NewStatements(c *Catalog) *Statements {
	s := &Statements{
		failures: c.counters("taskmed_statement_errors_total", "SQL statements that gave an error.", "family"),
		families: map[string]*family{}, examples: map[string]string{},
	}
	c.MustRegister(NewHistogram("taskmed_statement_duration_seconds",
		"Time from sending a SQL statement to its last row, by what it does to which tables.", s.Meters, "family"))
	return s
}

// Of finds what is known of a text.
func (s *Statements) Of(sql string) *Statement {
	if known, ok := s.texts.Load(sql); ok {
		if known, ok := known.(*Statement); ok {
			return known
		}
	}
	words := scan(sql)
	name := familyOf(words)
	found := &Statement{shape: shapeOf(words), own: isPools(name, words)}
	s.mu.Lock()
	defer s.mu.Unlock()
	found.family = s.family(name)
	if s.kept < maxTexts {
		text := strings.Clone(sql)
		if canBePlanned(name) {
			found.id = idOf(found.shape)
			s.examples[found.id] = text
		}
		if _, ahead := s.texts.LoadOrStore(text, found); !ahead {
			s.kept++
		}
	}
	return found
}

// Example is a text with a statement's shape; "" where none is known.
func (s *Statements) Example(id string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.examples[id]
}

// key is what a statement is counted under.
func (s *Statement) key() partKey { return partKey{name: s.shape, statement: s.id} }

func idOf(shape string) string {
	sum := sha256.Sum256([]byte(shape))
	return hex.EncodeToString(sum[:8])
}

func canBePlanned(family string) bool {
	verb, _, _ := strings.Cut(family, " ")
	switch verb {
	case "select", "insert", "update", "delete":
		return true
	}
	return false
}

func (s *Statements) family(name string) *family {
	if known, ok := s.families[name]; ok {
		return known
	}
	if len(s.families) >= MaxFamilies {
		name = Other
		if known, ok := s.families[Other]; ok {
			return known
		}
	}
	made := &family{name: name, failures: s.failures.WithLabelValues(name)}
	s.families[name] = made
	return made
}

// Meters are by family.
func (s *Statements) Meters(yield func([]string, *Meter) bool) {
	for _, f := range s.all() {
		if !yield([]string{f.name}, &f.meter) {
			return
		}
	}
}

// all gives the families there are.
func (s *Statements) all() []*family {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*family, 0, len(s.families))
	for _, f := range s.families {
		all = append(all, f)
	}
	return all
}

// Roll ends an interval and gives the slowest families of the last minute.
func (s *Statements) Roll(most int) []dashboard.Statement {
	slowest := []dashboard.Statement{}
	for _, f := range s.all() {
		f.meter.Roll()
		sum := f.meter.Last(Minute)
		f.mu.Lock()
		example := f.example
		if sum.Count == 0 {
			f.slowest.Store(0) // The next one begins anew.
		}
		f.mu.Unlock()
		if sum.Count > 0 && example != nil {
			slowest = append(slowest, dashboard.Statement{
				Family: f.name, Shape: example.shape, Statement: example.id, Count: sum.Count, Errors: sum.Faults,
				P50: sum.Quantile(.5), P95: sum.Quantile(.95), Total: sum.Total(),
			})
		}
	}
	slices.SortFunc(slowest, func(a, b dashboard.Statement) int {
		return cmp.Or(cmp.Compare(b.P95, a.P95), cmp.Compare(a.Family, b.Family))
	})
	return slowest[:min(len(slowest), most)]
}
