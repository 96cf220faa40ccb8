package people

import (
	"fmt"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"github.com/paemuri/brdoc"

	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// How long a contact's texts may be, in characters.
const (
	longestName      = 200
	longestEmail     = 254 // RFC 5321, section 4.5.3.1.3, less the angle brackets
	longestSource    = 100
	longestNotes     = 10_000
	longestReference = 255
	longestTag       = 50
	mostTags         = 50
)

// homeRegion is where numbers without a country code are dialled.
const homeRegion = "BR"

func email(in *validate.Input, text *string) *string {
	address := in.OptionalText("email", text, longestEmail)
	if address == nil {
		return nil
	}
	parsed, err := mail.ParseAddress(*address)
	// Only the bare address of RFC 5322: a display name belongs into name.
	if err != nil || parsed.Address != *address || strings.HasSuffix(*address, ".") {
		in.Add(models.UserErrorCodeInvalid, "email", "this is no e-mail address: it should look like ana@example.com")
	}
	return address
}

// phone reads a number as it is dialled and gives it in E.164.
func phone(in *validate.Input, text *string) *string {
	dialled := in.OptionalText("phone", text, 40)
	if dialled == nil {
		return nil
	}
	number, err := phonenumbers.Parse(*dialled, homeRegion)
	if err != nil || !phonenumbers.IsPossibleNumber(number) || number.GetExtension() != "" {
		in.Add(models.UserErrorCodeInvalid, "phone", "this is no phone number: give it with its area code, or in E.164 such as +5511987654321")
		return nil
	}
	e164 := phonenumbers.Format(number, phonenumbers.E164)
	return &e164
}

// taxID reads a CPF, with or without punctuation, and gives its 11 digits.
func taxID(in *validate.Input, text *string) *string {
	written := in.OptionalText("taxId", text, 20)
	if written == nil {
		return nil
	}
	if !brdoc.IsCPF(*written) {
		in.Add(models.UserErrorCodeInvalid, "taxId", "this is no CPF: look at its digits, the last two do not fit")
		return nil
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, *written)
	return &digits
}

func birthDate(in *validate.Input, date *models.Date, today models.Date) *models.Date {
	if date == nil {
		return nil
	}
	if date.Before(models.NewDate(1900, 1, 1)) || today.Before(*date) {
		in.Add(models.UserErrorCodeInvalid, "birthDate", "a date of birth lies between 1900-01-01 and today")
	}
	return date
}

// tags trims, sorts and removes doubles.
func tags(in *validate.Input, labels []string) []string {
	if len(labels) > mostTags {
		in.Add(models.UserErrorCodeLimit, "tags", fmt.Sprintf("a contact may have %d labels at most", mostTags))
		return []string{}
	}
	clean := make([]string, 0, len(labels))
	for i, label := range labels {
		label = strings.TrimSpace(label)
		path := []string{"tags", strconv.Itoa(i)}
		switch {
		case label == "":
			in.AddAt(models.UserErrorCodeRequired, path, "a label must not be empty")
		case !validate.Printable(label):
			in.AddAt(models.UserErrorCodeInvalid, path, "a label must not hold control characters")
		case utf8.RuneCountInString(label) > longestTag:
			in.AddAt(models.UserErrorCodeTooLong, path, fmt.Sprintf("a label may have %d characters at most", longestTag))
		}
		clean = append(clean, label)
	}
	slices.Sort(clean)
	return slices.Compact(clean)
}

// storable refuses a query's text that no stored one can equal and that
// Postgres would not take.
func storable(argument, text string) error {
	if !validate.Printable(text) || len(text) > 4*longestReference {
		return models.BadInput("%s holds a character that no text can have, or is too long", argument)
	}
	return nil
}
