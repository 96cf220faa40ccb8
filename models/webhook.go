package models

import (
	"database/sql/driver"
	"time"

	"github.com/google/uuid"
)

// KindChange is the prefix of changes' ids.
const KindChange Kind = "change"

// Change is something that happened to an entity of the clinic's, with its place in the
// order of commits.
type Change struct {
	ClinicID uuid.UUID `gorm:"primaryKey;->"`
	ID       uuid.UUID `gorm:"primaryKey;->"`
	// Position counts a clinic's changes from 1 without a gap.
	Position int64        `gorm:"->"`
	Event    WebhookEvent `gorm:"->"`
	// EntityKind and EntityUUID are what it happened to, which may be gone since.
	EntityKind string    `gorm:"->"`
	EntityUUID uuid.UUID `gorm:"->;column:entity_id"`
	At         time.Time `gorm:"->"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*Change) IsNode() {}

// GetID is the global id.
func (c *Change) GetID() string { return KindChange.Global(c.ID) }

// EntityID is the global id of what it happened to.
func (c *Change) EntityID() string { return Kind(c.EntityKind).Global(c.EntityUUID) }

// Word is the event as it is stored and sent: "contact.created"; "" for what is none.
func (e WebhookEvent) Word() string {
	switch e {
	case WebhookEventContactCreated:
		return "contact.created"
	case WebhookEventContactUpdated:
		return "contact.updated"
	case WebhookEventContactMerged:
		return "contact.merged"
	case WebhookEventContactErased:
		return "contact.erased"
	case WebhookEventAppointmentScheduled:
		return "appointment.scheduled"
	case WebhookEventAppointmentRescheduled:
		return "appointment.rescheduled"
	case WebhookEventAppointmentUpdated:
		return "appointment.updated"
	case WebhookEventAppointmentCancelled:
		return "appointment.cancelled"
	case WebhookEventAppointmentStatusChanged:
		return "appointment.status_changed"
	case WebhookEventWaitlistOffered:
		return "waitlist.offered"
	case WebhookEventRecordSigned:
		return "record.signed"
	case WebhookEventRecordWithdrawn:
		return "record.withdrawn"
	case WebhookEventMessageReceived:
		return "message.received"
	case WebhookEventMessageStatusChanged:
		return "message.status_changed"
	case WebhookEventConversationChanged:
		return "conversation.changed"
	case WebhookEventInvoiceIssued:
		return "invoice.issued"
	case WebhookEventInvoicePaid:
		return "invoice.paid"
	case WebhookEventInvoiceVoided:
		return "invoice.voided"
	case WebhookEventPaymentRefunded:
		return "payment.refunded"
	}
	return ""
}

// Scan implements sql.Scanner.
func (e *WebhookEvent) Scan(source any) error {
	return scan(e, source, AllWebhookEvent, WebhookEvent.Word)
}

// Value implements driver.Valuer.
func (e WebhookEvent) Value() (driver.Value, error) { return value(e, WebhookEvent.Word) }

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
