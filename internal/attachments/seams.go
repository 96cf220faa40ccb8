package attachments

import "time"

// Seams are how tests get in. Production code sets none.
type Seams struct {
	// At is told of a named point that somebody has come to: "taken" once an address is
	// used and nothing is read yet, "stored" once the object is there and its row is not,
	// "kept" once both are, "removing" before an object goes and "removed" before its row
	// does.
	At func(point string)
	// Patience is how long a sweeper waits for the store; 10 s if it is 0.
	Patience time.Duration
}

func (s Seams) at(point string) {
	if s.At != nil {
		s.At(point)
	}
}
