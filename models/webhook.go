package models

import (
	"time"

	"github.com/google/uuid"
)

const (
	// KindWebhookEndpoint is the prefix of webhook endpoints' ids.
	KindWebhookEndpoint Kind = "webhook_endpoint"
	// KindWebhookDelivery is the prefix of webhook deliveries' ids.
	KindWebhookDelivery Kind = "webhook_delivery"
)

// WebhookEndpoint is whom a clinic tells what happens.
type WebhookEndpoint struct {
	ClinicID uuid.UUID `gorm:"primaryKey;<-:create"`
	ID       uuid.UUID `gorm:"primaryKey;<-:create"`
	URL      string
	// EventWords are what is told, as they are sent: "contact.created".
	EventWords Texts `gorm:"column:events"`
	Active     bool
	// PausedAt and PauseReason are set while nothing is sent.
	PausedAt    *time.Time
	PauseReason *string
	// Keys are sealed: the secret is shown by the answer that makes it and never again.
	Keys []byte
	// PublicKey checks signatures of the version v1a: whpk_ and base64.
	PublicKey string
	// FormerKeys sign, too, until FormerUntil.
	FormerKeys  []byte
	FormerUntil *time.Time
	CreatedAt   time.Time `gorm:"->"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*WebhookEndpoint) IsNode() {}

// GetID is the global id.
func (e *WebhookEndpoint) GetID() string { return KindWebhookEndpoint.Global(e.ID) }

// Events are what is told. A word of a newer version's is passed over.
func (e *WebhookEndpoint) Events() []WebhookEvent {
	events := make([]WebhookEvent, 0, len(e.EventWords))
	for _, word := range e.EventWords {
		var event WebhookEvent
		if event.Scan(word) == nil {
			events = append(events, event)
		}
	}
	return events
}

// WebhookDelivery is one change that an endpoint is told of: it waits while there is a
// NextAttemptAt, and else was delivered, or given up.
type WebhookDelivery struct {
	ClinicID   uuid.UUID    `gorm:"primaryKey;->"`
	ID         uuid.UUID    `gorm:"primaryKey;->"`
	EndpointID uuid.UUID    `gorm:"->"`
	Position   int64        `gorm:"->"`
	Event      WebhookEvent `gorm:"->"`
	// ChangeID is what it tells of; its global id is the header webhook-id.
	ChangeID   uuid.UUID `gorm:"->"`
	EntityKind string    `gorm:"->"`
	EntityUUID uuid.UUID `gorm:"->;column:entity_id"`
	// Attempts are how often it was tried since it last began to wait.
	Attempts      int        `gorm:"->"`
	LastStatus    *int       `gorm:"->"`
	LastError     *string    `gorm:"->"`
	NextAttemptAt *time.Time `gorm:"->"`
	DeliveredAt   *time.Time `gorm:"->"`

	Prefetched `gorm:"-"`
}

// TableName implements gorm's Tabler.
func (WebhookDelivery) TableName() string { return "webhook_deliveries" }

// IsNode marks a GraphQL Node.
func (*WebhookDelivery) IsNode() {}

// GetID is the global id.
func (d *WebhookDelivery) GetID() string { return KindWebhookDelivery.Global(d.ID) }

// EntityID is the global id of what it happened to.
func (d *WebhookDelivery) EntityID() string { return Kind(d.EntityKind).Global(d.EntityUUID) }
