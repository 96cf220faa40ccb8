package scheduling

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

const (
	longestClinicName = 200
	longestPixKey     = 77 // as the BR Code's field takes it
	coarsestGrid      = 240
)

// UpdateClinic changes what the input names of the clinic, and gives the coming
// appointments that lie outside of the working hours where it moves to another zone.
// Mistakes come back as models.Invalid.
func (d *Diary) UpdateClinic(ctx context.Context, input models.UpdateClinicInput) (*models.Clinic, []*models.Appointment, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, nil, err
	}
	changes, err := d.clinicChanges(ctx, input)
	if err != nil {
		return nil, nil, err
	}
	var clinic *models.Clinic
	var outside []*models.Appointment
	err = d.db.InTenant(ctx, func(tx *gorm.DB) error {
		clinic, outside = &models.Clinic{}, nil
		if err := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Take(clinic).Error; err != nil {
			return err
		}
		if input.ExpectedVersion != nil && *input.ExpectedVersion != clinic.Version {
			return models.Refuse(models.UserErrorCodeStale, "expectedVersion",
				"somebody changed the clinic since you read it: read it again", clinic.GetID())
		}
		if len(changes) == 0 {
			return nil
		}
		before := clinic.TimeZone
		if err := tx.Model(clinic).Clauses(clause.Returning{}).Updates(changes).Error; err != nil {
			return err
		}
		if clinic.TimeZone == before {
			return nil
		}
		outside, err = d.outside(tx, scope.ClinicID, nil)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return clinic, outside, nil
}

// clinicChanges maps what the input names to columns.
func (d *Diary) clinicChanges(ctx context.Context, input models.UpdateClinicInput) (map[string]any, error) {
	var in validate.Input
	changes := map[string]any{}
	if name, named := input.Name.ValueOK(); named {
		text := ""
		if name != nil {
			text = *name
		}
		changes["name"] = in.RequiredText("name", text, longestClinicName)
	}
	if name, named := input.TimeZone.ValueOK(); named {
		if name == nil || !d.knowsZone(ctx, *name) {
			in.Add(models.UserErrorCodeInvalid, "timeZone", "give an IANA time zone, such as America/Sao_Paulo")
		} else {
			changes["time_zone"] = *name
		}
	}
	if minutes, named := input.SlotGridMinutes.ValueOK(); named {
		if minutes == nil || *minutes < 1 || *minutes > coarsestGrid {
			in.Add(models.UserErrorCodeInvalid, "slotGridMinutes", "a grid has 1 to 240 minutes")
		} else {
			changes["slot_grid_minutes"] = *minutes
		}
	}
	if key, named := input.PixKey.ValueOK(); named {
		changes["pix_key"] = in.OptionalText("pixKey", key, longestPixKey)
	}
	return changes, in.Err()
}

// knowsZone tells whether both this program and Postgres know a zone: days are
// reckoned by both.
func (d *Diary) knowsZone(ctx context.Context, name string) bool {
	if !KnownZone(name) {
		return false
	}
	_, err := database.Value[time.Time](ctx, d.db, "SELECT now() AT TIME ZONE $1::text", name)
	return err == nil
}

// KnownZone tells whether a text is the name of a time zone of IANA's. "Local" would
// be whatever the machine is set to.
func KnownZone(name string) bool {
	if name == "" || name == "Local" {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}
