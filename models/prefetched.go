package models

// Prefetched holds what was fetched below an entity, so that the entity's
// fields need not ask the database. What was fetched for one place of an answer
// is kept for that place alone: another place may want other things of the same
// entity. Places are compared by identity.
type Prefetched struct {
	// Most entities are shown with one relation or none.
	first prefetched
	more  []prefetched
}

type prefetched struct{ place, child any }

// failed stands in a child's place.
type failed struct{ err error }

// Keep keeps what was fetched for a place: the child, nil if there is none, or
// the error that the place is to answer with.
func (p *Prefetched) Keep(place, child any, err error) {
	if err != nil {
		child = failed{err}
	}
	if p.first.place == nil {
		p.first = prefetched{place, child}
		return
	}
	p.more = append(p.more, prefetched{place, child})
}

// Kept gives what was kept for a place; found is false where nothing was fetched.
func (p *Prefetched) Kept(place any) (child any, found bool, err error) {
	kept := p.first
	for i := 0; kept.place != place; i++ {
		if i == len(p.more) {
			return nil, false, nil
		}
		kept = p.more[i]
	}
	if failed, is := kept.child.(failed); is {
		return nil, true, failed.err
	}
	return kept.child, true, nil
}
