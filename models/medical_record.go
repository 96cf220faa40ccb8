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
	// Signer is the subject who signed, SignedByID the member.
	Signer     *string    `gorm:"column:signed_by" db:"signed_by"`
	SignedByID *uuid.UUID `gorm:"->"`
	// Digest is the SHA-256 of the signed content, hexadecimal.
	Digest          *string
	AmendsID        *uuid.UUID
	AmendmentReason *string
	// AmendedAt is when the amendment was signed that counts.
	AmendedAt        *time.Time `gorm:"->"`
	WithdrawnAt      *time.Time
	WithdrawnBy      *string
	WithdrawalReason *string
	Version          int       `gorm:"->"`
	CreatedAt        time.Time `gorm:"->"`
	UpdatedAt        time.Time `gorm:"->"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*MedicalRecord) IsNode() {}

// GetID is the global id.
func (r *MedicalRecord) GetID() string { return KindMedicalRecord.Global(r.ID) }

// GetCodes are the ICD-10 codes, never nil.
func (r *MedicalRecord) GetCodes() []string { return list(r.Codes) }

// Status is what has become of the record: withdrawn over amended over signed.
func (r *MedicalRecord) Status() RecordStatus {
	switch {
	case r.WithdrawnAt != nil:
		return RecordStatusWithdrawn
	case r.AmendedAt != nil:
		return RecordStatusAmended
	case r.SignedAt != nil:
		return RecordStatusSigned
	}
	return RecordStatusDraft
}

// ReadsRecords tells whether a role may read what medical records say.
func ReadsRecords(role Role) bool {
	switch role {
	case RoleOwner, RoleAdmin, RolePractitioner:
		return true
	case RoleReceptionist, RoleFinance, RolePartner:
		return false
	}
	return false
}

// Attachment is a file of a medical record, whose bytes are in the store of files.
type Attachment struct {
	ClinicID        uuid.UUID `gorm:"primaryKey;<-:create"`
	ID              uuid.UUID `gorm:"primaryKey;<-:create"`
	MedicalRecordID uuid.UUID `gorm:"<-:create"`
	FileName        string    `gorm:"<-:create"`
	MediaType       string    `gorm:"<-:create"`
	// ByteSize is in bytes, 1 or more.
	ByteSize int `gorm:"<-:create"`
	// Digest is the SHA-256 of the bytes, in lower-case hexadecimal.
	Digest    string    `gorm:"<-:create"`
	CreatedAt time.Time `gorm:"->"`
	// URL is where its reader can read it for a while. It is derived, not kept.
	URL string `gorm:"-" db:"-"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*Attachment) IsNode() {}

// GetID is the global id.
func (a *Attachment) GetID() string { return KindAttachment.Global(a.ID) }
