package models

import (
	"database/sql/driver"
	"time"

	"github.com/google/uuid"
)

// KindWaitlistEntry is the prefix of waiting list entries' ids.
const KindWaitlistEntry Kind = "waitlist_entry"

// WaitlistEntry is a contact who waits for a time to become free.
type WaitlistEntry struct {
	ClinicID  uuid.UUID `gorm:"primaryKey;<-:create"`
	ID        uuid.UUID `gorm:"primaryKey;<-:create"`
	ContactID uuid.UUID `gorm:"<-:create"`
	// PractitionerID is whom they want to see; nil for anybody who offers the service.
	PractitionerID *uuid.UUID `gorm:"<-:create"`
	ServiceID      uuid.UUID  `gorm:"<-:create"`
	// RangeFrom and RangeTo bound the times that would suit; nil for no bound.
	RangeFrom *time.Time `gorm:"<-:create"`
	RangeTo   *time.Time `gorm:"<-:create"`
	Status    WaitlistEntryStatus
	// What is offered, and until when; all nil where nothing is.
	OfferedPractitionerID *uuid.UUID
	OfferedStartsAt       *time.Time
	OfferedEndsAt         *time.Time
	OfferExpiresAt        *time.Time
	// AppointmentID is what an offer became that was accepted.
	AppointmentID *uuid.UUID
	// JoinedBy and EndedBy are the subjects who did so; EndedBy is nil where it ended by
	// itself.
	JoinedBy  string `gorm:"<-:create"`
	EndedBy   *string
	EndedAt   *time.Time
	Version   int       `gorm:"->"`
	CreatedAt time.Time `gorm:"->"`
	UpdatedAt time.Time `gorm:"->"`
	// OfferedSlot is what is offered at the answer's instant. It is derived, not kept.
	OfferedSlot *Slot `gorm:"-" db:"-"`

	Prefetched `gorm:"-"`
}

// TableName implements GORM's Tabler.
func (WaitlistEntry) TableName() string { return "waitlist_entries" }

// IsNode marks a GraphQL Node.
func (*WaitlistEntry) IsNode() {}

// GetID is the global id.
func (e *WaitlistEntry) GetID() string { return KindWaitlistEntry.Global(e.ID) }

// Range is when it would suit.
func (e *WaitlistEntry) Range() *DateTimeSpan {
	return &DateTimeSpan{From: e.RangeFrom, To: e.RangeTo}
}

// AgeAt makes an entry with an offer OFFERED until that expires, and gives when it will:
// nobody writes that down at that moment.
func (e *WaitlistEntry) AgeAt(now time.Time) (until time.Time) {
	if e.OfferExpiresAt == nil {
		return time.Time{} // nothing is offered, or it was read without its instant
	}
	if !now.Before(*e.OfferExpiresAt) {
		e.OfferedSlot, e.OfferExpiresAt = nil, nil
		return time.Time{}
	}
	if e.Status == WaitlistEntryStatusWaiting {
		e.Status = WaitlistEntryStatusOffered
	}
	if e.OfferedSlot == nil && e.OfferedPractitionerID != nil && e.OfferedStartsAt != nil && e.OfferedEndsAt != nil {
		e.OfferedSlot = &Slot{PractitionerID: *e.OfferedPractitionerID, StartsAt: *e.OfferedStartsAt, EndsAt: *e.OfferedEndsAt}
	}
	return *e.OfferExpiresAt
}

func waitlistEntryStatusWord(s WaitlistEntryStatus) string {
	switch s {
	case WaitlistEntryStatusWaiting:
		return "aguardando"
	case WaitlistEntryStatusOffered:
		// It is no word that is stored: who waits is offered something for a while.
	case WaitlistEntryStatusBooked:
		return "agendado"
	case WaitlistEntryStatusLeft:
		return "desistiu"
	case WaitlistEntryStatusExpired:
		return "vencido"
	}
	return ""
}

// Scan implements sql.Scanner.
func (s *WaitlistEntryStatus) Scan(source any) error {
	return scan(s, source, AllWaitlistEntryStatus, waitlistEntryStatusWord)
}

// Value implements driver.Valuer.
func (s WaitlistEntryStatus) Value() (driver.Value, error) { return value(s, waitlistEntryStatusWord) }
