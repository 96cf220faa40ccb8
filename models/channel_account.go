package models

import (
	"time"

	"github.com/google/uuid"
)

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
