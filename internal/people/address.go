package people

import (
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// How long an address' and a plan's texts may be, in characters.
const (
	longestStreet     = 200
	longestNumber     = 20
	longestPlace      = 100
	longestState      = 50
	longestPostalCode = 20
	longestPlan       = 100
	longestCard       = 50
)

// putAddress reads an address into a contact; nil leaves it with none.
func putAddress(in *validate.Input, input *models.AddressInput, contact *models.Contact) {
	if input == nil {
		input = &models.AddressInput{Country: new("")}
	} else if input.Country == nil || validate.Line(*input.Country) == "" {
		input.Country = new(homeRegion)
	}
	country := strings.ToUpper(validate.Line(*input.Country))
	postalCode := in.OptionalText("address.postalCode", input.PostalCode, longestPostalCode)
	state := in.OptionalText("address.state", input.State, longestState)
	if country == homeRegion {
		state, postalCode = stateOfBrazil(in, state), postalCodeOfBrazil(in, postalCode)
	}
	contact.AddressStreet = in.OptionalText("address.street", input.Street, longestStreet)
	contact.AddressNumber = in.OptionalText("address.number", input.Number, longestNumber)
	contact.AddressComplement = in.OptionalText("address.complement", input.Complement, longestPlace)
	contact.AddressDistrict = in.OptionalText("address.district", input.District, longestPlace)
	contact.AddressCity = in.OptionalText("address.city", input.City, longestPlace)
	contact.AddressState, contact.AddressPostalCode, contact.AddressCountry = state, postalCode, nil
	if country == "" {
		return
	}
	region, err := language.ParseRegion(country)
	if len(country) != len(homeRegion) || err != nil || !region.IsCountry() {
		in.Add(models.UserErrorCodeInvalid, "address.country", "this is no country of ISO 3166-1, such as BR or PT")
	}
	contact.AddressCountry = &country
}

// stateOfBrazil reads a UF, in whichever case.
func stateOfBrazil(in *validate.Input, state *string) *string {
	const all = "AC AL AM AP BA CE DF ES GO MA MG MS MT PA PB PE PI PR RJ RN RO RR RS SC SE SP TO"
	if state == nil {
		return nil
	}
	code := strings.ToUpper(*state)
	if !slices.Contains(strings.Fields(all), code) {
		in.Add(models.UserErrorCodeInvalid, "address.state", "Brazil has no such state: give its UF, such as SP")
	}
	return &code
}

// postalCodeOfBrazil reads a CEP, with or without its hyphen, and gives its digits.
func postalCodeOfBrazil(in *validate.Input, text *string) *string {
	const digits = 8
	if text == nil {
		return nil
	}
	code := strings.NewReplacer("-", "", ".", "", " ", "").Replace(*text)
	if len(code) != digits || strings.Trim(code, "0123456789") != "" || strings.Trim(code, "0") == "" {
		in.Add(models.UserErrorCodeInvalid, "address.postalCode", "this is no CEP: it has eight digits, such as 01310-100")
	}
	return &code
}

// putHealthPlan reads a plan into a contact; nil leaves it with none.
func putHealthPlan(in *validate.Input, input *models.HealthPlanInput, contact *models.Contact) {
	contact.HealthPlanName, contact.HealthPlanCardNumber, contact.HealthPlanValidUntil = nil, nil, nil
	if input == nil {
		return
	}
	contact.HealthPlanName = new(in.RequiredText("healthPlan.name", input.Name, longestPlan))
	contact.HealthPlanCardNumber = in.OptionalText("healthPlan.cardNumber", input.CardNumber, longestCard)
	contact.HealthPlanValidUntil = input.ValidUntil
}

// placeChanges maps an address and a plan that the input names to columns: each is
// replaced as a whole.
func placeChanges(in *validate.Input, input models.UpdateContactInput, changes map[string]any) {
	var contact models.Contact
	if address, named := input.Address.ValueOK(); named {
		putAddress(in, address, &contact)
		for column, value := range map[string]*string{
			"address_street": contact.AddressStreet, "address_number": contact.AddressNumber,
			"address_complement": contact.AddressComplement, "address_district": contact.AddressDistrict,
			"address_city": contact.AddressCity, "address_state": contact.AddressState,
			"address_postal_code": contact.AddressPostalCode, "address_country": contact.AddressCountry,
		} {
			changes[column] = value
		}
	}
	if plan, named := input.HealthPlan.ValueOK(); named {
		putHealthPlan(in, plan, &contact)
		changes["health_plan_name"], changes["health_plan_card_number"] = contact.HealthPlanName, contact.HealthPlanCardNumber
		changes["health_plan_valid_until"] = contact.HealthPlanValidUntil
	}
}
