package people

import (
	"context"

	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// mostKeys bounds the list of keys. Those that have not ended are fewer
// (auth.Store.CreateKey).
const mostKeys = 200

// APIKey is a partner's key as it is read. Package auth makes and ends them.
func APIKey() entity.Declaration {
	return entity.Noun[models.APIKey]{Type: "ApiKey", Kind: models.KindAPIKey}
}

// APIKeys are the clinic's, those that ended included, the newest first.
func (d *Directory) APIKeys(ctx context.Context) ([]*models.APIKey, error) {
	reading := database.Depends(ctx, touched.Of("api_key/list"))
	keys, err := database.Find[models.APIKey](reading, d.db, func(tx *gorm.DB) *gorm.DB {
		return tx.Select("clinic_id", "id", "name", "role", "last_four", "last_used_at", "expires_at", "revoked_at", "created_at").Order("created_at DESC, id DESC").Limit(mostKeys)
	})
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		touched.Add(ctx, touched.Entity(models.KindAPIKey, key.ID))
	}
	return keys, nil
}
