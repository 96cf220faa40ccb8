package metrics

import (
	"cmp"
	"slices"
	"time"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
)

// Shares are one request's notes of where its time went. Whoever has them keeps
// goroutines apart.
type Shares struct {
	Fields     []FieldShare
	Statements []StatementShare
}

// FieldShare is a field that was resolved.
type FieldShare struct {
	Field        *Field
	Count, Nanos int64
}

// StatementShare is a statement that was run for a field; the field is nil where it was
// run for several, or none.
type StatementShare struct {
	Statement    *Statement
	field        *Field
	Count, Nanos int64
}

// AddField notes that a field was resolved.
func (s *Shares) AddField(f *Field, took time.Duration) {
	for i := range s.Fields {
		if s.Fields[i].Field == f {
			s.Fields[i].Count++
			s.Fields[i].Nanos += int64(took)
			return
		}
	}
	s.Fields = append(s.Fields, FieldShare{f, 1, int64(took)})
}

// AddStatement notes that a statement was run for a field.
func (s *Shares) AddStatement(statement *Statement, of *Field, took time.Duration) {
	for i := range s.Statements {
		if s.Statements[i].Statement == statement && s.Statements[i].field == of {
			s.Statements[i].Count++
			s.Statements[i].Nanos += int64(took)
			return
		}
	}
	s.Statements = append(s.Statements, StatementShare{statement, of, 1, int64(took)})
}

// Count is how many statements the request made, without the pool's own.
func (s *Shares) Count() int64 {
	var n int64
	for _, share := range s.Statements {
		if !share.Statement.own {
			n += share.Count
		}
	}
	return n
}

// End counts the statements among those of the fields that made them.
func (s *Shares) End() {
	for _, share := range s.Statements {
		if f := share.field; f != nil {
			f.mu.Lock()
			f.statements.add(share.Statement.key(), share.Count, share.Nanos)
			f.mu.Unlock()
		}
	}
}

// part is a share of an operation's or a field's time.
type part struct{ count, nanos int64 }

// partKey is a part's name and, for a statement, by what it is asked for.
type partKey struct{ name, statement string }

// parts are an operation's or a field's over the last intervals.
type parts struct {
	recent [Minute]map[partKey]part
	turn   int
}

// maxParts bounds an operation's parts: Other sends whatever it likes.
const maxParts = 200

func (p *parts) add(key partKey, count, nanos int64) {
	if p.recent[p.turn] == nil {
		p.recent[p.turn] = map[partKey]part{}
	}
	had, known := p.recent[p.turn][key]
	if !known && len(p.recent[p.turn]) >= maxParts {
		key = partKey{name: Other}
		had = p.recent[p.turn][key]
	}
	p.recent[p.turn][key] = part{had.count + count, had.nanos + nanos}
}

func (p *parts) roll() {
	p.turn = (p.turn + 1) % Minute
	p.recent[p.turn] = nil
}

func (p *parts) top(most int) []dashboard.Share {
	sums := map[partKey]part{}
	for _, interval := range p.recent {
		for key, n := range interval {
			sum := sums[key]
			sums[key] = part{sum.count + n.count, sum.nanos + n.nanos}
		}
	}
	shares := make([]dashboard.Share, 0, len(sums))
	for key, sum := range sums {
		total := Milliseconds(sum.nanos)
		shares = append(shares, dashboard.Share{Name: key.name, Statement: key.statement, Count: sum.count, Total: total, Mean: total / float64(max(sum.count, 1))})
	}
	slices.SortFunc(shares, func(a, b dashboard.Share) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Name, b.Name))
	})
	return shares[:min(len(shares), most)]
}
