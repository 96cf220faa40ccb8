package entity

import (
	"slices"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/selection"
)

const (
	// mostJoined bounds the rows beside which entities are read: one that many rows point
	// at is sent once for each, so that of many rows its look-up by itself is the cheaper
	// one.
	mostJoined = 150
	// mostFirsts bounds the lists whose first entity one statement reads beside its rows.
	mostFirsts = 4
)

// join is what a statement reads beside each of its rows: the entity that a column
// points at, or the first of a list below the row.
type join struct {
	of      *noun
	columns []string
	// column points at the entity; "" where first says what is read.
	column string
	first  *statement
	// below is what is read beside the first of a list in turn.
	below *Ask
	read  *part
}

// seen are the entities that were read, by id; none where no row could be meant, and so
// nothing was asked.
func (j *join) seen() map[uuid.UUID]any {
	if j.read == nil {
		return nil
	}
	return j.read.seen
}

// joins are what is read beside the join's own rows.
func (j *join) joins() []*join {
	if j.below == nil {
		return nil
	}
	return j.below.joins
}

// eachJoin calls for all joins, each before those below it.
func eachJoin(joins []*join, call func(*join)) {
	for _, j := range joins {
		call(j)
		eachJoin(j.joins(), call)
	}
}

// Join has the same statement read what a field of the entities gives, at a place
// below this one, where that is an entity which the rows point at or the first of a
// list; false where it must be asked for by itself, once they are known. It is for
// before Ask. below is for what is joined to it in turn. What finish gives once the
// statement has been read is for such parents' keys.
func (r Relation) Join(reading *Reading, ask *Ask, field Relation, place *selection.Field, below *Ask) (finish func(keys []uuid.UUID) *Found, ok bool) {
	rows := r.most(ask)
	if rows == 0 || rows > mostJoined {
		return nil, false
	}
	below.rows = rows
	switch to := field.relation.(type) {
	case *one:
		return to.join(reading, ask, place)
	case *first:
		return to.join(reading, ask, place, below)
	}
	return nil, false
}

func (o *one) join(reading *Reading, ask *Ask, place *selection.Field) (finish func(keys []uuid.UUID) *Found, ok bool) {
	if o.of.fields["id"] == nil || o.of.only != nil {
		return nil, false
	}
	at := slices.IndexFunc(ask.joins, func(j *join) bool { return j.first == nil && j.column == o.column && j.of == o.of })
	if at < 0 {
		at = len(ask.joins)
		ask.joins = append(ask.joins, &join{column: o.column, of: o.of})
	}
	j := ask.joins[at]
	j.columns = o.of.inOrder(append(j.columns, o.of.columnsFor(shown(place, false))...))
	return func(keys []uuid.UUID) *Found {
		reading.dependOnIDs(j.of, keys)
		found := &Found{Values: make(map[uuid.UUID]any, len(keys))}
		for _, id := range keys {
			if row, ok := j.seen()[id]; ok {
				found.Values[id] = row
				found.Entities = append(found.Entities, row)
			}
		}
		return found
	}, true
}

func (f *first) join(reading *Reading, ask *Ask, place *selection.Field, below *Ask) (finish func(keys []uuid.UUID) *Found, ok bool) {
	if f.noun.only != nil || f.declared.Ends != nil && reading.Kept() {
		return nil, false // it has to know the rows before
	}
	firsts := 0
	for _, j := range ask.joins {
		if j.first != nil {
			firsts++
		}
	}
	q := f.query(reading)
	if q.nothing || q.each != nil || firsts == mostFirsts {
		return nil, false
	}
	j := &join{of: f.noun, columns: f.columns(place), below: below}
	j.first = &statement{noun: f.noun, where: q.conditions, order: &f.order, limit: f.limit, per: f.parent}
	ask.joins = append(ask.joins, j)
	return func(keys []uuid.UUID) *Found {
		reading.dependOnParents(f.noun, f.parent, keys)
		of := make(map[uuid.UUID]any, len(keys))
		for _, row := range j.seen() {
			if parent, ok := f.noun.fields[f.parent].id(row); ok {
				of[parent] = row
			}
		}
		found := f.found(reading, keys, of)
		reading.dependOnRows(f.noun, found.Entities)
		return found
	}, true
}

// most is how many rows a relation's statement reads at most; 0 where it reads none
// of its own.
func (r Relation) most(ask *Ask) int {
	switch of := r.relation.(type) {
	case *list:
		if of.Through != nil {
			return 0
		}
		w, err := requestOf(ask.Args).Window()
		if err != nil {
			return 0
		}
		return (w.Limit + 1) * len(ask.Keys)
	case *first:
		return max(ask.rows, len(ask.Keys))
	case *all:
		if of.finder != "" {
			return 0
		}
		return of.limit * len(ask.Keys)
	}
	return 0
}
