package people

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// homeRegion is where numbers without a country code are dialled.
const (
	homeRegion = "BR"
	homeCode   = 55
	// mostPhones bounds a contact's further numbers.
	mostPhones = 10
)

// phone reads a number as it is dialled, at a field, and gives it in E.164.
func phone(in *validate.Input, field string, text *string) *string {
	dialled := in.OptionalText(field, text, 40)
	if dialled == nil {
		return nil
	}
	number, err := phonenumbers.Parse(*dialled, homeRegion)
	if fault := phoneFault(*dialled, number, err); fault != "" {
		in.Add(models.UserErrorCodeInvalid, field, fault)
		return nil
	}
	e164 := phonenumbers.Format(number, phonenumbers.E164)
	return &e164
}

// otherPhones reads further numbers, each once, in their order.
func otherPhones(in *validate.Input, dialled []string) []string {
	if len(dialled) > mostPhones {
		in.Add(models.UserErrorCodeLimit, "otherPhones", fmt.Sprintf("a contact may have %d further numbers at most", mostPhones))
		return []string{}
	}
	numbers := make([]string, 0, len(dialled))
	for i := range dialled {
		number := phone(in, "otherPhones."+strconv.Itoa(i), &dialled[i])
		if number != nil && !slices.Contains(numbers, *number) {
			numbers = append(numbers, *number)
		}
	}
	return numbers
}

// bracketed is an area code as it is written in Brazil.
var bracketed = regexp.MustCompile(`^(?:\+55 ?)?\(0?([0-9]{2})\)`)

// phoneFault says what is wrong with a number; "" where nothing is.
func phoneFault(dialled string, number *phonenumbers.PhoneNumber, err error) string {
	const form = "give it with its area code, or in E.164 such as +5511987654321"
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return "no country has this code: " + form
	case err != nil:
		return "this is no phone number: " + form
	case number.GetExtension() != "":
		return "this has an extension, which cannot be stored: give the number alone"
	}
	switch phonenumbers.IsPossibleNumberWithReason(number) {
	case phonenumbers.IS_POSSIBLE:
	case phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return "the area code is missing: " + form
	case phonenumbers.TOO_SHORT:
		return "this number is too short: " + form
	case phonenumbers.TOO_LONG:
		return "this number is too long: " + form
	case phonenumbers.INVALID_COUNTRY_CODE, phonenumbers.INVALID_LENGTH:
		return "this is no phone number: " + form
	}
	if phonenumbers.IsValidNumber(number) {
		return ""
	}
	if number.GetCountryCode() == homeCode {
		const withoutArea = 9 // digits at most
		national := phonenumbers.GetNationalSignificantNumber(number)
		area := national[:min(2, len(national))]
		if written := bracketed.FindStringSubmatch(dialled); written != nil {
			area = written[1]
		} else if len(national) <= withoutArea {
			return "the area code is missing: " + form
		}
		if !isAreaCode(area) {
			return "there is no area code " + area + ": " + form
		}
	}
	return "nobody can have this number in its country: look at its digits"
}

// isAreaCode tells whether Brazil has an area code (Anatel's plan of numbers): these
// of two digits it has not.
func isAreaCode(code string) bool {
	const none = "20 23 25 26 29 30 36 39 40 50 52 56 57 58 59 60 70 72 76 78 80 90"
	return len(code) == 2 && code > "10" && !slices.Contains(strings.Fields(none), code)
}
