package models

import (
	"time"

	"github.com/google/uuid"
)

// KindCalendarFeed is the kind of calendar feeds.
const KindCalendarFeed Kind = "calendar_feed"

// CalendarFeed is a secret address under which calendar clients find appointments.
type CalendarFeed struct {
	ClinicID uuid.UUID `gorm:"primaryKey;<-:create"`
	ID       uuid.UUID `gorm:"primaryKey;<-:create"`
	// PractitionerID is whose appointments it has; nil for the whole clinic's.
	PractitionerID *uuid.UUID `gorm:"<-:create"`
	// SecretHash is the SHA-256 of the address's secret.
	SecretHash []byte    `gorm:"<-:create"`
	CreatedAt  time.Time `gorm:"->"`
	LastReadAt *time.Time
	RevokedAt  *time.Time
	// URL is the address. It is derived, not kept.
	URL string `gorm:"-" db:"-"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*CalendarFeed) IsNode() {}

// GetID is the global id.
func (f *CalendarFeed) GetID() string { return KindCalendarFeed.Global(f.ID) }
