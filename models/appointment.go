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
	Overbooked         bool
	ExternalReference  *string
	Version            int       `gorm:"->"`
	CreatedAt          time.Time `gorm:"->"`
	UpdatedAt          time.Time `gorm:"->"`

	Prefetched `gorm:"-"`

	// Asker is the role of who reads it, which decides what is next.
	Asker Role `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*Appointment) IsNode() {}

// GetID is the global id.
func (a *Appointment) GetID() string { return KindAppointment.Global(a.ID) }

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
	case AppointmentStatusCompleted, AppointmentStatusCancelled, AppointmentStatusNoShow:
		return nil
	}
	return nil
}

// NextSteps are what the status and the reader's role allow.
func (a *Appointment) NextSteps() []AppointmentStep {
	steps := []AppointmentStep{}
	for _, step := range AllAppointmentStep {
		if step.allowed(a.Asker) && step.follows(a.Status) {
			steps = append(steps, step)
		}
	}
	return steps
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
	case AppointmentStepCheckIn, AppointmentStepNoShow:
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
