package webhooks

import (
	"context"

	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// mostEndpoints bounds the endpoints of a clinic.
const mostEndpoints = 20

// Endpoint is whom a clinic tells what happens, as it is read.
func Endpoint() entity.Declaration {
	return entity.Noun[models.WebhookEndpoint]{Kind: models.KindWebhookEndpoint}
}

// Delivery is one change that an endpoint is told of, as it is read.
func Delivery() entity.Declaration {
	return entity.Noun[models.WebhookDelivery]{
		Kind:    models.KindWebhookDelivery,
		Columns: map[string][]string{"entityId": {"entity_kind", "entity_id"}},
		Lists:   []entity.List{{Field: "WebhookEndpoint.deliveries", Parent: "endpoint_id", Order: "position", Desc: true}},
	}
}

// Endpoints are the clinic's, the oldest first.
func (w *Webhooks) Endpoints(ctx context.Context) ([]*models.WebhookEndpoint, error) {
	reading := database.Depends(ctx, touched.Of("webhook_endpoint/list"))
	endpoints, err := database.Find[models.WebhookEndpoint](reading, w.db, func(tx *gorm.DB) *gorm.DB {
		return tx.Select("clinic_id", "id", "url", "events AS event_words", "active", "paused_at", "pause_reason", "public_key", "created_at").Order("created_at, id").Limit(mostEndpoints)
	})
	for _, endpoint := range endpoints {
		touched.Add(ctx, touched.Entity(models.KindWebhookEndpoint, endpoint.ID))
	}
	return endpoints, err
}
