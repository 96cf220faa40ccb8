// Package scheduling keeps the clinic's diary: who comes when, to whom, and
// which times are still free.
package scheduling

import (
	"fmt"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// Diary reads and changes the appointments of the context's clinic. It may be
// used by many goroutines at once.
type Diary struct {
	db    *database.DB
	now   func() time.Time
	zones sync.Map // of *time.Location by name: loading one reads a file
	// lock is how a booking locks its practitioner's row; a race test weakens it.
	lock string
}

// New makes a diary. now is the clock that tells the past from the future.
func New(db *database.DB, now func() time.Time) *Diary {
	return &Diary{db: db, now: now, lock: "NO KEY UPDATE"}
}

// zone is a clinic's time zone by its IANA name.
func (d *Diary) zone(name string) (*time.Location, error) {
	if known, ok := d.zones.Load(name); ok {
		if zone, ok := known.(*time.Location); ok {
			return zone, nil
		}
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("the clinic's time zone: %w", err)
	}
	d.zones.Store(name, zone)
	return zone, nil
}

// unique keeps the first of equal values.
func unique[T comparable](values []T) []T {
	seen := make(map[T]bool, len(values))
	kept := make([]T, 0, len(values))
	for _, value := range values {
		if !seen[value] {
			seen[value] = true
			kept = append(kept, value)
		}
	}
	return kept
}

// zoneOf is the time zone of the request's clinic.
func (d *Diary) zoneOf(tx *gorm.DB, scope *tenant.Scope) (*time.Location, error) {
	var clinic models.Clinic
	if err := tx.Select("time_zone").Where("id = ?", scope.ClinicID).Take(&clinic).Error; err != nil {
		return nil, err
	}
	return d.zone(clinic.TimeZone)
}
