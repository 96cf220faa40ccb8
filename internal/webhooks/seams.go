package webhooks

import "github.com/taskmed/taskmed/internal/dialling"

// Seams are how tests get in. Production code sets none.
type Seams struct {
	// Dialling has tests call nobody but this machine.
	Dialling dialling.Seams
	// At is told of a named point that a lane has come to: "looking" once its turn has
	// done all that it does and nothing is committed yet, "looked" once it is committed and
	// nothing sent yet, "sent" once an endpoint has answered and nothing is written down
	// yet.
	At func(point string)
}

func (s Seams) at(point string) {
	if s.At != nil {
		s.At(point)
	}
}
