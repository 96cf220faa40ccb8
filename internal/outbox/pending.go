package outbox

import (
	"context"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// mostPending bounds how many events of one transaction are told.
const mostPending = 500

// Notice is an event that a commit would make known.
type Notice struct {
	Event models.WebhookEvent `json:"event"`
	// EntityID is the global id of what it happens to.
	EntityID string `json:"entityId"`
}

// Pending are the events of the context's open unit, in their order and at most 500: what
// the feed, subscriptions and webhooks would tell if it was committed. Those of entities
// that the role may not read are left out.
func Pending(ctx context.Context, db *database.DB, mayRead func(role models.Role, object string) bool) ([]Notice, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	words, err := models.StoredWords(Heard(func(object string) bool { return mayRead(scope.Role, object) }))
	if err != nil {
		return nil, err
	}
	type raised struct {
		Event      models.WebhookEvent
		EntityKind string
		EntityID   uuid.UUID
	}
	rows, err := database.Rows[raised](ctx, db, `SELECT event, entity_kind, entity_id FROM outbox
		WHERE clinic_id = $1 AND transaction_id = pg_current_xact_id_if_assigned() AND event = ANY($2) ORDER BY sequence LIMIT $3`,
		scope.ClinicID, words, mostPending)
	if err != nil {
		return nil, err
	}
	notices := make([]Notice, len(rows))
	for i, row := range rows {
		notices[i] = Notice{row.Event, models.Kind(row.EntityKind).Global(row.EntityID)}
	}
	return notices, nil
}
