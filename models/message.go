package models

import (
	"database/sql/driver"
	"time"

	"github.com/google/uuid"
)

// KindMessage is the prefix of messages' ids.
const KindMessage Kind = "message"

// Message is one message of a conversation.
type Message struct {
	ClinicID       uuid.UUID `gorm:"primaryKey;<-:create"`
	ID             uuid.UUID `gorm:"primaryKey;<-:create"`
	ConversationID uuid.UUID
	Direction      MessageDirection
	Body           string
	Status         MessageStatus
	// Author is the subject who wrote it for the clinic.
	Author *string
	// ExternalReference is the provider's own name of it.
	ExternalReference *string
	SentAt            *time.Time
	DeliveredAt       *time.Time
	ReadAt            *time.Time
	Failure           *string
	Version           int `gorm:"->"`
	// CreatedAt is its place in the thread; Postgres' clock where it is not given.
	CreatedAt time.Time `gorm:"<-:create;autoCreateTime:false;default:clock_timestamp()"`
	UpdatedAt time.Time `gorm:"->"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*Message) IsNode() {}

// GetID is the global id.
func (m *Message) GetID() string { return KindMessage.Global(m.ID) }

func messageDirectionWord(d MessageDirection) string {
	switch d {
	case MessageDirectionInbound:
		return "inbound"
	case MessageDirectionOutbound:
		return "outbound"
	}
	return ""
}

// Scan implements sql.Scanner.
func (d *MessageDirection) Scan(source any) error {
	return scan(d, source, AllMessageDirection, messageDirectionWord)
}

// Value implements driver.Valuer.
func (d MessageDirection) Value() (driver.Value, error) { return value(d, messageDirectionWord) }

func messageStatusWord(s MessageStatus) string {
	switch s {
	case MessageStatusQueued:
		return "na_fila"
	case MessageStatusSent:
		return "enviada"
	case MessageStatusDelivered:
		return "entregue"
	case MessageStatusRead:
		return "lida"
	case MessageStatusFailed:
		return "falhou"
	}
	return ""
}

// Scan implements sql.Scanner.
func (s *MessageStatus) Scan(source any) error {
	return scan(s, source, AllMessageStatus, messageStatusWord)
}

// Value implements driver.Valuer.
func (s MessageStatus) Value() (driver.Value, error) { return value(s, messageStatusWord) }
