package limit

import (
	"encoding/base32"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

const (
	clinicPrefix        = "clinic_"
	contactPrefix       = "contact_"
	appointmentPrefix   = "appointment_"
	practitionerPrefix  = "practitioner_"
	servicePrefix       = "service_"
	medicalRecordPrefix = "medical_record_"
)

// alphabet is Crockford's base32, as TypeIDs are written in.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var errID = errors.New("no id of this kind")

// parseID reads a TypeID: 26 digits of five bits, of which the first two bits
// are nothing.
func parseID(prefix, text string) (id pgtype.UUID, err error) {
	digits, found := strings.CutPrefix(text, prefix)
	const length = 26
	if !found || len(digits) != length {
		return id, errID
	}
	// Six zeros in front make 32 digits, which are 20 bytes.
	bytes, err := base32.NewEncoding(alphabet).DecodeString("000000" + digits)
	if err != nil || len(bytes) != 20 {
		return id, errID
	}
	id.Valid = true
	copy(id.Bytes[:], bytes[4:])
	return id, nil
}

// appendID writes a TypeID between quotation marks.
func appendID(to []byte, prefix string, id pgtype.UUID) []byte {
	to = append(to, '"')
	to = append(to, prefix...)
	u := &id.Bytes
	to = append(to, alphabet[u[0]>>5], alphabet[u[0]&31])
	for i := 1; i < len(u); i += 5 {
		a, b, c, d, e := u[i], u[i+1], u[i+2], u[i+3], u[i+4]
		to = append(to,
			alphabet[a>>3], alphabet[(a<<2|b>>6)&31], alphabet[b>>1&31], alphabet[(b<<4|c>>4)&31],
			alphabet[(c<<1|d>>7)&31], alphabet[d>>2&31], alphabet[(d<<3|e>>5)&31], alphabet[e&31])
	}
	return append(to, '"')
}

// appendText writes a JSON string.
func appendText(to []byte, text string) []byte {
	to = append(to, '"')
	start := 0
	for i := range len(text) {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		to = append(to, text[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			to = append(to, '\\', c)
		case '\n':
			to = append(to, `\n`...)
		case '\r':
			to = append(to, `\r`...)
		case '\t':
			to = append(to, `\t`...)
		default:
			const hex = "0123456789abcdef"
			to = append(to, `\u00`...)
			to = append(to, hex[c>>4], hex[c&15])
		}
	}
	to = append(to, text[start:]...)
	return append(to, '"')
}

func appendNullable(to []byte, text pgtype.Text) []byte {
	if !text.Valid {
		return append(to, "null"...)
	}
	return appendText(to, text.String)
}

// appendTime writes an instant, or null.
func appendTime(to []byte, at pgtype.Timestamptz) []byte {
	if !at.Valid {
		return append(to, "null"...)
	}
	to = append(to, '"')
	to = at.Time.UTC().AppendFormat(to, "2006-01-02T15:04:05.999999Z07:00")
	return append(to, '"')
}

func appendDate(to []byte, day pgtype.Date) []byte {
	if !day.Valid {
		return append(to, "null"...)
	}
	to = append(to, '"')
	to = day.Time.AppendFormat(to, time.DateOnly)
	return append(to, '"')
}

func appendTexts(to []byte, texts []string) []byte {
	to = append(to, '[')
	for i, text := range texts {
		if i > 0 {
			to = append(to, ',')
		}
		to = appendText(to, text)
	}
	return append(to, ']')
}

// appendWord writes what the API calls a word of the database's.
func appendWord(to []byte, word string) []byte {
	to = append(to, '"')
	switch word {
	case "ativo":
		to = append(to, "ACTIVE"...)
	case "inativo":
		to = append(to, "INACTIVE"...)
	case "arquivado":
		to = append(to, "ARCHIVED"...)
	case "agendado":
		to = append(to, "SCHEDULED"...)
	case "confirmado":
		to = append(to, "CONFIRMED"...)
	case "recepcionado":
		to = append(to, "CHECKED_IN"...)
	case "em_atendimento":
		to = append(to, "IN_PROGRESS"...)
	case "concluido":
		to = append(to, "COMPLETED"...)
	case "cancelado":
		to = append(to, "CANCELLED"...)
	case "faltou":
		to = append(to, "NO_SHOW"...)
	default: // leads, and the kinds of records
		for i := range len(word) {
			c := word[i]
			if c >= 'a' && c <= 'z' {
				c -= 'a' - 'A'
			}
			to = append(to, c)
		}
	}
	return append(to, '"')
}

func appendInt(to []byte, number int32) []byte { return strconv.AppendInt(to, int64(number), 10) }

// appendBool writes true or false.
func appendBool(to []byte, value bool) []byte { return strconv.AppendBool(to, value) }

// comma separates an element from the one before.
func comma(to []byte, i int) []byte {
	if i > 0 {
		return append(to, ',')
	}
	return to
}
