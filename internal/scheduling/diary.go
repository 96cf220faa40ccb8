// Package scheduling keeps the clinic's diary: who comes when, to whom, and
// which times are still free.
package scheduling

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// Diary reads and changes the appointments of the context's clinic. It may be
// used by many goroutines at once.
type Diary struct {
	db      *database.DB
	cursors *paging.Cursors
	now     func() time.Time
	zones   sync.Map // of *time.Location by name: loading one reads a file
	// lock is how a booking locks its practitioner's row; a race test weakens it.
	lock string
}

// New makes a diary. now is the clock that tells the past from the future.
func New(db *database.DB, cursors *paging.Cursors, now func() time.Time) *Diary {
	return &Diary{db: db, cursors: cursors, now: now, lock: "NO KEY UPDATE"}
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

// table is where appointments are kept.
const table = "appointments"

// columns are those that the selected fields of an Appointment are made of.
func columns(sel selection.Set) []string {
	selected := []string{"id"}
	for field := range sel.All() {
		if column := columnOf(field.Name); column != "" {
			selected = append(selected, column)
		}
	}
	return unique(selected)
}

func columnOf(field string) string {
	switch field {
	case "contact":
		return "contact_id"
	case "practitioner":
		return "practitioner_id"
	case "service":
		return "service_id"
	case "startsAt":
		return "starts_at"
	case "endsAt":
		return "ends_at"
	case "cancellationReason":
		return "cancellation_reason"
	case "externalReference":
		return "external_reference"
	case "createdAt":
		return "created_at"
	case "updatedAt":
		return "updated_at"
	case "status", "notes", "overbooked", "version":
		return field
	}
	// id is always read; medicalRecords and __typename need nothing else.
	return ""
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

// AppointmentsByID reads appointments by their ids; those that the clinic has
// not are not in the map.
func (d *Diary) AppointmentsByID(ctx context.Context, ids []uuid.UUID, sel selection.Set) (map[uuid.UUID]*models.Appointment, error) {
	if len(ids) == 0 {
		_, err := tenant.From(ctx)
		return map[uuid.UUID]*models.Appointment{}, err
	}
	return database.ByID(ctx, d.db, models.KindAppointment, table, columns(sel), appointmentID, ids)
}

func appointmentID(a *models.Appointment) uuid.UUID { return a.ID }
