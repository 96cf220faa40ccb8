// Package people keeps the clinic's address book: the clinic itself, those who
// treat, what is offered, and the contacts.
package people

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/people/guesses"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// Directory reads and writes the address book of the context's clinic.
type Directory struct {
	db       *database.DB
	entities *entity.Registry
	cursors  *paging.Cursors
	now      func() time.Time
	guesses  *guesses.Limit
}

// New makes a Directory; now is the clock. What others try of whole CPFs is counted with
// what is tried here.
func New(db *database.DB, entities *entity.Registry, cursors *paging.Cursors, now func() time.Time, others guesses.Shared) *Directory {
	return &Directory{db: db, entities: entities, cursors: cursors, now: now, guesses: guesses.New(others)}
}

// guess counts a whole CPF that somebody tries who sees them masked.
func (d *Directory) guess(ctx context.Context, scope *tenant.Scope) error {
	return d.guesses.Spend(ctx, guesses.Guesser{Clinic: scope.ClinicID, Subject: scope.Subject}, d.now())
}

// own reads the clinic that the request is for.
func (d *Directory) own(ctx context.Context) (*models.Clinic, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	reading := database.Depends(ctx, touched.Entity(models.KindClinic, scope.ClinicID))
	clinics, err := database.Find[models.Clinic](reading, d.db, func(tx *gorm.DB) *gorm.DB { return tx })
	if err != nil {
		return nil, err
	}
	if len(clinics) == 0 {
		return nil, models.ErrNotFound
	}
	return clinics[0], nil
}
