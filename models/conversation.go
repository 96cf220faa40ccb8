package models

import (
	"database/sql/driver"
	"time"

	"github.com/google/uuid"
)

// KindConversation is the prefix of conversations' ids.
const KindConversation Kind = "conversation"

// Conversation is what a contact and the clinic write to each other in a channel.
type Conversation struct {
	ClinicID   uuid.UUID `gorm:"primaryKey;<-:create"`
	ID         uuid.UUID `gorm:"primaryKey;<-:create"`
	ContactID  uuid.UUID
	Channel    Channel
	Status     ConversationStatus
	AssigneeID *uuid.UUID
	// AccountID is what the clinic writes with.
	AccountID *uuid.UUID
	// ReceivedCount is how many messages the contact has written, and ReadCount how many
	// of them were read.
	ReceivedCount int
	ReadCount     int
	// ReadUntil is the place in the thread up to which it was read.
	ReadUntil *time.Time
	Version   int       `gorm:"->"`
	CreatedAt time.Time `gorm:"->"`
	UpdatedAt time.Time `gorm:"->"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*Conversation) IsNode() {}

// GetID is the global id.
func (c *Conversation) GetID() string { return KindConversation.Global(c.ID) }

// UnreadCount is how many of the contact's messages nobody has marked as read.
func (c *Conversation) UnreadCount() int { return c.ReceivedCount - c.ReadCount }

func channelWord(c Channel) string {
	switch c {
	case ChannelWhatsapp:
		return "whatsapp"
	case ChannelSms:
		return "sms"
	case ChannelEmail:
		return "email"
	case ChannelWeb:
		return "web"
	}
	return ""
}

// Scan implements sql.Scanner.
func (c *Channel) Scan(source any) error { return scan(c, source, AllChannel, channelWord) }

// Value implements driver.Valuer.
func (c Channel) Value() (driver.Value, error) { return value(c, channelWord) }

func conversationStatusWord(s ConversationStatus) string {
	switch s {
	case ConversationStatusOpen:
		return "aberta"
	case ConversationStatusPending:
		return "pendente"
	case ConversationStatusClosed:
		return "fechada"
	}
	return ""
}

// Scan implements sql.Scanner.
func (s *ConversationStatus) Scan(source any) error {
	return scan(s, source, AllConversationStatus, conversationStatusWord)
}

// Value implements driver.Valuer.
func (s ConversationStatus) Value() (driver.Value, error) { return value(s, conversationStatusWord) }
