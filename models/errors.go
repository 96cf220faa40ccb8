package models

import (
	"errors"
	"fmt"
	"strings"
)

// Code classifies an Error. The values are those of extensions.code in the
// API's answers; the mistakes that a user can mend inside a mutation travel as
// UserError instead.
type Code string

// The codes of the API's contract.
const (
	Unauthenticated Code = "UNAUTHENTICATED"
	Forbidden       Code = "FORBIDDEN"
	BadUserInput    Code = "BAD_USER_INPUT"
	CostLimit       Code = "COST_LIMIT"
	RateLimited     Code = "RATE_LIMITED"
	Unavailable     Code = "UNAVAILABLE"
	OutcomeUnknown  Code = "OUTCOME_UNKNOWN"
	Expired         Code = "EXPIRED"
	Conflict        Code = "CONFLICT"
	Internal        Code = "INTERNAL"
)

// Error is what a layer below the resolvers tells a client: a code and words
// that say what to do. Cause is for the log alone.
type Error struct {
	Code    Code
	Message string
	Cause   error
}

// Error gives the words for the user and, for the log, the cause.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.Cause.Error()
}

// Unwrap gives the hidden cause.
func (e *Error) Unwrap() error { return e.Cause }

// BadInput is an Error of code BAD_USER_INPUT: an argument of a query that
// cannot be understood. A mutation's input is answered with a UserError.
func BadInput(format string, args ...any) error {
	return &Error{Code: BadUserInput, Message: fmt.Sprintf(format, args...)}
}

// ErrNotFound is returned by a look-up of one entity that is not in this
// clinic, be it another's or nobody's: the two must not be told apart.
var ErrNotFound = errors.New("not found")

// Invalid is a list of mistakes that the user can mend, as an error: use cases
// return it to end their transaction, and resolvers turn it into userErrors.
type Invalid []*UserError //nolint:errname // "the input is invalid" is what every use says

// Error counts the mistakes; their words are for the user, not for the log,
// where they could hold what a patient wrote.
func (e Invalid) Error() string {
	return fmt.Sprintf("invalid input: %d user errors", len(e))
}

// Refuse is an Invalid with one mistake at a field path such as "startsAt".
func Refuse(code UserErrorCode, field, message string, entityIDs ...string) error {
	return Invalid{NewUserError(code, field, message, entityIDs...)}
}

// NewUserError is one mistake at an input field, such as "name" or "address.state";
// field may be empty where the whole input is meant.
func NewUserError(code UserErrorCode, field, message string, entityIDs ...string) *UserError {
	mistake := &UserError{Code: code, Message: message, EntityIds: entityIDs}
	if field != "" {
		mistake.Field = strings.Split(field, ".")
	}
	if mistake.EntityIds == nil {
		mistake.EntityIds = []string{}
	}
	return mistake
}
