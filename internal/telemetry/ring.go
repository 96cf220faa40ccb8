package telemetry

import "slices"

// ring keeps the last snapshots.
type ring struct {
	kept []Snapshot
	// next is where the next one goes once the ring is full.
	next int
	size int
}

func newRing(size int) ring { return ring{size: size} }

// add keeps a snapshot in place of the oldest. What the one before it tells of
// its operations and fields in detail is dropped: an hour of it would take megabytes.
func (r *ring) add(snapshot Snapshot) {
	if len(r.kept) > 0 {
		latest := &r.kept[(r.next+len(r.kept)-1)%len(r.kept)]
		latest.SlowOperations, latest.SlowFields = withoutDetails(latest.SlowOperations, latest.SlowFields)
	}
	if len(r.kept) < r.size {
		r.kept = append(r.kept, snapshot)
		return
	}
	r.kept[r.next] = snapshot
	r.next = (r.next + 1) % r.size
}

// all gives what is kept, the oldest first.
func (r *ring) all() []Snapshot {
	all := make([]Snapshot, 0, len(r.kept))
	all = append(all, r.kept[r.next:]...)
	return append(all, r.kept[:r.next]...)
}

// withoutDetails copies: subscribers may still be reading the originals.
func withoutDetails(operations []Operation, fields []Field) ([]Operation, []Field) {
	operations, fields = slices.Clone(operations), slices.Clone(fields)
	for i := range operations {
		operations[i].Fields, operations[i].Statements = nil, nil
	}
	for i := range fields {
		fields[i].Statements = nil
	}
	return operations, fields
}
