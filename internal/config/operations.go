package config

import "errors"

// Operations says which GraphQL operations a server runs.
type Operations string

// The values of TASKMED_OPERATIONS.
const (
	// AnyOperation runs whatever is valid and allowed.
	AnyOperation Operations = "any"
	// RegisteredOperations runs only what was published.
	RegisteredOperations Operations = "registered"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Operations) UnmarshalText(text []byte) error {
	switch value := Operations(text); value {
	case AnyOperation, RegisteredOperations:
		*o = value
		return nil
	default:
		return errors.New("must be any or registered")
	}
}
