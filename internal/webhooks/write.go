package webhooks

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/sealing"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// Why an endpoint is paused.
const (
	pausedByHand = "paused by updateWebhookEndpoint"
	pausedGone   = "the endpoint answered 410 Gone"
	pausedDead   = "the endpoint took nothing for three days"
)

// Create adds an endpoint, and gives its secret. Mistakes come back as models.Invalid.
func (w *Webhooks) Create(ctx context.Context, input models.CreateWebhookEndpointInput) (*models.WebhookEndpoint, string, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, "", err
	}
	var in validate.Input
	endpoint := &models.WebhookEndpoint{ID: models.NewID(), Active: true, URL: w.address(ctx, &in, input.URL), EventWords: wordsOf(&in, input.Events)}
	if err := in.Err(); err != nil {
		return nil, "", err
	}
	made, err := newKeys()
	if err != nil {
		return nil, "", err
	}
	endpoint.Keys, endpoint.PublicKey = w.vault.close(scope.ClinicID, endpoint.ID, made), made.public()
	created, err := database.InTenant(ctx, w.db, func(tx *gorm.DB) (*models.WebhookEndpoint, error) {
		// One after the other: the last two may not both find room for one.
		if err := tx.Exec("SELECT pg_advisory_xact_lock(hashtextextended('taskmed webhooks ' || app_clinic()::text, 0))").Error; err != nil {
			return nil, err
		}
		var count int64
		if err := tx.Model(&models.WebhookEndpoint{}).Count(&count).Error; err != nil {
			return nil, err
		}
		if count >= mostEndpoints {
			return nil, models.Refuse(models.UserErrorCodeLimit, "", "the clinic has 20 webhook endpoints, which is the most: delete one that nobody needs")
		}
		last, err := lastPosition(tx)
		if err != nil {
			return nil, err
		}
		if err := tx.Clauses(clause.Returning{}).Create(endpoint).Error; err != nil {
			return nil, err
		}
		return endpoint, tx.Create(&lane{EndpointID: endpoint.ID, Cursor: last}).Error
	})
	return created, made.shown(), err
}

// wordsOf are the events as they are stored.
func wordsOf(in *validate.Input, events []models.WebhookEvent) models.Texts {
	words := models.Texts{}
	for _, event := range events {
		words = append(words, event.Word())
	}
	slices.Sort(words)
	if words = slices.Compact(words); len(words) == 0 {
		in.Add(models.UserErrorCodeRequired, "events", "an endpoint is told of one event at least")
	}
	return words
}

// lastPosition is the last one that the clinic has given.
func lastPosition(tx *gorm.DB) (int64, error) {
	var last int64
	err := tx.Raw("SELECT coalesce((SELECT last FROM counters WHERE clinic_id = app_clinic() AND name = 'changes'), 0)").Row().Scan(&last)
	return last, err
}

// locked reads an endpoint that nobody else can change until the transaction ends.
func locked(tx *gorm.DB, id uuid.UUID) (*models.WebhookEndpoint, error) {
	endpoint := &models.WebhookEndpoint{}
	err := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("id = ?", id).Take(endpoint).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, unknown()
	}
	return endpoint, err
}

func unknown() error {
	return models.Refuse(models.UserErrorCodeNotFound, "id", "this clinic has no such webhook endpoint")
}

// change writes columns of an endpoint, and gives it as it is then.
func change(tx *gorm.DB, id uuid.UUID, changes map[string]any) (*models.WebhookEndpoint, error) {
	// Into a new one: a null that is read leaves what a pointer points at.
	written := &models.WebhookEndpoint{ID: id}
	return written, tx.Model(written).Clauses(clause.Returning{}).Updates(changes).Error
}

