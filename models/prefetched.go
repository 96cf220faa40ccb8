package models

// Prefetched holds what the look-ahead has fetched below an entity, so that the
// entity's resolvers need not ask the database. An entity belongs to one place
// of one answer, so a response key names one thing in it.
type Prefetched struct {
	children map[string]any
}

// Put keeps what a field's response key stands for.
func (p *Prefetched) Put(key string, child any) {
	if p.children == nil {
		p.children = make(map[string]any, 4)
	}
	p.children[key] = child
}

// Fetched gives what was kept under a response key. A nil child that was put is
// found, too: it stands for "there is none".
func Fetched[T any](p *Prefetched, key string) (child T, found bool) {
	child, found = p.children[key].(T)
	return child, found
}
