package models

import (
	"time"

	"github.com/google/uuid"
)

// MedicalRecord is a draft, or signed and then immutable.
type MedicalRecord struct {
	ClinicID       uuid.UUID `gorm:"primaryKey;<-:create"`
	ID             uuid.UUID `gorm:"primaryKey;<-:create"`
	ContactID      uuid.UUID
	PractitionerID uuid.UUID
	AppointmentID  *uuid.UUID
	Kind           RecordKind
	Title          string
	Body           string
	Codes          Texts
	Data           JSON
	SignedAt       *time.Time
	SignedBy       *string
	// Digest is the SHA-256 of the signed content, hexadecimal.
	Digest          *string
	AmendsID        *uuid.UUID
	AmendmentReason *string
	Version         int       `gorm:"->"`
	CreatedAt       time.Time `gorm:"->"`
	UpdatedAt       time.Time `gorm:"->"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*MedicalRecord) IsNode() {}

// GetID is the global id.
func (r *MedicalRecord) GetID() string { return KindMedicalRecord.Global(r.ID) }

// GetCodes are the ICD-10 codes, never nil.
func (r *MedicalRecord) GetCodes() []string { return list(r.Codes) }
