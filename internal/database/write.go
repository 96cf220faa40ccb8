package database

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// attempts bounds how often a transaction is tried that loses against others.
const attempts = 3

// InTenant is DB.InTenant for a use case that makes something; nil with an error.
func InTenant[T any](ctx context.Context, db *DB, work func(tx *gorm.DB) (*T, error)) (*T, error) {
	var made *T
	err := db.InTenant(ctx, func(tx *gorm.DB) (err error) {
		made, err = work(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// InTenant runs a use case in one transaction of the context's clinic. An error
// rolls it back and is returned. A deadlock or a serialization failure is tried
// again, so work must have no effects but the transaction's. Where the commit's
// answer was lost the error has the code OUTCOME_UNKNOWN.
func (db *DB) InTenant(ctx context.Context, work func(tx *gorm.DB) error) error {
	if _, err := tenant.From(ctx); err != nil {
		return err
	}
	touched.Poison(ctx, "writes")
	transaction := db.transaction
	if unit := unitOf(ctx, db); unit != nil {
		transaction = unit.within
	} else {
		yield(ctx, db)
	}
	var err error
	for attempt := range attempts {
		if attempt > 0 {
			if waited := pause(ctx, attempt); waited != nil {
				return translate(waited)
			}
		}
		if err = transaction(ctx, work); !mayRetry(err) {
			break
		}
	}
	return translate(err)
}

func (db *DB) transaction(ctx context.Context, work func(tx *gorm.DB) error) error {
	worked := false
	outcome := touched.RolledBack
	var told raised
	// Also when work panics: what was raised must be settled.
	defer func() { told.ended(ctx, db.coherence, outcome) }()
	err := db.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) (err error) {
		if db.coherence != nil {
			if err := collectTags(ctx, tx); err != nil {
				return err
			}
		}
		if err := work(tx); err != nil {
			return err
		}
		if db.coherence != nil {
			if told, err = db.raise(ctx, tx); err != nil {
				return err
			}
		}
		worked = true
		return nil
	})
	if err != nil && !worked {
		return err
	}
	outcome, err = outcomeOf(err)
	return err
}

// outcomeOf is what came of a commit that was sent, by its error.
func outcomeOf(err error) (touched.Outcome, error) {
	if err == nil {
		return touched.Committed, nil
	}
	if _, refused := errors.AsType[*pgconn.PgError](err); refused {
		return touched.RolledBack, err
	}
	return touched.Unknown, &models.Error{
		Code:    models.OutcomeUnknown,
		Message: "the connection was lost while the change was being saved: send it again with its idempotency key, or look whether it was",
		Cause:   err,
	}
}

// pause waits a little longer after each attempt, and not equally long in all
// requests, or they would meet again.
func pause(ctx context.Context, attempt int) error {
	wait := time.NewTimer(time.Duration(attempt)*5*time.Millisecond + rand.N(5*time.Millisecond))
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
		return nil
	}
}
