// Package idempotency remembers what came of writes that clients name with a key, so
// that a write whose answer was lost can be asked for again. What is remembered commits
// with the write, belongs to one subject of one clinic, and is forgotten after 24 hours.
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/sealing"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// LongestKey bounds a key, in characters.
const LongestKey = 200

// Digest tells inputs apart.
type Digest = [sha256.Size]byte

// Keys remembers results by keys. What is remembered may be a patient's data: it is
// sealed for the clinic, the subject and the key.
type Keys struct{ box *sealing.Box }

// New derives the seal from the secret that all instances share.
func New(secret []byte) (*Keys, error) {
	box, err := sealing.New(secret, "taskmed idempotency seal")
	if err != nil {
		return nil, err
	}
	return &Keys{box}, nil
}

// key is a row of idempotency_keys.
type key struct {
	ClinicID    uuid.UUID `gorm:"primaryKey"`
	Subject     string    `gorm:"primaryKey"`
	Key         string    `gorm:"primaryKey"`
	RequestHash []byte
	Response    []byte
}

// TableName implements gorm's schema.Tabler.
func (key) TableName() string { return "idempotency_keys" }

// Take makes a key the unit's, to be used once. Where it was used before with the same
// input it gives what was remembered then, which may be empty; used is true. Another
// transaction that has the key is waited for, as long as for any lock. Errors of code
// CONFLICT are: it was used with another input, or is in use for longer than that.
func (k *Keys) Take(ctx context.Context, unit *database.Unit, name string, input Digest) (remembered []byte, used bool, err error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, false, err
	}
	var found key
	err = unit.Run(ctx, func(tx *gorm.DB) error {
		made := tx.Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "clinic_id"}, {Name: "subject"}, {Name: "key"}},
			// One that has expired and was not yet deleted is as good as none.
			Where:     clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "idempotency_keys.expires_at <= clock_timestamp()"}}},
			DoUpdates: clause.AssignmentColumns([]string{"request_hash", "response", "created_at", "expires_at"}),
		}).Create(&key{Subject: scope.Subject, Key: name, RequestHash: input[:]})
		if made.Error != nil || made.RowsAffected > 0 {
			return made.Error
		}
		used = true
		return tx.Where("subject = ? AND key = ?", scope.Subject, name).Take(&found).Error
	})
	switch {
	case database.LockTimedOut(err):
		return nil, false, &models.Error{
			Code: models.Conflict, Message: "a request with this idempotency key is still running: send it again in a moment", Cause: err,
		}
	case errors.Is(err, models.ErrNotFound):
		return nil, false, &models.Error{
			Code: models.Conflict, Message: "this idempotency key expires just now: take a new one", Cause: err,
		}
	case err != nil || !used:
		return nil, false, err
	case !bytes.Equal(found.RequestHash, input[:]):
		return nil, false, &models.Error{Code: models.Conflict, Message: "this idempotency key was used with another input: take a new one"}
	case len(found.Response) == 0:
		return nil, true, nil
	}
	remembered, err = k.open(scope, name, found.Response)
	return remembered, true, err
}

// Remember keeps what came of the unit's write under a key that it took.
func (k *Keys) Remember(ctx context.Context, unit *database.Unit, name string, result []byte) error {
	scope, err := tenant.From(ctx)
	if err != nil {
		return err
	}
	sealed := k.box.Seal(result, bound(scope, name))
	return unit.Run(ctx, func(tx *gorm.DB) error {
		kept := tx.Model(&key{}).Where("subject = ? AND key = ?", scope.Subject, name).Update("response", sealed)
		if kept.Error == nil && kept.RowsAffected != 1 {
			return fmt.Errorf("idempotency: the key is in %d rows", kept.RowsAffected)
		}
		return kept.Error
	})
}

func (k *Keys) open(scope *tenant.Scope, name string, sealed []byte) ([]byte, error) {
	result, err := k.box.Open(sealed, bound(scope, name))
	if err != nil {
		return nil, fmt.Errorf("idempotency: what was remembered: %w", err)
	}
	return result, nil
}

// bound is what a seal is good for. Neither part is longer than its bytes say.
func bound(scope *tenant.Scope, name string) []byte {
	return fmt.Appendf(nil, "%s %d %s %s", scope.ClinicID, len(scope.Subject), scope.Subject, name)
}
