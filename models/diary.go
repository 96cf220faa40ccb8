package models

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Appointment is a contact's time with a practitioner.
type Appointment struct {
	ClinicID       uuid.UUID `gorm:"primaryKey;<-:create"`
	ID             uuid.UUID `gorm:"primaryKey;<-:create"`
	ContactID      uuid.UUID
	PractitionerID uuid.UUID
	ServiceID      *uuid.UUID
	StartsAt       time.Time
	EndsAt         time.Time
	// ScheduledDate is the day of StartsAt in the clinic's zone, kept by the database.
	ScheduledDate      Date `gorm:"->"`
	Status             AppointmentStatus
	CancellationReason *string
	Notes              *string
	// RecurrenceRule and SeriesID are those of all dates of a series; nil of what is by
	// itself.
	RecurrenceRule    *string
	SeriesID          *uuid.UUID
	Overbooked        bool
	ArrivedAt         *time.Time
	StartedAt         *time.Time
	CompletedAt       *time.Time
	ExternalReference *string
	Version           int       `gorm:"->"`
	CreatedAt         time.Time `gorm:"->"`
	UpdatedAt         time.Time `gorm:"->"`

	Prefetched `gorm:"-"`

	// Asker is the role of who reads it, which decides what is next.
	Asker Role `gorm:"-" json:"-"`
}

// IsNode marks a GraphQL Node.
func (*Appointment) IsNode() {}

// GetID is the global id.
func (a *Appointment) GetID() string { return KindAppointment.Global(a.ID) }

// GetSeriesID is the series' global id; nil for none.
func (a *Appointment) GetSeriesID() *string {
	if a.SeriesID == nil {
		return nil
	}
	return new(KindSeries.Global(*a.SeriesID))
}

// MayBecome tells whether one status may follow on another.
func (s AppointmentStatus) MayBecome(next AppointmentStatus) bool {
	return slices.Contains(s.followers(), next)
}

func (s AppointmentStatus) followers() []AppointmentStatus {
	switch s {
	case AppointmentStatusScheduled:
		return []AppointmentStatus{
			AppointmentStatusConfirmed, AppointmentStatusCheckedIn,
			AppointmentStatusCancelled, AppointmentStatusNoShow,
		}
	case AppointmentStatusConfirmed:
		return []AppointmentStatus{AppointmentStatusCheckedIn, AppointmentStatusCancelled, AppointmentStatusNoShow}
	case AppointmentStatusCheckedIn:
		return []AppointmentStatus{AppointmentStatusInProgress, AppointmentStatusCancelled}
	case AppointmentStatusInProgress:
		return []AppointmentStatus{AppointmentStatusCompleted}
	case AppointmentStatusNoShow: // who comes late may come in
		return []AppointmentStatus{AppointmentStatusCheckedIn}
	case AppointmentStatusCompleted, AppointmentStatusCancelled:
		return nil
	}
	return nil
}

// TakesTime tells whether an appointment of a status is in the way of others.
func (s AppointmentStatus) TakesTime() bool {
	return s != AppointmentStatusCancelled && s != AppointmentStatusNoShow
}

// AppointmentStepTaken is a step that an appointment took.
type AppointmentStepTaken struct {
	ClinicID      uuid.UUID `gorm:"primaryKey;<-:create"`
	ID            uuid.UUID `gorm:"primaryKey;<-:create"`
	AppointmentID uuid.UUID
	Step          AppointmentStep
	From          AppointmentStatus `gorm:"column:from_status"`
	To            AppointmentStatus `gorm:"column:to_status"`
	At            time.Time         `gorm:"->"`
	Actor         string
	Reason        *string
}

// TableName implements GORM's Tabler.
func (AppointmentStepTaken) TableName() string { return "appointment_steps" }

// NextSteps are what the status and the reader's role allow.
func (a *Appointment) NextSteps() []AppointmentStep {
	steps := []AppointmentStep{}
	for _, step := range AllAppointmentStep {
		theirs := step == AppointmentStepUndo && a.treated() && a.Asker == RoleReceptionist
		if step.allowed(a.Asker) && step.follows(a.Status) && !theirs {
			steps = append(steps, step)
		}
	}
	return steps
}

// treated tells whether the last step was the practitioner's own, which a receptionist
// does not undo.
func (a *Appointment) treated() bool {
	return a.Status == AppointmentStatusInProgress || a.Status == AppointmentStatusCompleted
}

// follows tells whether a step can be taken from a status.
func (s AppointmentStep) follows(status AppointmentStatus) bool {
	switch s {
	case AppointmentStepConfirm:
		return status.MayBecome(AppointmentStatusConfirmed)
	case AppointmentStepCheckIn:
		return status.MayBecome(AppointmentStatusCheckedIn)
	case AppointmentStepStart:
		return status.MayBecome(AppointmentStatusInProgress)
	case AppointmentStepComplete:
		return status.MayBecome(AppointmentStatusCompleted)
	case AppointmentStepNoShow:
		return status.MayBecome(AppointmentStatusNoShow)
	case AppointmentStepCancel:
		return status.MayBecome(AppointmentStatusCancelled)
	case AppointmentStepUndo:
		return status != AppointmentStatusScheduled
	case AppointmentStepReschedule:
		return status == AppointmentStatusScheduled || status == AppointmentStatusConfirmed
	}
	return false
}

// allowed tells whether a role may take a step: what @allow says of its mutation,
// which a test compares.
func (s AppointmentStep) allowed(role Role) bool {
	var roles []Role
	switch s {
	case AppointmentStepConfirm, AppointmentStepCancel, AppointmentStepReschedule:
		roles = []Role{RoleOwner, RoleAdmin, RolePractitioner, RoleReceptionist, RolePartner}
	case AppointmentStepCheckIn, AppointmentStepNoShow, AppointmentStepUndo:
		roles = []Role{RoleOwner, RoleAdmin, RolePractitioner, RoleReceptionist}
	case AppointmentStepStart, AppointmentStepComplete:
		roles = []Role{RoleOwner, RoleAdmin, RolePractitioner}
	}
	return slices.Contains(roles, role)
}

// Slot is a free time of a practitioner.
type Slot struct {
	PractitionerID uuid.UUID
	StartsAt       time.Time
	EndsAt         time.Time

	Prefetched `gorm:"-"`
}

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
