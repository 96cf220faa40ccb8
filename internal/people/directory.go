// Package people keeps the clinic's address book: the clinic itself, those who
// treat, what is offered, and the contacts.
package people

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/cachetag"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// Directory reads and writes the address book of the context's clinic.
type Directory struct {
	db      *database.DB
	cursors *paging.Cursors
	now     func() time.Time
}

// New makes a Directory; now is the clock.
func New(db *database.DB, cursors *paging.Cursors, now func() time.Time) *Directory {
	return &Directory{db: db, cursors: cursors, now: now}
}

// Clinic reads the clinic that the request is for.
func (d *Directory) Clinic(ctx context.Context) (*models.Clinic, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	clinics, err := database.Rows[models.Clinic](database.Depends(ctx, cachetag.Entity(models.KindClinic, scope.ClinicID)), d.db,
		"SELECT id, name, slug, time_zone, currency, version, created_at, updated_at FROM clinics WHERE id = $1", scope.ClinicID)
	if err != nil {
		return nil, err
	}
	if len(clinics) == 0 {
		return nil, models.ErrNotFound
	}
	return clinics[0], nil
}

// PractitionerQuery says which practitioners are wanted.
type PractitionerQuery struct {
	Active  *bool
	Request paging.Request
	// Count asks for the total.
	Count bool
}

// Practitioners reads a page of practitioners by name.
func (d *Directory) Practitioners(ctx context.Context, query PractitionerQuery, sel selection.Set) (*paging.Page[models.Practitioner], error) {
	list := paging.List[models.Practitioner]{
		Table: "practitioners", Kind: models.KindPractitioner, Depends: []cachetag.Tag{cachetag.Of("practitioner/list")},
		Columns: practitionerColumns(sel), Request: query.Request, Count: query.Count,
		Order: paging.Order[models.Practitioner]{
			Name: "practitioners/name", Column: "name_key", Type: "text",
			Key: func(p *models.Practitioner) string { return p.NameKey },
			ID:  practitionerID,
		},
	}
	if query.Active != nil {
		list.Where("active = ?", *query.Active)
	}
	return list.Page(ctx, d.db, d.cursors)
}

// PractitionersByID reads practitioners by their ids; the unknown are left out.
func (d *Directory) PractitionersByID(ctx context.Context, ids []uuid.UUID, sel selection.Set) (map[uuid.UUID]*models.Practitioner, error) {
	return database.ByID(ctx, d.db, models.KindPractitioner, "practitioners", practitionerColumns(sel), practitionerID, ids)
}

// ServiceQuery says which services are wanted.
type ServiceQuery struct {
	Active  *bool
	Request paging.Request
	// Count asks for the total.
	Count bool
}

// Services reads a page of services by name.
func (d *Directory) Services(ctx context.Context, query ServiceQuery, sel selection.Set) (*paging.Page[models.Service], error) {
	list := paging.List[models.Service]{
		Table: "services", Kind: models.KindService, Depends: []cachetag.Tag{cachetag.Of("service/list")},
		Columns: serviceColumns(sel), Request: query.Request, Count: query.Count,
		Order: paging.Order[models.Service]{
			Name: "services/name", Column: "name_key", Type: "text",
			Key: func(s *models.Service) string { return s.NameKey },
			ID:  serviceID,
		},
	}
	if query.Active != nil {
		list.Where("active = ?", *query.Active)
	}
	return list.Page(ctx, d.db, d.cursors)
}

// ServicesByID reads services by their ids; the unknown are left out.
func (d *Directory) ServicesByID(ctx context.Context, ids []uuid.UUID, sel selection.Set) (map[uuid.UUID]*models.Service, error) {
	return database.ByID(ctx, d.db, models.KindService, "services", serviceColumns(sel), serviceID, ids)
}

func practitionerID(p *models.Practitioner) uuid.UUID { return p.ID }
func serviceID(s *models.Service) uuid.UUID           { return s.ID }

func practitionerColumns(sel selection.Set) []string {
	return sel.Columns(func(field string) []string {
		switch field {
		case "name", "specialty", "registration", "color", "active":
			return []string{field}
		}
		return nil
	})
}

func serviceColumns(sel selection.Set) []string {
	return sel.Columns(func(field string) []string {
		switch field {
		case "name", "active":
			return []string{field}
		case "durationMinutes":
			return []string{"duration_minutes"}
		case "price":
			return []string{"price_minor", "currency"}
		}
		return nil
	})
}
