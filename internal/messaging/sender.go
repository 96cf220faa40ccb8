package messaging

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

const (
	longestName  = 200
	longestEmail = 254
)

// phone is a number in E.164.
var phone = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// sender is the contact who wrote: who is known by an address, or else the only one who
// gave the clinic that address, or else a new lead. The addresses become theirs.
func sender(tx *gorm.DB, in Inbound) (uuid.UUID, error) {
	contact, err := known(tx, in)
	if err != nil {
		return uuid.Nil, err
	}
	if contact != uuid.Nil {
		return contact, remember(tx, contact, in)
	}
	if contact, err = registered(tx, in); err != nil {
		return uuid.Nil, err
	}
	if contact == uuid.Nil {
		if contact, err = lead(tx, in); err != nil {
			return uuid.Nil, err
		}
	}
	// Not over what another message makes known meanwhile: it says who that is.
	for _, identity := range addresses(contact, in) {
		if err := tx.Create(identity).Error; err != nil {
			return uuid.Nil, err
		}
	}
	return contact, nil
}

// known is who has one of the addresses in the channel, the most lasting first, or the
// number in the other channel of phones; uuid.Nil if nobody has.
func known(tx *gorm.DB, in Inbound) (uuid.UUID, error) {
	for _, identity := range slices.Concat(own(uuid.Nil, in), twins(uuid.Nil, in)) {
		var found models.ContactIdentity
		err := tx.Select("contact_id").Where("channel = ? AND key = contact_identity_key(?, ?)", identity.Channel, identity.Channel, identity.Value).
			Limit(1).Find(&found).Error
		if err != nil || found.ContactID != uuid.Nil {
			return found.ContactID, err
		}
	}
	return uuid.Nil, nil
}

// own are the addresses that a message came from.
func own(contact uuid.UUID, in Inbound) (all []*models.ContactIdentity) {
	for _, value := range in.From {
		all = append(all, &models.ContactIdentity{ID: models.NewID(), ContactID: contact, Channel: in.Channel, Value: value, VerifiedAt: &in.SentAt})
	}
	return all
}

// twins are the same numbers in the other channel of phones: whoever has a number in one
// is at it in the other, though nobody has heard from them there.
func twins(contact uuid.UUID, in Inbound) (all []*models.ContactIdentity) {
	other := models.ChannelSms
	switch in.Channel {
	case models.ChannelWhatsapp:
	case models.ChannelSms:
		other = models.ChannelWhatsapp
	case models.ChannelEmail, models.ChannelWeb:
		return nil
	}
	for _, value := range in.From {
		if phone.MatchString(value) {
			all = append(all, &models.ContactIdentity{ID: models.NewID(), ContactID: contact, Channel: other, Value: value})
		}
	}
	return all
}

// addresses are all of a message's in one order, in which two messages that come at once
// wait for each other.
func addresses(contact uuid.UUID, in Inbound) []*models.ContactIdentity {
	all := slices.Concat(own(contact, in), twins(contact, in))
	slices.SortFunc(all, func(a, b *models.ContactIdentity) int {
		return cmp.Or(strings.Compare(string(a.Channel), string(b.Channel)), strings.Compare(a.Value, b.Value))
	})
	return all
}

// remember adds addresses that are new of a contact who is known. What is another
// contact's stays theirs.
func remember(tx *gorm.DB, contact uuid.UUID, in Inbound) error {
	for _, identity := range addresses(contact, in) {
		if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(identity).Error; err != nil {
			return err
		}
		if identity.VerifiedAt == nil {
			continue
		}
		err := tx.Model(&models.ContactIdentity{}).
			Where("channel = ? AND key = contact_identity_key(?, ?) AND contact_id = ?", identity.Channel, identity.Channel, identity.Value, contact).
			Where("verified_at IS NULL OR verified_at > ?", in.SentAt).
			Update("verified_at", in.SentAt).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// registered is the only contact who gave the clinic an address of the message's, put
// away ones apart; uuid.Nil if there is none, or more than one: families share phones.
func registered(tx *gorm.DB, in Inbound) (uuid.UUID, error) {
	for _, value := range in.From {
		var found []uuid.UUID
		query := ""
		switch {
		case in.Channel == models.ChannelEmail:
			query = `SELECT s.contact_id FROM contact_search s
				WHERE s.clinic_id = app_clinic() AND s.email = normalize_text(?) AND NOT s.archived LIMIT 2`
		case in.Channel != models.ChannelWeb && phone.MatchString(value):
			query = `WITH number AS (SELECT reverse(substr(contact_identity_key('whatsapp', ?), 2)) COLLATE "C" AS tail)
				SELECT s.contact_id FROM contact_search s, number n
				WHERE s.clinic_id = app_clinic() AND s.phone_tail = n.tail AND NOT s.archived
				UNION SELECT p.contact_id FROM number n JOIN contact_search_phones p ON p.clinic_id = app_clinic() AND p.phone_tail = n.tail
				  JOIN contact_search s ON s.clinic_id = app_clinic() AND s.contact_id = p.contact_id AND NOT s.archived
				LIMIT 2`
		default:
			continue
		}
		if err := tx.Raw(query, value).Pluck("contact_id", &found).Error; err != nil {
			return uuid.Nil, err
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	return uuid.Nil, nil
}

// lead makes a contact of whom nobody knows.
func lead(tx *gorm.DB, in Inbound) (uuid.UUID, error) {
	source := strings.ToLower(string(in.Channel))
	contact := &models.Contact{
		ID: models.NewID(), Status: models.ContactStatusLead, Sex: models.AdministrativeSexUnknown, Source: &source,
		Name: cut(orElse(validate.Line(printable(in.Name)), in.From[0]), longestName), Tags: models.Texts{}, OtherPhones: models.Texts{},
	}
	for _, value := range in.From {
		switch {
		case in.Channel == models.ChannelEmail && len(value) <= longestEmail:
			contact.Email = &value
		case in.Channel != models.ChannelWeb && phone.MatchString(value):
			contact.Phone = &value
		}
	}
	return contact.ID, tx.Create(contact).Error
}

// printable leaves out what no text can hold.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// cut is a text of at most so many characters.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most])
	}
	return text
}
