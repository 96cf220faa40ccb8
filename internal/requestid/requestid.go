// Package requestid names a request: the name goes into its answer, its log
// lines and its audit rows, so that the three can be put together.
package requestid

import (
	"context"

	"github.com/google/uuid"
)

// longest is how many characters of a client's own name are accepted.
const longest = 128

type contextKey struct{}

// With returns a context that carries the request's id.
func With(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// From returns the request's id, or "" outside of a request.
func From(ctx context.Context) string {
	id, _ := ctx.Value(contextKey{}).(string)
	return id
}

// Accept returns the client's id if it is 1 to 128 characters of A-Z a-z 0-9
// . _ -, and a new one otherwise: what is logged must not be able to forge a
// line of the log.
func Accept(offered string) string {
	if valid(offered) {
		return offered
	}
	return New()
}

// New makes an id: a UUIDv7, so that ids sort by time.
func New() string {
	id, err := uuid.NewV7()
	if err != nil { // The system's source of randomness failed; a name must be had all the same.
		return uuid.Nil.String()
	}
	return id.String()
}

func valid(id string) bool {
	if id == "" || len(id) > longest {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
