package models

import (
	"time"

	"github.com/google/uuid"
)

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
