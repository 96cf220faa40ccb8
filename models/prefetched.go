package models

// Prefetched holds what was fetched below an entity, so that the entity's
// fields need not ask the database. What was fetched for one place of an answer
// is kept for that place alone: another place may want other things of the same
// entity. Places are compared by identity.
type Prefetched struct {
	children []prefetched
}

type prefetched struct {
	place any
	child any
	err   error
}

// Keep keeps what was fetched for a place: the child, nil if there is none, or
// the error that the place is to answer with.
func (p *Prefetched) Keep(place, child any, err error) {
	if p.children == nil {
		p.children = make([]prefetched, 0, 4)
	}
	p.children = append(p.children, prefetched{place, child, err})
}

// Kept gives what was kept for a place; found is false where nothing was fetched.
func (p *Prefetched) Kept(place any) (child any, found bool, err error) {
	for i := range p.children {
		if p.children[i].place == place {
			return p.children[i].child, true, p.children[i].err
		}
	}
	return nil, false, nil
}
