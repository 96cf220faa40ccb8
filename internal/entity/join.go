package entity

import (
	"slices"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/selection"
)

// mostJoined bounds the rows beside which entities are read that they point at: an
// entity is sent once for each row that shows it, so that of many rows its look-up
// by itself is the cheaper one.
const mostJoined = 150

// join is what a statement reads beside its rows: the entities that one of their
// columns points at.
type join struct {
	column  string
	of      *noun
	columns []string
	read    *part
}

// Join has the same statement read what a field of the entities gives, at a place
// below this one, where that is an entity which the rows point at; false where it
// must be asked for by itself, once they are known. It is for before Ask. What
// finish gives once the statement has been read is for such parents' keys.
func (r Relation) Join(reading *Reading, ask *Ask, field Relation, place *selection.Field) (finish func(keys []uuid.UUID) *Found, ok bool) {
	to, single := field.relation.(*one)
	if rows := r.most(ask); !single || rows == 0 || rows > mostJoined || to.of.fields["id"] == nil || to.of.only != nil {
		return nil, false
	}
	at := slices.IndexFunc(ask.joins, func(j *join) bool { return j.column == to.column && j.of == to.of })
	if at < 0 {
		at = len(ask.joins)
		ask.joins = append(ask.joins, &join{column: to.column, of: to.of})
	}
	j := ask.joins[at]
	j.columns = to.of.inOrder(append(j.columns, to.of.columnsFor(shown(place, false))...))
	return func(keys []uuid.UUID) *Found {
		reading.dependOnIDs(j.of, keys)
		found := &Found{Values: make(map[uuid.UUID]any, len(keys))}
		for _, id := range keys {
			if row, ok := j.entity(id); ok {
				found.Values[id] = row
				found.Entities = append(found.Entities, row)
			}
		}
		return found
	}, true
}

// entity is one that was read.
func (j *join) entity(id uuid.UUID) (any, bool) {
	if j.read == nil {
		return nil, false // no row could be meant, and so nothing was read
	}
	row, ok := j.read.seen[id]
	return row, ok
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
		return len(ask.Keys)
	case *all:
		return of.limit * len(ask.Keys)
	}
	return 0
}
