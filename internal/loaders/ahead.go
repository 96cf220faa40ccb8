package loaders

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/selection"
)

// mostAhead bounds for how many entities what hangs below them is asked for before
// it is known whether they are there.
const mostAhead = 100

// asked is one relation at one place, for all parents that the answer has there.
type asked struct {
	place    *selection.Field
	relation entity.Relation
	parents  []any
	ask      entity.Ask
	// ahead are relations of the entities that are being read which take the same
	// round trip: found by ids that are known already, or read by the same statement.
	ahead []*asked
	// joined is set for what the statement of the one above reads.
	joined func(keys []uuid.UUID) *entity.Found
	// apart keeps the statement from reading what hangs below.
	apart bool

	done   func(error)
	finish func() (*entity.Found, error)
	found  *entity.Found
	err    error
}

// level gathers what is asked for in one round trip, each place once.
type level struct {
	r     *Response
	asked []*asked
}

func (l *level) at(place *selection.Field, relation entity.Relation) *asked {
	for _, a := range l.asked {
		if a.place == place {
			return a
		}
	}
	a := &asked{place: place, relation: relation}
	l.asked = append(l.asked, a)
	return a
}

// fetchRoots fetches all fields of Query that are entities or lists of them.
func (r *Response) fetchRoots(ctx context.Context) {
	r.fetched = map[*selection.Field]result{}
	l := &level{r: r}
	for _, place := range r.plan.Fields {
		if relation, ok := r.from.Registry.Relation(r.plan.Object, place.Name); ok {
			l.at(place, relation).ask.Keys = []uuid.UUID{uuid.Nil}
		}
	}
	roots := l.asked
	r.descend(ctx, l)
	for _, root := range roots {
		r.fetched[root.place] = result{root.value(uuid.Nil), root.err}
	}
}

// below fetches what hangs below a value that somebody else made: a mutation's
// payload, for instance.
func (r *Response) below(ctx context.Context, place *selection.Field, value any) {
	l := &level{r: r}
	l.value(ctx, place, value)
	r.descend(ctx, l)
}

// descend fetches level after level until nothing more is asked for.
func (r *Response) descend(ctx context.Context, l *level) {
	for len(l.asked) > 0 {
		r.fetch(ctx, l.asked)
		next := &level{r: r}
		for _, a := range l.asked {
			a.hand(ctx, next)
		}
		l = next
	}
}

// fetch asks for all of a level in one round trip. What goes wrong at one place is
// that place's error.
func (r *Response) fetch(ctx context.Context, all []*asked) {
	reading, err := r.from.Registry.Begin(ctx)
	for _, a := range all {
		a.keys()
		if err != nil {
			a.err = err
			continue
		}
		r.queue(ctx, reading, a)
	}
	if err == nil && !reading.Empty() {
		reading.Send()
	}
	var again []*asked
	for _, a := range all {
		a.end()
		if a.torn(ctx) {
			again = append(again, a.again())
		}
	}
	if len(again) == 0 {
		return
	}
	r.fetch(ctx, again)
	for _, a := range all {
		for _, whole := range again {
			if whole.place == a.place {
				*a = *whole
			}
		}
	}
}

// again is the same, to be asked for apart from what hangs below it.
func (a *asked) again() *asked {
	other := &asked{place: a.place, relation: a.relation, parents: a.parents, apart: true}
	if a.parents == nil {
		other.ask.Keys = a.ask.Keys
	}
	return other
}

// torn is whether a statement failed that also read what hangs below: whose fault it
// was shows when each is asked for by itself.
func (a *asked) torn(ctx context.Context) bool {
	return a.err != nil && ctx.Err() == nil && slices.ContainsFunc(a.ahead, func(child *asked) bool { return child.joined != nil })
}

// keys gathers the parents' keys, each once.
func (a *asked) keys() {
	if a.parents == nil {
		return
	}
	seen := make(map[uuid.UUID]struct{}, len(a.parents))
	for _, parent := range a.parents {
		key, points := a.relation.Key(parent)
		if _, known := seen[key]; known || !points {
			continue
		}
		seen[key] = struct{}{}
		a.ask.Keys = append(a.ask.Keys, key)
	}
}

func (r *Response) queue(ctx context.Context, reading *entity.Reading, a *asked) {
	if len(a.ask.Keys) == 0 {
		a.finish = func() (*entity.Found, error) { return &entity.Found{}, nil }
		return
	}
	a.ask.Place = a.place
	if r.from.Fetching != nil {
		a.done = r.from.Fetching(ctx, a.place, len(a.ask.Keys))
	}
	if a.ask.Args, a.err = r.arguments(ctx, a.place); a.err != nil {
		return
	}
	if !a.apart {
		r.join(ctx, reading, a)
	}
	if a.finish, a.err = a.relation.Ask(reading, &a.ask); a.err != nil {
		return
	}
	ids := a.relation.Ahead(reading, &a.ask)
	if len(ids) == 0 || len(ids) > mostAhead {
		return
	}
	object := a.relation.Object()
	for _, field := range a.place.On(object) {
		relation, ok := r.from.Registry.Relation(object, field.Name)
		if !ok || !relation.ByOwnID() {
			continue
		}
		child := &asked{place: field, relation: relation}
		child.ask.Keys = ids
		a.ahead = append(a.ahead, child)
		r.queue(ctx, reading, child)
	}
}

