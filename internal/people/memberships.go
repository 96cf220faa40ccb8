package people

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// membershipRow is what app_memberships gives of one.
type membershipRow struct {
	ClinicID  uuid.UUID
	Slug      string
	Name      string
	Role      models.Role
	TimeZone  string
	Currency  string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Memberships are all clinics that the context's subject belongs to, with the
// role there, the oldest first. A partner's key belongs to its own clinic alone.
func (d *Directory) Memberships(ctx context.Context) ([]*models.Membership, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := database.Lookup[membershipRow](tenant.Without(ctx), d.db,
		"SELECT clinic_id, slug, name, role, time_zone, currency, created_at, updated_at FROM app_memberships($1)", scope.Subject)
	if err != nil {
		return nil, err
	}
	memberships := make([]*models.Membership, len(rows))
	for i, row := range rows {
		memberships[i] = &models.Membership{Role: row.Role, Clinic: &models.Clinic{
			ID: row.ClinicID, Name: row.Name, Slug: row.Slug, TimeZone: row.TimeZone, Currency: row.Currency,
			CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
		}}
	}
	if len(memberships) > 0 {
		return memberships, nil
	}
	clinic, err := d.own(ctx)
	if err != nil {
		return nil, err
	}
	return []*models.Membership{{Clinic: clinic, Role: scope.Role}}, nil
}

// Clinics is a page of the clinics that the context's subject belongs to, by name.
func (d *Directory) Clinics(ctx context.Context, request paging.Request) (*paging.Page[models.Clinic], error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	memberships, err := d.Memberships(ctx)
	if err != nil {
		return nil, err
	}
	list := paging.Slice[models.Clinic]{
		Name: "clinics/name",
		Key:  func(c *models.Clinic) string { return strings.ToLower(c.Name) },
		ID:   func(c *models.Clinic) uuid.UUID { return c.ID },
	}
	for _, membership := range memberships {
		list.All = append(list.All, membership.Clinic)
	}
	slices.SortFunc(list.All, func(a, b *models.Clinic) int {
		return cmp.Or(cmp.Compare(list.Key(a), list.Key(b)), slices.Compare(a.ID[:], b.ID[:]))
	})
	return list.Page(scope.ClinicID, request, d.cursors)
}

// Self is the practitioner who the context's subject is in its clinic; nil where they
// are none.
func (d *Directory) Self(ctx context.Context) (*uuid.UUID, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	type self struct {
		Member       uuid.UUID
		Practitioner *uuid.UUID
	}
	reading := database.Depends(ctx, touched.On("membership", "subject", scope.Subject))
	found, err := database.Rows[self](reading, d.db, `
		SELECT m.id AS member, p.id AS practitioner
		FROM memberships m LEFT JOIN practitioners p ON p.clinic_id = m.clinic_id AND p.member_id = m.id
		WHERE m.clinic_id = $1 AND m.subject = $2 AND m.revoked_at IS NULL`, scope.ClinicID, scope.Subject)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	database.Depends(ctx, touched.OnID("practitioner", "member", found[0].Member))
	return found[0].Practitioner, nil
}