// Update changes what the input names. Mistakes come back as models.Invalid.
func (w *Webhooks) Update(ctx context.Context, input models.UpdateWebhookEndpointInput) (*models.WebhookEndpoint, error) {
	var in validate.Input
	id := in.ID("id", models.KindWebhookEndpoint, input.ID)
	changes := map[string]any{}
	if address, named := input.URL.ValueOK(); named {
		if address == nil {
			in.Add(models.UserErrorCodeRequired, "url", "an endpoint has a URL")
		} else {
			changes["url"] = w.address(ctx, &in, *address)
		}
	}
	if events, named := input.Events.ValueOK(); named {
		changes["events"] = wordsOf(&in, events)
	}
	active, named := input.Active.ValueOK()
	if named && active == nil {
		in.Add(models.UserErrorCodeRequired, "active", "an endpoint is active or it is not")
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	return database.InTenant(ctx, w.db, func(tx *gorm.DB) (*models.WebhookEndpoint, error) {
		endpoint, err := locked(tx, id)
		if err != nil {
			return nil, err
		}
		goOn := changes["url"] != nil
		switch {
		case named && *active:
			goOn = true
			changes["active"], changes["paused_at"], changes["pause_reason"] = true, nil, nil
		case named && endpoint.Active:
			changes["active"], changes["paused_at"], changes["pause_reason"] = false, gorm.Expr("clock_timestamp()"), pausedByHand
		}
		if len(changes) == 0 {
			return endpoint, nil
		}
		if goOn {
			if err := afresh(tx, id); err != nil {
				return nil, err
			}
		}
		return change(tx, id, changes)
	})
}

// afresh forgets what failed: what waits is tried at once, and for three days from now.
func afresh(tx *gorm.DB, id uuid.UUID) error {
	return errors.Join(
		tx.Model(&lane{}).Where("endpoint_id = ?", id).Updates(map[string]any{"failures": 0, "failing_since": nil, "probe_at": nil}).Error,
		tx.Exec(`UPDATE webhook_deliveries SET next_attempt_at = clock_timestamp(), first_attempt_at = NULL, attempts = 0
			WHERE clinic_id = app_clinic() AND endpoint_id = ? AND next_attempt_at IS NOT NULL`, id).Error)
}

// Rotate gives an endpoint another secret, which it answers with; the former signs, too,
// for Overlap, unless it was sealed with another TASKMED_SECRET.
func (w *Webhooks) Rotate(ctx context.Context, input models.RotateWebhookSecretInput) (*models.WebhookEndpoint, string, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, "", err
	}
	var in validate.Input
	id := in.ID("id", models.KindWebhookEndpoint, input.ID)
	if err := in.Err(); err != nil {
		return nil, "", err
	}
	made, err := newKeys()
	if err != nil {
		return nil, "", err
	}
	endpoint, err := database.InTenant(ctx, w.db, func(tx *gorm.DB) (*models.WebhookEndpoint, error) {
		endpoint, err := locked(tx, id)
		if err != nil {
			return nil, err
		}
		with := map[string]any{
			"keys": w.vault.close(scope.ClinicID, id, made), "public_key": made.public(),
			"former_keys": endpoint.Keys, "former_until": w.now().Add(Overlap),
		}
		switch _, err := w.vault.open(scope.ClinicID, id, endpoint.Keys); {
		case errors.Is(err, sealing.ErrSealed):
			with["former_keys"], with["former_until"] = nil, nil
		case err != nil:
			return nil, err
		}
		return change(tx, id, with)
	})
	return endpoint, made.shown(), err
}

// Replay has everything from a position on sent again.
func (w *Webhooks) Replay(ctx context.Context, input models.ReplayWebhookInput) (*models.WebhookEndpoint, error) {
	var in validate.Input
	id := in.ID("id", models.KindWebhookEndpoint, input.ID)
	if err := in.Err(); err != nil {
		return nil, err
	}
	return database.InTenant(ctx, w.db, func(tx *gorm.DB) (*models.WebhookEndpoint, error) {
		endpoint, err := locked(tx, id)
		if err != nil {
			return nil, err
		}
		last, err := lastPosition(tx)
		if err != nil {
			return nil, err
		}
		var least int64
		if err := tx.Raw("SELECT coalesce((SELECT min(position) FROM changes WHERE clinic_id = app_clinic()), ?::bigint + 1)", last).Row().Scan(&least); err != nil {
			return nil, err
		}
		switch {
		case input.FromPosition < 1 || input.FromPosition > last:
			return nil, models.Refuse(models.UserErrorCodeInvalid, "fromPosition", "a position is from 1 to that of the clinic's last change")
		case input.FromPosition < least:
			return nil, models.Refuse(models.UserErrorCodeExpired, "fromPosition", "changes from there on are no longer kept: begin with a later one")
		}
		// Never forwards: what the lane has not come to is sent anyway.
		return endpoint, tx.Exec(`UPDATE webhook_lanes SET cursor = least(cursor, ?::bigint - 1), round = round + 1
			WHERE clinic_id = app_clinic() AND endpoint_id = ?`, input.FromPosition, id).Error
	})
}

// Delete takes an endpoint away. What was left for it goes with the next maintenance.
func (w *Webhooks) Delete(ctx context.Context, input models.DeleteWebhookEndpointInput) (*string, error) {
	var in validate.Input
	id := in.ID("id", models.KindWebhookEndpoint, input.ID)
	if err := in.Err(); err != nil {
		return nil, err
	}
	return database.InTenant(ctx, w.db, func(tx *gorm.DB) (*string, error) {
		gone := tx.Where("id = ?", id).Delete(&models.WebhookEndpoint{})
		if gone.Error == nil && gone.RowsAffected == 0 {
			return nil, unknown()
		}
		deleted := models.KindWebhookEndpoint.Global(id)
		return &deleted, gone.Error
	})
}