// join has a relation's statement read what hangs below its rows, where that is one
// entity for each and the rows are shown at one place only.
func (r *Response) join(ctx context.Context, reading *entity.Reading, a *asked) {
	shown := a.shown()
	if len(shown) != 1 || shown[0].interfaced {
		return
	}
	for _, field := range shown[0].set {
		below, ok := r.from.Registry.Relation(a.relation.Object(), field.Name)
		if !ok {
			continue
		}
		child := &asked{place: field, relation: below}
		if child.joined, ok = a.relation.Join(reading, &a.ask, below, field, &child.ask); !ok {
			continue
		}
		r.join(ctx, reading, child)
		if r.from.Fetching != nil {
			child.done = r.from.Fetching(ctx, field, 0)
		}
		a.ahead = append(a.ahead, child)
	}
}

func (a *asked) end() {
	switch {
	case a.err != nil:
	case a.joined != nil:
		a.keys()
		a.found = a.joined(a.ask.Keys)
	default:
		a.found, a.err = a.finish()
	}
	if a.done != nil {
		a.done(a.err)
	}
	for _, child := range a.ahead {
		if child.joined != nil {
			child.err = a.err
			if a.found != nil {
				child.parents = a.found.Entities
			}
		}
		child.end()
	}
}

// value is what the field is for a parent's key.
func (a *asked) value(key uuid.UUID) any {
	if a.found == nil {
		return nil
	}
	return a.found.Of(key)
}

// hand gives the parents what was fetched for them, and asks for what hangs below it.
func (a *asked) hand(ctx context.Context, next *level) {
	for _, parent := range a.parents {
		holds, ok := parent.(holder)
		if !ok {
			continue
		}
		key, points := a.relation.Key(parent)
		if !points {
			holds.Keep(a.place, nil, a.err)
			continue
		}
		holds.Keep(a.place, a.value(key), a.err)
	}
	if a.found == nil || len(a.found.Entities) == 0 {
		return
	}
	for _, child := range a.ahead {
		child.parents = a.found.Entities
		child.hand(ctx, next)
	}
	table := next.r.from.Objects
	for _, shown := range a.shown() {
		if shown.interfaced {
			for _, found := range a.found.Entities {
				next.fields(ctx, shown.place.On(table.Of(found).Name), []any{found}, a.ahead)
			}
			continue
		}
		next.fields(ctx, shown.set, a.found.Entities, a.ahead)
	}
}

// shownSet is a set of fields that entities are shown with.
type shownSet struct {
	place      *selection.Field
	set        []*selection.Field
	interfaced bool
}

// shown tells at which places below a relation its entities are shown: a
// connection may show them as nodes and as edges.
func (a *asked) shown() []shownSet {
	if !a.relation.Paged() {
		if set := a.place.Below(); set != nil {
			return []shownSet{{set: set}}
		}
		return []shownSet{{place: a.place, interfaced: true}}
	}
	wanted := selection.Connection(a.place)
	sets := make([]shownSet, len(wanted.Shown))
	for i, set := range wanted.Shown {
		sets[i].set = set
	}
	return sets
}

// fields asks for what is selected of objects of one type, but for what was asked
// for ahead.
func (l *level) fields(ctx context.Context, set []*selection.Field, all []any, ahead []*asked) {
	for _, field := range set {
		if field.Of == nil || !field.Of.Composite || isAhead(field, ahead) {
			continue
		}
		if field.Of.Relation() {
			if relation, ok := l.r.from.Registry.Relation(field.Of.Object, field.Name); ok {
				a := l.at(field, relation)
				a.parents = append(a.parents, all...)
			}
			continue
		}
		for _, object := range all {
			if part := field.Of.Part(object); part != nil {
				l.value(ctx, field, part)
			}
		}
	}
}

func isAhead(place *selection.Field, ahead []*asked) bool {
	for _, a := range ahead {
		if a.place == place {
			return true
		}
	}
	return false
}

// value asks for what is selected of a value at a place: an object, or a list.
func (l *level) value(ctx context.Context, place *selection.Field, value any) {
	if place.Of == nil || !place.Of.Composite {
		return
	}
	elements := []any{value}
	if place.Of.List {
		elements = place.Of.Elements(value)
	}
	table := l.r.from.Objects
	for _, element := range elements {
		if object := table.Of(element); object != nil && !isNil(element) {
			l.r.from.Registry.Show(ctx, l.r.scope, object.Name, element)
			l.fields(ctx, place.On(object.Name), []any{element}, nil)
		}
	}
}
