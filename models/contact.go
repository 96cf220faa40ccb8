package models

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Contact is a patient or a lead.
type Contact struct {
	ClinicID          uuid.UUID `gorm:"primaryKey;<-:create"`
	ID                uuid.UUID `gorm:"primaryKey;<-:create"`
	Name              string
	NameKey           string `gorm:"->"`
	PreferredName     *string
	Email             *string
	Phone             *string
	TaxID             *string
	BirthDate         *Date
	Status            ContactStatus
	Tags              Texts
	Source            *string
	Notes             *string
	ExternalReference *string
	Version           int       `gorm:"->"`
	CreatedAt         time.Time `gorm:"->"`
	UpdatedAt         time.Time `gorm:"->"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*Contact) IsNode() {}

// GetID is the global id.
func (c *Contact) GetID() string { return KindContact.Global(c.ID) }

// GetTags are the labels, never nil.
func (c *Contact) GetTags() []string { return list(c.Tags) }

// SeesWholeTaxID tells whether a role sees a CPF unmasked.
func SeesWholeTaxID(role Role) bool {
	switch role {
	case RoleOwner, RoleAdmin, RoleReceptionist, RoleFinance:
		return true
	case RolePractitioner, RolePartner:
		return false
	}
	return false
}

// MaskTaxID hides all of a CPF but its middle: ***.456.789-**. What is masked
// already stays so.
func MaskTaxID(taxID string) string {
	const digits = 11
	if strings.HasPrefix(taxID, "***") {
		return taxID
	}
	if len(taxID) != digits {
		return "***"
	}
	return "***." + taxID[3:6] + "." + taxID[6:9] + "-**"
}
