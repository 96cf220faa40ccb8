package database

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/models"
)

// SQLSTATE classes and codes (PostgreSQL, appendix A) that mean something to
// those above this package.
const (
	stateUnique        = "23505"
	stateExclusion     = "23P01"
	stateForeignKey    = "23503"
	stateRestrict      = "23001"
	stateCheck         = "23514"
	stateDeadlock      = "40P01"
	stateSerialization = "40001"
	stateCancelled     = "57014"
	stateLockTimeout   = "55P03"
	classConnection    = "08"
	classResources     = "53"
	classOperator      = "57"
)

// Violation gives the name of the constraint that refused a write.
func Violation(err error) (constraint string, violated bool) {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return "", false
	}
	switch refused.Code {
	case stateUnique, stateExclusion, stateForeignKey, stateRestrict, stateCheck:
		return refused.ConstraintName, true
	}
	return "", false
}

// LockTimedOut tells whether a statement waited too long for another transaction.
func LockTimedOut(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refused.Code == stateLockTimeout
}

// translate gives errors that are the machine's, not the statement's, a code
// that tells the client to come back.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return models.ErrNotFound
	}
	if _, ok := errors.AsType[*models.Error](err); ok {
		return err
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case refused.Code == stateCancelled, refused.Code == stateLockTimeout,
			refused.Code[:2] == classConnection, refused.Code[:2] == classResources, refused.Code[:2] == classOperator:
			return unavailable(err)
		}
		return err
	}
	var unreachable *pgconn.ConnectError
	if errors.As(err, &unreachable) || errors.Is(err, context.DeadlineExceeded) || pgconn.Timeout(err) {
		return unavailable(err)
	}
	return err
}

func unavailable(cause error) error {
	return &models.Error{Code: models.Unavailable, Message: "the service is busy, try again in a moment", Cause: cause}
}

// mayRetry tells whether a transaction failed only because of another one.
func mayRetry(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && (refused.Code == stateDeadlock || refused.Code == stateSerialization)
}
