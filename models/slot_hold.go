package models

import (
	"time"

	"github.com/google/uuid"
)

// SlotHold keeps a practitioner's time for somebody until it expires by the database's
// clock.
type SlotHold struct {
	ClinicID       uuid.UUID `gorm:"primaryKey;<-:create"`
	ID             uuid.UUID `gorm:"primaryKey;<-:create"`
	PractitionerID uuid.UUID
	// Subject is who holds it; a member may have the same name as the waiting list.
	Subject string
	// WaitlistEntryID is whose offer holds it; nil where a member does.
	WaitlistEntryID *uuid.UUID

	StartsAt  time.Time
	EndsAt    time.Time
	ExpiresAt time.Time

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*SlotHold) IsNode() {}

// GetID is the global id.
func (h *SlotHold) GetID() string { return KindSlotHold.Global(h.ID) }
