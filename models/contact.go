package models

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Contact is a patient or a lead.
type Contact struct {
	ClinicID      uuid.UUID `gorm:"primaryKey;<-:create"`
	ID            uuid.UUID `gorm:"primaryKey;<-:create"`
	Name          string
	NameKey       string `gorm:"->"`
	PreferredName *string
	Email         *string
	Phone         *string
	TaxID         *string
	BirthDate     *Date
	Sex           AdministrativeSex
	DeceasedOn    *Date
	// OtherPhones are in E.164.
	OtherPhones Texts
	// GuardianID is the contact who decides for this one.
	GuardianID *uuid.UUID

	AddressStreet     *string
	AddressNumber     *string
	AddressComplement *string
	AddressDistrict   *string
	AddressCity       *string
	AddressState      *string
	AddressPostalCode *string
	// AddressCountry is null where there is no address.
	AddressCountry *string

	// HealthPlanName is null where there is no plan.
	HealthPlanName       *string
	HealthPlanCardNumber *string
	HealthPlanValidUntil *Date

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

// GetOtherPhones are the further numbers, never nil.
func (c *Contact) GetOtherPhones() []string { return list(c.OtherPhones) }

// Address is where they live; nil where that is not known.
func (c *Contact) Address() *Address {
	if c.AddressCountry == nil {
		return nil
	}
	return &Address{
		Street: c.AddressStreet, Number: c.AddressNumber, Complement: c.AddressComplement, District: c.AddressDistrict,
		City: c.AddressCity, State: c.AddressState, PostalCode: c.AddressPostalCode, Country: *c.AddressCountry,
	}
}

// HealthPlan is what pays; nil where they have none.
func (c *Contact) HealthPlan() *HealthPlan {
	if c.HealthPlanName == nil {
		return nil
	}
	return &HealthPlan{Name: *c.HealthPlanName, CardNumber: c.HealthPlanCardNumber, ValidUntil: c.HealthPlanValidUntil}
}

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
