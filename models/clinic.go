package models

import (
	"time"

	"github.com/google/uuid"
)

// Clinic is the tenant.
type Clinic struct {
	ID       uuid.UUID `gorm:"primaryKey"`
	Name     string
	Slug     string
	TimeZone string
	Currency string
	// SlotGridMinutes is what free slots' beginnings are multiples of.
	SlotGridMinutes int
	PixKey          *string
	Version         int       `gorm:"->"`
	CreatedAt       time.Time `gorm:"->"`
	UpdatedAt       time.Time `gorm:"->"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*Clinic) IsNode() {}

// GetID is the global id.
func (c *Clinic) GetID() string { return KindClinic.Global(c.ID) }

// Practitioner treats patients.
type Practitioner struct {
	ClinicID     uuid.UUID `gorm:"primaryKey;<-:create"`
	ID           uuid.UUID `gorm:"primaryKey;<-:create"`
	Name         string
	NameKey      string `gorm:"->"`
	Specialty    *string
	Registration *string
	Color        *string
	Active       bool
	// MemberID is the member who they are.
	MemberID  *uuid.UUID
	Version   int       `gorm:"->"`
	CreatedAt time.Time `gorm:"->"`
	UpdatedAt time.Time `gorm:"->"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*Practitioner) IsNode() {}

// GetID is the global id.
func (p *Practitioner) GetID() string { return KindPractitioner.Global(p.ID) }

// WorkingHour is a stretch of a weekday in which a practitioner works.
type WorkingHour struct {
	ClinicID       uuid.UUID `gorm:"primaryKey;<-:create"`
	ID             uuid.UUID `gorm:"primaryKey;<-:create"`
	PractitionerID uuid.UUID
	// ISOWeekday is 1 for Monday to 7 for Sunday (ISO 8601).
	ISOWeekday int `gorm:"column:weekday" db:"weekday"`
	// FromMinute and ToMinute are wall-clock minutes since midnight, half open.
	FromMinute int
	ToMinute   int
}

// Weekday is the contract's name of the day.
func (w *WorkingHour) Weekday() Weekday { return AllWeekday[(w.ISOWeekday-1)%len(AllWeekday)] }

// TimeOff is a practitioner's absence or, without one, the whole clinic's.
type TimeOff struct {
	ClinicID       uuid.UUID `gorm:"primaryKey;<-:create"`
	ID             uuid.UUID `gorm:"primaryKey;<-:create"`
	PractitionerID *uuid.UUID
	StartsAt       time.Time
	EndsAt         time.Time
	Reason         *string
	Version        int `gorm:"->"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*TimeOff) IsNode() {}

// TableName is singular in English, too.
func (TimeOff) TableName() string { return "time_off" }

// GetID is the global id.
func (t *TimeOff) GetID() string { return KindTimeOff.Global(t.ID) }

// Service is something the clinic offers.
type Service struct {
	ClinicID        uuid.UUID `gorm:"primaryKey;<-:create"`
	ID              uuid.UUID `gorm:"primaryKey;<-:create"`
	Name            string
	NameKey         string `gorm:"->"`
	DurationMinutes int
	// PriceMinor is in minor units of Currency.
	PriceMinor int64
	Currency   string
	Active     bool
	Version    int       `gorm:"->"`
	CreatedAt  time.Time `gorm:"->"`
	UpdatedAt  time.Time `gorm:"->"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*Service) IsNode() {}

// GetID is the global id.
func (s *Service) GetID() string { return KindService.Global(s.ID) }

// Price is what the service costs.
func (s *Service) Price() *Money {
	return &Money{AmountMinor: s.PriceMinor, Currency: s.Currency}
}

// Duration is how long the service takes.
func (s *Service) Duration() time.Duration {
	return time.Duration(s.DurationMinutes) * time.Minute
}
