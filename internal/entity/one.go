package entity

import (
	"slices"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/touched"
)

// one is a field that gives an entity by its id.
type one struct {
	column string
	of     *noun
}

func (o *one) key() string   { return o.column }
func (o *one) target() *noun { return o.of }

func (o *one) known(_ *Reading, ask *Ask) []uuid.UUID { return ask.Keys }

func (o *one) ask(r *Reading, ask *Ask) (func() (*Found, error), error) {
	return r.byID(o.of, ask.Keys, o.of.columnsFor(shown(ask.Place, false))), nil
}

// byID is one statement for all entities of a kind that a round trip is to read
// by their ids, whatever places they are for.
type byID struct {
	noun    *noun
	ids     []uuid.UUID
	columns []string

	rows      []any
	statement *database.Statement
	err       error
	found     map[uuid.UUID]any
}

// byID has entities read by their ids, with the columns that are wanted of them.
func (r *Reading) byID(n *noun, ids []uuid.UUID, columns []string) func() (*Found, error) {
	var all *byID
	for _, known := range r.merged {
		if known.noun == n {
			all = known
		}
	}
	if all == nil {
		all = &byID{noun: n}
		r.merged = append(r.merged, all)
	}
	all.ids = append(all.ids, ids...)
	all.columns = append(all.columns, columns...)
	return func() (*Found, error) { return all.pick(ids) }
}

// queue sends what was asked for by ids.
func (b *byID) queue(r *Reading) {
	b.ids = distinct(b.ids)
	// That an entity is not there is an answer, too: it may come to be.
	r.dependOnIDs(b.noun, b.ids)
	if len(b.ids) == 0 {
		return
	}
	st := &statement{
		noun: b.noun, columns: b.noun.inOrder(b.columns),
		where: []condition{{sql: "id = ANY(?)", values: []any{b.ids}}},
	}
	b.statement, b.err = r.rows(st, len(b.ids), &b.rows)
}

func (b *byID) pick(ids []uuid.UUID) (*Found, error) {
	if b.err == nil && b.statement != nil {
		b.err = b.statement.Err
	}
	if b.err != nil {
		return nil, b.err
	}
	if b.found == nil {
		b.found = make(map[uuid.UUID]any, len(b.rows))
		for _, row := range b.rows {
			b.found[b.noun.idOf(row)] = row
		}
	}
	found := &Found{Values: make(map[uuid.UUID]any, len(ids))}
	for _, id := range ids {
		if row, ok := b.found[id]; ok {
			found.Values[id] = row
			found.Entities = append(found.Entities, row)
		}
	}
	return found, nil
}

// distinct gives ids each once, without the nil id, in an order of their own: the
// same question is then the same statement with the same values.
func distinct(ids []uuid.UUID) []uuid.UUID {
	sorted := slices.Clone(ids)
	slices.SortFunc(sorted, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	sorted = slices.Compact(sorted)
	if len(sorted) > 0 && sorted[0] == uuid.Nil {
		sorted = sorted[1:]
	}
	return sorted
}

// dependOnRows declares entities that are in the answer.
func (r *Reading) dependOnRows(n *noun, rows []any) {
	if n.kind == "" || !r.Kept() {
		return
	}
	for _, row := range rows {
		r.Depends(touched.Entity(n.kind, n.idOf(row)))
	}
}

func (r *Reading) dependOnIDs(n *noun, ids []uuid.UUID) {
	if n.kind == "" || !r.Kept() {
		return
	}
	for _, id := range ids {
		r.Depends(touched.Entity(n.kind, id))
	}
}

// dependOnParents declares what hangs below parents by a column of a noun's rows.
func (r *Reading) dependOnParents(n *noun, column string, parents []uuid.UUID) {
	if !r.Kept() {
		return
	}
	for _, parent := range parents {
		r.Depends(n.below(column, parent))
	}
}
