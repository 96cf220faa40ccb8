package messaging

// Seams are how tests get in. Production code sets none.
type Seams struct {
	// At is told of a named point that a worker has come to: "sending" once a message is
	// taken and its provider not asked yet, "sent" once it has answered and nothing is
	// written down yet.
	At func(point string)
}

func (s Seams) at(point string) {
	if s.At != nil {
		s.At(point)
	}
}
