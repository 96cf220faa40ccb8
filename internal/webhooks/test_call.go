package webhooks

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/sealing"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

const (
	// mostTests bounds the test calls under way on one server, each of which holds a
	// request for up to longestTest.
	mostTests   = 16
	longestTest = 10 * time.Second
	// testEvent is the type of what a test call posts.
	testEvent = "webhook.test"
)

// Test calls an endpoint once, signed and out of order, unless it is a dry run. No
// connection to the database is held meanwhile.
func (w *Webhooks) Test(ctx context.Context, input models.TestWebhookEndpointInput, dry bool) (*models.TestWebhookEndpointPayload, error) {
	var in validate.Input
	id := in.ID("id", models.KindWebhookEndpoint, input.ID)
	if err := in.Err(); err != nil {
		return nil, err
	}
	reading := database.Depends(ctx, touched.Entity(models.KindWebhookEndpoint, id))
	found, err := database.Find[models.WebhookEndpoint](reading, w.db, func(tx *gorm.DB) *gorm.DB {
		return tx.Select("clinic_id", "id", "url", "keys", "former_keys", "former_until").Where("id = ?", id).Limit(1)
	})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, unknown()
	}
	payload := &models.TestWebhookEndpointPayload{}
	if dry {
		return payload, nil
	}
	select {
	case w.testing <- struct{}{}:
		defer func() { <-w.testing }()
	default:
		return nil, models.Refuse(models.UserErrorCodeLimit, "", "too many test calls are under way: try again in a few seconds")
	}
	calling, done := context.WithTimeout(ctx, longestTest)
	defer done()
	began := time.Now()
	o, err := w.post(calling, found[0], "test_"+models.NewID().String(), body{
		Type: testEvent, Timestamp: w.now().UTC(), Data: data{ClinicID: models.KindClinic.Global(found[0].ClinicID)},
	})
	if errors.Is(err, sealing.ErrSealed) {
		return nil, models.Refuse(models.UserErrorCodeConflict, "id", "the endpoint's secret can no longer be read: give it another by rotateWebhookSecret, and test again")
	}
	if err != nil {
		return nil, err
	}
	took := int(time.Since(began).Milliseconds())
	payload.DurationMs = &took
	if o.status != 0 {
		payload.Status = &o.status
	} else {
		payload.Failure = &o.failure
	}
	return payload, nil
}
