package people

import (
	"context"
	"regexp"

	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// Founding says what a clinic is to be when it begins.
type Founding struct {
	Name string
	// Slug is lower-case letters, digits and single hyphens, 63 at most; no two
	// clinics have the same.
	Slug     string
	TimeZone string
	// Owner is the subject of its first owner.
	Owner string
}

const longestSlug = 63

// Found makes a clinic with its first owner, over a connection of the role that owns
// the database: nobody's right to do so is checked. Mistakes come back as
// models.Invalid. knownZone tells which time zones there are.
func Found(ctx context.Context, db *database.DB, wanted Founding, knownZone func(string) bool) (*models.Clinic, error) {
	var in validate.Input
	clinic := &models.Clinic{
		ID:   models.NewID(),
		Name: in.RequiredText("name", wanted.Name, longestName), Slug: wanted.Slug, TimeZone: wanted.TimeZone,
	}
	if len(wanted.Slug) > longestSlug || !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(wanted.Slug) {
		in.Add(models.UserErrorCodeInvalid, "slug", "a slug is lower-case letters, digits and single hyphens, such as clinica-aurora")
	}
	if !knownZone(wanted.TimeZone) {
		in.Add(models.UserErrorCodeInvalid, "timeZone", "give an IANA time zone, such as America/Sao_Paulo")
	}
	owner := in.RequiredText("owner", wanted.Owner, longestSubject)
	if err := in.Err(); err != nil {
		return nil, err
	}
	ctx = tenant.With(ctx, &tenant.Scope{Subject: "taskmed clinic", ClinicID: clinic.ID, Role: models.RoleOwner})
	err := db.InTenant(ctx, func(tx *gorm.DB) error {
		for _, step := range []struct {
			sql  string
			args []any
		}{
			{"INSERT INTO clinic_slugs (slug, clinic) VALUES ($1, $2)", []any{clinic.Slug, clinic.ID}},
			{"INSERT INTO clinics (id, name, slug, time_zone) VALUES ($1, $2, $3, $4)", []any{clinic.ID, clinic.Name, clinic.Slug, clinic.TimeZone}},
			{"SELECT member_add($1, $2, $3, NULL, 'owner')", []any{"taskmed clinic", models.NewID(), owner}},
		} {
			if err := tx.Exec(step.sql, step.args...).Error; err != nil {
				return err
			}
		}
		return tx.Take(clinic).Error
	})
	if constraint, violated := database.Violation(err); violated && constraint == "clinic_slugs_pkey" {
		return nil, models.Refuse(models.UserErrorCodeTaken, "slug", "another clinic has this slug: choose another")
	}
	if err != nil {
		return nil, err
	}
	return clinic, nil
}

// AllMembers are those of the context's clinic, those whose membership ended included.
func (d *Directory) AllMembers(ctx context.Context) ([]*models.Member, error) {
	return database.Rows[models.Member](database.Depends(ctx, memberList), d.db, `
		SELECT clinic_id, id, subject, name, role, revoked_at, version, created_at, updated_at
		FROM memberships WHERE clinic_id = app_clinic() ORDER BY created_at, id`)
}
