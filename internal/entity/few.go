package entity

import (
	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/selection"
)

// mostPerParent bounds the rows of a list that is no connection.
const mostPerParent = 1000

// All is a list without pages, of what an entity can have a few of alone: at most
// 1,000 rows per parent.
type All struct {
	// Field is where the schema has it, and Parent the column that points there.
	Field, Parent string
	// Order is what the rows are sorted by, the id among equals; several columns
	// stand between commas.
	Order  string
	Filter func(q *Query, args Args) error
	// Finder, in the place of Parent and Order, is a function of Postgres' that is given
	// a parent's id, and gives the ids of the rows and their places; Depends declares
	// what these depend on.
	Finder  string
	Depends func(r *Reading, ask *Ask)
}

// First is the first of a list alone, or null.
type First struct {
	// Field is where the schema has it, and Parent the column that points there.
	Field, Parent string
	Order         string
	Desc          bool
	// Filter is given the reading, for its clock.
	Filter func(q *Query, r *Reading)
	// Until, if set, tells from what was found how long the answer holds.
	Until func(r *Reading, found *Found)
	// Ends, if set, asks for the parents how long the answer holds; nobody calls it for
	// an answer that nobody may keep.
	Ends func(r *Reading, parents []uuid.UUID)
}

// some reads up to limit rows per parent.
type some struct {
	noun   *noun
	parent string
	order  ordered
	limit  int
	finder string
}

func (s *some) key() string   { return "id" }
func (s *some) target() *noun { return s.noun }

func (s *some) known(*Reading, *Ask) []uuid.UUID { return nil }

func (s *some) rows(r *Reading, ask *Ask, q *Query) (perParent func() (map[uuid.UUID][]any, error), err error) {
	if s.parent != "" {
		r.dependOnParents(s.noun, s.parent, ask.Keys)
	}
	if q.nothing {
		return func() (map[uuid.UUID][]any, error) { return nil, nil }, nil
	}
	var read []any
	var via []uuid.UUID
	reads := &statement{
		noun: s.noun, where: q.conditions, each: q.each, order: &s.order, limit: s.limit, per: s.parent, parents: ask.Keys, joins: ask.joins,
		columns: s.columns(ask.Place),
	}
	if s.finder != "" {
		reads.finder, reads.via = s.finder, &via
	}
	sent, err := r.rows(reads, len(ask.Keys), &read)
	if err != nil {
		return nil, err
	}
	return func() (map[uuid.UUID][]any, error) {
		if sent.Err != nil {
			return nil, sent.Err
		}
		grouped := map[uuid.UUID][]any{}
		for i, row := range read {
			if s.finder != "" {
				grouped[via[i]] = append(grouped[via[i]], row)
			} else if id, ok := s.noun.fields[s.parent].id(row); ok {
				grouped[id] = append(grouped[id], row)
			}
		}
		r.dependOnRows(s.noun, read)
		return grouped, nil
	}, nil
}

// columns are what is read of rows that are shown at a place.
func (s *some) columns(place *selection.Field) []string {
	return s.noun.columnsFor(shown(place, false), append(s.order.columns(), s.parent)...)
}

type all struct {
	some

	declared All
}

func (a *all) ask(r *Reading, ask *Ask) (func() (*Found, error), error) {
	q := r.query()
	if a.declared.Filter != nil {
		if err := a.declared.Filter(q, ask.Args); err != nil {
			return nil, err
		}
	}
	if a.declared.Depends != nil {
		a.declared.Depends(r, ask)
	}
	perParent, err := a.rows(r, ask, q)
	if err != nil {
		return nil, err
	}
	return func() (*Found, error) {
		rows, err := perParent()
		if err != nil {
			return nil, err
		}
		found := &Found{Values: make(map[uuid.UUID]any, len(ask.Keys)), Absent: a.noun.slice(nil)}
		for key, of := range rows {
			found.Values[key] = a.noun.slice(of)
			found.Entities = append(found.Entities, of...)
		}
		return found, nil
	}, nil
}

type first struct {
	some

	declared First
}

func (f *first) query(r *Reading) *Query {
	q := r.query()
	if f.declared.Filter != nil {
		f.declared.Filter(q, r)
	}
	return q
}

func (f *first) ask(r *Reading, ask *Ask) (func() (*Found, error), error) {
	perParent, err := f.rows(r, ask, f.query(r))
	if err != nil {
		return nil, err
	}
	if f.declared.Ends != nil && r.Kept() {
		f.declared.Ends(r, ask.Keys)
	}
	return func() (*Found, error) {
		rows, err := perParent()
		if err != nil {
			return nil, err
		}
		of := make(map[uuid.UUID]any, len(rows))
		for key, rows := range rows {
			of[key] = rows[0]
		}
		return f.found(r, ask.Keys, of), nil
	}, nil
}

// found is what was found for parents, of whom some have one.
func (f *first) found(r *Reading, parents []uuid.UUID, of map[uuid.UUID]any) *Found {
	found := &Found{Values: make(map[uuid.UUID]any, len(of))}
	for _, parent := range parents {
		if row, ok := of[parent]; ok {
			found.Values[parent] = row
			found.Entities = append(found.Entities, row)
		}
	}
	if f.declared.Until != nil {
		f.declared.Until(r, found)
	}
	return found
}
