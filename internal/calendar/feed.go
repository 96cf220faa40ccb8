package calendar

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// mostFeeds bounds the feeds that a clinic has at a time.
const mostFeeds = 200

// Feed is a calendar feed as it is read.
func Feed() entity.Declaration {
	return entity.Noun[models.CalendarFeed]{
		Kind:    models.KindCalendarFeed,
		Columns: map[string][]string{"url": {"clinic_id", "id", "secret_hash"}},
		One:     map[string]entity.One{"practitioner": {Kind: models.KindPractitioner, Column: "practitioner_id"}},
		Derive:  derive,
	}
}

// Feeds are those that have not been revoked, the oldest first.
func (c *Calendar) Feeds(ctx context.Context) ([]*models.CalendarFeed, error) {
	reading := database.Depends(ctx, touched.Of("calendar_feed/list"))
	feeds, err := database.Find[models.CalendarFeed](reading, c.db, func(tx *gorm.DB) *gorm.DB {
		return tx.Where("revoked_at IS NULL").Order("created_at, id").Limit(mostFeeds)
	})
	if err != nil {
		return nil, err
	}
	for _, feed := range feeds {
		touched.Add(ctx, touched.Entity(models.KindCalendarFeed, feed.ID))
	}
	return feeds, nil
}

// CreateFeed makes a feed. Mistakes come back as models.Invalid.
func (c *Calendar) CreateFeed(ctx context.Context, input models.CreateCalendarFeedInput) (*models.CalendarFeed, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var in validate.Input
	feed := &models.CalendarFeed{ID: models.NewID()}
	if input.PractitionerID != nil {
		id := in.ID("practitionerId", models.KindPractitioner, *input.PractitionerID)
		feed.PractitionerID = &id
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	feed.SecretHash = hashOf(nameOf(c.server, scope.ClinicID, feed.ID))
	err = c.db.InTenant(ctx, func(tx *gorm.DB) error {
		if feed.PractitionerID != nil {
			if err := knownPractitioner(tx, *feed.PractitionerID); err != nil {
				return err
			}
		}
		// One after the other: the last two may not both find room for one.
		if err := tx.Exec("SELECT pg_advisory_xact_lock(hashtextextended('taskmed feeds ' || app_clinic()::text, 0))").Error; err != nil {
			return err
		}
		var count int64
		if err := tx.Model(&models.CalendarFeed{}).Where("revoked_at IS NULL").Count(&count).Error; err != nil {
			return err
		}
		if count >= mostFeeds {
			return models.Refuse(models.UserErrorCodeLimit, "", "the clinic has 200 calendar feeds, which is the most: revoke one that nobody reads")
		}
		return tx.Clauses(clause.Returning{}).Create(feed).Error
	})
	if err != nil {
		return nil, err
	}
	return feed, nil
}

func knownPractitioner(tx *gorm.DB, id uuid.UUID) error {
	err := tx.Select("id").Where("id = ?", id).Take(&models.Practitioner{}).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return models.Refuse(models.UserErrorCodeNotFound, "practitionerId", "this clinic has no such practitioner")
	}
	return err
}

// RevokeFeed ends a feed; one that has ended stays as it is. Mistakes come back as
// models.Invalid.
func (c *Calendar) RevokeFeed(ctx context.Context, input models.RevokeCalendarFeedInput) (*models.CalendarFeed, error) {
	var in validate.Input
	id := in.ID("id", models.KindCalendarFeed, input.ID)
	if err := in.Err(); err != nil {
		return nil, err
	}
	var feed *models.CalendarFeed
	err := c.db.InTenant(ctx, func(tx *gorm.DB) error {
		feed = &models.CalendarFeed{}
		err := tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("id = ?", id).Take(feed).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return models.Refuse(models.UserErrorCodeNotFound, "id", "this clinic has no such calendar feed")
		}
		if err != nil || feed.RevokedAt != nil {
			return err
		}
		return tx.Model(feed).Clauses(clause.Returning{}).Updates(map[string]any{"revoked_at": c.now()}).Error
	})
	if err != nil {
		return nil, err
	}
	return feed, nil
}
