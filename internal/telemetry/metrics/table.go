package metrics

import (
	"maps"
	"sync/atomic"
)

// table is a map that is read at every request and seldom added to: reading takes
// no lock and no memory, and adding copies it. The zero value is empty.
type table[K comparable, V any] struct{ kept atomic.Pointer[map[K]V] }

func (t *table[K, V]) get(key K) (V, bool) {
	value, ok := t.all()[key]
	return value, ok
}

// put adds to the table. Its callers keep each other out.
func (t *table[K, V]) put(key K, value V) {
	all := maps.Clone(t.all())
	if all == nil {
		all = map[K]V{}
	}
	all[key] = value
	t.kept.Store(&all)
}

// all is not to be written into.
func (t *table[K, V]) all() map[K]V {
	if kept := t.kept.Load(); kept != nil {
		return *kept
	}
	return nil
}
