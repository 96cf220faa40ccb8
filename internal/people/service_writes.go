package people

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

const longestService = 24 * 60

// CreateService adds a service. Mistakes come back as models.Invalid.
func (d *Directory) CreateService(ctx context.Context, input models.CreateServiceInput) (*models.Service, error) {
	var in validate.Input
	made := &models.Service{
		ID: models.NewID(), Active: true,
		Name:            in.RequiredText("name", input.Name, longestName),
		DurationMinutes: duration(&in, input.DurationMinutes),
		PriceMinor:      price(&in, input.Price),
	}
	practitioners := ids(&in, "practitionerIds", models.KindPractitioner, input.PractitionerIds)
	if err := in.Err(); err != nil {
		return nil, err
	}
	err := d.db.InTenant(ctx, func(tx *gorm.DB) (err error) {
		if made.Currency, err = ownCurrency(tx, input.Price); err != nil {
			return err
		}
		if err := tx.Clauses(clause.Returning{}).Create(made).Error; err != nil {
			return err
		}
		return link(tx, "practitionerIds", models.KindPractitioner, "practitioners", practitioners,
			"INSERT INTO practitioner_services (clinic_id, practitioner_id, service_id) SELECT app_clinic(), unnest($2::uuid[]), $1", made.ID)
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// UpdateService changes what the input names. Mistakes come back as models.Invalid.
func (d *Directory) UpdateService(ctx context.Context, input models.UpdateServiceInput) (*models.Service, error) {
	var in validate.Input
	id := in.ID("id", models.KindService, input.ID)
	changes := map[string]any{}
	if name, named := input.Name.ValueOK(); named {
		changes["name"] = in.RequiredText("name", orEmpty(name), longestName)
	}
	if minutes, named := input.DurationMinutes.ValueOK(); named {
		if minutes == nil {
			in.Add(models.UserErrorCodeRequired, "durationMinutes", "a service takes some time")
		} else {
			changes["duration_minutes"] = duration(&in, *minutes)
		}
	}
	asked, named := input.Price.ValueOK()
	switch {
	case named && asked == nil:
		in.Add(models.UserErrorCodeRequired, "price", "a service has a price, 0 if it costs nothing")
	case named:
		changes["price_minor"] = price(&in, asked)
	}
	active, switched := input.Active.ValueOK()
	setActive(&in, changes, active, switched)
	if err := in.Err(); err != nil {
		return nil, err
	}
	changed := &models.Service{}
	err := d.db.InTenant(ctx, func(tx *gorm.DB) error {
		changed = &models.Service{}
		err := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("id = ?", id).Take(changed).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return models.Refuse(models.UserErrorCodeNotFound, "id", "this clinic has no such service")
		}
		if err != nil {
			return err
		}
		if input.ExpectedVersion != nil && *input.ExpectedVersion != changed.Version {
			return models.Refuse(models.UserErrorCodeStale, "expectedVersion",
				"somebody changed this service since you read it: read it again", changed.GetID())
		}
		if named {
			if changes["currency"], err = ownCurrency(tx, asked); err != nil {
				return err
			}
		}
		if len(changes) == 0 {
			return nil
		}
		return tx.Model(changed).Clauses(clause.Returning{}).Updates(changes).Error
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// setActive maps a switch that the input may name to its column.
func setActive(in *validate.Input, changes map[string]any, active *bool, named bool) {
	switch {
	case named && active == nil:
		in.Add(models.UserErrorCodeRequired, "active", "say true or false")
	case named:
		changes["active"] = *active
	}
}

func duration(in *validate.Input, minutes int) int {
	if minutes < 1 || minutes > longestService {
		in.Add(models.UserErrorCodeInvalid, "durationMinutes", "a service takes 1 to 1440 minutes")
	}
	return minutes
}

func price(in *validate.Input, asked *models.MoneyInput) int64 {
	if asked.AmountMinor < 0 {
		in.AddAt(models.UserErrorCodeInvalid, []string{"price", "amountMinor"}, "a price is not below 0")
	}
	return asked.AmountMinor
}

// ownCurrency is the clinic's; a price in another one is refused.
func ownCurrency(tx *gorm.DB, asked *models.MoneyInput) (string, error) {
	var clinic models.Clinic
	if err := tx.Select("id", "currency").Take(&clinic).Error; err != nil {
		return "", err
	}
	if asked.Currency != nil && *asked.Currency != clinic.Currency {
		var in validate.Input
		in.AddAt(models.UserErrorCodeInvalid, []string{"price", "currency"}, "this clinic's prices are in "+clinic.Currency)
		return "", in.Err()
	}
	return clinic.Currency, nil
}
