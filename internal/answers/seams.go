package answers

import "github.com/taskmed/taskmed/internal/trust"

// seams are where tests get in, as coherence's are.
type seams struct {
	trust.Seams

	// withoutShares lets any clinic give way in the process, withoutLate lets those who
	// come late take over what was read.
	withoutShares, withoutLate bool
}
