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
