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
	guesses  guesses
}

// New makes a Directory; now is the clock.
func New(db *database.DB, entities *entity.Registry, cursors *paging.Cursors, now func() time.Time) *Directory {
	return &Directory{db: db, entities: entities, cursors: cursors, now: now}
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
