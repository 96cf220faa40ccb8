package models

import (
	"time"

	"github.com/google/uuid"
)

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
