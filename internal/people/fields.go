package people

import (
	"cmp"
	"fmt"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/paemuri/brdoc"
	"golang.org/x/net/idna"
	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

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

func email(in *validate.Input, text *string) *string {
	address := in.OptionalText("email", text, longestEmail)
	if address == nil {
		return nil
	}
	parsed, err := mail.ParseAddress(*address)
	// Only the bare address of RFC 5322: a display name belongs into name.
	if err != nil || parsed.Address != *address || !hasMailDomain(*address) {
		in.Add(models.UserErrorCodeInvalid, "email", "this is no e-mail address: it should look like ana@example.com")
	}
	return address
}

// hasMailDomain tells whether mail could be sent to an address' domain: a name of
// several labels (RFC 1035, section 2.3.1; RFC 5890 for other scripts), the last of
// which is no number. localhost and addresses of machines are nobody's mail domain.
func hasMailDomain(address string) bool {
	domain, err := idna.Lookup.ToASCII(address[strings.LastIndexByte(address, '@')+1:])
	if err != nil || len(domain) > 253 {
		return false
	}
	labels := strings.Split(domain, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(labels) > 1 && len(last) > 1 && strings.Trim(last, "0123456789") != ""
}

// taxID reads a CPF, however it is punctuated, and gives its 11 digits.
func taxID(in *validate.Input, text *string) *string {
	const cpf, cnpj = 11, 14
	written := in.OptionalText("taxId", text, 40)
	if written == nil {
		return nil
	}
	// Full-width digits are digits.
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" .-/", r) {
			return -1
		}
		return r
	}, strings.ToUpper(norm.NFKC.String(*written)))
	fault := ""
	switch {
	case len(digits) == cnpj && strings.Trim(digits, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "":
		fault = "this is a CNPJ, a company's: give the person's CPF"
	case strings.Trim(digits, "0123456789") != "":
		fault = "this is no CPF: it has 11 digits, points and a hyphen"
	case len(digits) != cpf:
		fault = fmt.Sprintf("this is no CPF: it has 11 digits, and this has %d", len(digits))
	case strings.Trim(digits, digits[:1]) == "":
		fault = "nobody has this CPF: all its digits are the same"
	case !brdoc.IsCPF(digits):
		fault = "this is no CPF: look at its digits, the last two do not fit"
	}
	if fault != "" {
		in.Add(models.UserErrorCodeInvalid, "taxId", fault)
		return nil
	}
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

func deceasedOn(in *validate.Input, date *models.Date, today models.Date) *models.Date {
	if date != nil && today.Before(*date) {
		in.Add(models.UserErrorCodeInvalid, "deceasedOn", "a day of death is not to come")
	}
	return date
}

// guardian reads the id of another contact; whether there is one, Postgres knows.
func guardian(in *validate.Input, global *string) *uuid.UUID {
	if global == nil {
		return nil
	}
	return new(in.ID("guardianId", models.KindContact, *global))
}

// tags tidies and sorts labels, and removes doubles.
func tags(in *validate.Input, labels []string) []string {
	if len(labels) > mostTags {
		in.Add(models.UserErrorCodeLimit, "tags", fmt.Sprintf("a contact may have %d labels at most", mostTags))
		return []string{}
	}
	clean := make([]string, 0, len(labels))
	for i, label := range labels {
		label = validate.Line(label)
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
	// As a reader expects them, with Ábaco before abc.
	order := collate.New(language.BrazilianPortuguese)
	slices.SortFunc(clean, func(a, b string) int {
		return cmp.Or(order.CompareString(a, b), strings.Compare(a, b))
	})
	return slices.Compact(clean)
}

// storable is a query's text as it would be stored; one that no stored text can equal,
// and that Postgres would not take, is refused.
func storable(argument, text string) (string, error) {
	text = validate.Line(text)
	if !validate.Printable(text) || len(text) > 4*longestReference {
		return "", models.BadInput("%s holds a character that no text can have, or is too long", argument)
	}
	return text, nil
}
