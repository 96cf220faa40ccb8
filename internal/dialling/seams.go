package dialling

import (
	"context"
	"net"
)

// Seams are how tests get in: none of them may dial anybody but this machine. Production
// code sets none.
type Seams struct {
	// Resolver stands in for the machine's.
	Resolver Resolver
	// Connect stands in for the sockets: it is given an address that was let through.
	Connect func(ctx context.Context, network, address string) (net.Conn, error)
	// WithoutCheck lets every address through.
	WithoutCheck bool
}
