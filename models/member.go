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
