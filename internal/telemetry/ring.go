package telemetry

// ring keeps the last snapshots.
type ring struct {
	kept []Snapshot
	// next is where the next one goes once the ring is full.
	next int
	size int
}

func newRing(size int) ring { return ring{size: size} }

// add keeps a snapshot in place of the oldest. What the one before it tells of
// its operations in detail is dropped: an hour of it would take megabytes.
func (r *ring) add(snapshot Snapshot) {
	if len(r.kept) > 0 {
		latest := &r.kept[(r.next+len(r.kept)-1)%len(r.kept)]
		latest.SlowOperations = withoutDetails(latest.SlowOperations)
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

// withoutDetails copies: subscribers may still be reading the original.
func withoutDetails(operations []Operation) []Operation {
	bare := make([]Operation, len(operations))
	copy(bare, operations)
	for i := range bare {
		bare[i].Fields, bare[i].Statements = nil, nil
	}
	return bare
}
