// Package scheduling keeps the clinic's diary: who comes when, to whom, and
// which times are still free.
package scheduling

import (
	"time"

	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// Diary reads and changes the appointments of the context's clinic. It may be
// used by many goroutines at once.
type Diary struct {
	*availability.Book

	db  *database.DB
	now func() time.Time
	// lock is how a booking locks its practitioner's row and its contact's; a race test
	// weakens it.
	lock string
}

// New makes a diary. now is the clock that tells the past from the future.
func New(db *database.DB, now func() time.Time) *Diary {
	return &Diary{Book: availability.New(db, now), db: db, now: now, lock: "NO KEY UPDATE"}
}

// zoneOf is the time zone of the request's clinic.
func (d *Diary) zoneOf(tx *gorm.DB, scope *tenant.Scope) (*time.Location, error) {
	var clinic models.Clinic
	if err := tx.Select("time_zone").Where("id = ?", scope.ClinicID).Take(&clinic).Error; err != nil {
		return nil, err
	}
	return d.Zone(clinic.TimeZone)
}
