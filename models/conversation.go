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

// KindChannelAccount is the prefix of channel accounts' ids.
const KindChannelAccount Kind = "channel_account"

// ChannelAccount is what a clinic sends and receives with.
type ChannelAccount struct {
	ClinicID uuid.UUID `gorm:"primaryKey;<-:create"`
	ID       uuid.UUID `gorm:"primaryKey;<-:create"`
	Channel  Channel
	Name     string
	Address  string
	Active   bool
	// Settings are sealed: nobody is shown them.
	Settings  []byte
	LastError *string
	CreatedAt time.Time `gorm:"->"`
	// InboundURL is where the provider posts; it follows from the ids.
	InboundURL string `gorm:"-"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*ChannelAccount) IsNode() {}

// GetID is the global id.
func (a *ChannelAccount) GetID() string { return KindChannelAccount.Global(a.ID) }

// ContactIdentity is an address by which a contact is known in a channel.
type ContactIdentity struct {
	ClinicID  uuid.UUID `gorm:"primaryKey;<-:create"`
	ID        uuid.UUID `gorm:"primaryKey;<-:create"`
	ContactID uuid.UUID
	Channel   Channel
	// Value is a phone in E.164, an address of mail, or a provider's name for a person.
	Value string
	// Key is Value as it is compared: a Brazilian mobile number has its ninth digit.
	Key string `gorm:"->"`
	// VerifiedAt is when the person first wrote from it.
	VerifiedAt *time.Time
	CreatedAt  time.Time `gorm:"->"`
}
