package models

import (
	"time"

	"github.com/google/uuid"
)

// KindMember is the prefix of members' ids.
const KindMember Kind = "member"

// Member is a person who belongs to a clinic. Rows are written by functions of the
// database's alone.
type Member struct {
	ClinicID  uuid.UUID  `gorm:"primaryKey;->"`
	ID        uuid.UUID  `gorm:"primaryKey;->"`
	Subject   string     `gorm:"->"`
	Name      *string    `gorm:"->"`
	Role      Role       `gorm:"->"`
	RevokedAt *time.Time `gorm:"->"`
	Version   int        `gorm:"->"`
	CreatedAt time.Time  `gorm:"->"`
	UpdatedAt time.Time  `gorm:"->"`

	Prefetched `gorm:"-"`
}

// TableName is what a member's row says: that a subject belongs to a clinic.
func (Member) TableName() string { return "memberships" }

// IsNode marks a GraphQL Node.
func (*Member) IsNode() {}

// GetID is the global id.
func (m *Member) GetID() string { return KindMember.Global(m.ID) }

// APIKey is a partner's key as it is stored: of its text only the hash, which cannot be
// turned back. Rows are written by functions of the database's, but for LastUsedAt.
type APIKey struct {
	ClinicID uuid.UUID `gorm:"primaryKey;<-:create"`
	ID       uuid.UUID `gorm:"primaryKey;<-:create"`
	Name     string
	// Role is what the key may do; it never has permissions beyond it.
	Role Role
	// KeyHash is the SHA-256 of the whole text, prefix and checksum included.
	KeyHash []byte `gorm:"<-:create"`
	// LastFour are the text's last characters, to tell keys apart by.
	LastFour string `gorm:"<-:create"`
	// LastUsedAt may be late by a minute.
	LastUsedAt *time.Time
	ExpiresAt  *time.Time
	RevokedAt  *time.Time
	CreatedAt  time.Time `gorm:"->"`

	Prefetched `gorm:"-"`
}

// TableName implements gorm's Tabler.
func (APIKey) TableName() string { return "api_keys" }

// IsNode marks a GraphQL Node.
func (*APIKey) IsNode() {}

// GetID is the global id.
func (k *APIKey) GetID() string { return KindAPIKey.Global(k.ID) }

// KeySubject begins the subject of a scope that a key was granted; the key's global id
// follows.
const KeySubject = "key:"

// Actor is who acts when the key is used: "key:api_key_01h…".
func (k *APIKey) Actor() string { return KeySubject + k.GetID() }

// Viewer is the person or the partner's key behind a request.
type Viewer struct {
	Subject     string
	Name        *string
	Role        Role
	ClinicID    uuid.UUID
	Memberships []*Membership `gorm:"-"`
	// PractitionerID is the practitioner who the viewer is.
	PractitionerID *uuid.UUID
	// Permissions are what the role may.
	Permissions []string `gorm:"-"`

	Prefetched `gorm:"-"`
}
