package models

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/google/uuid"
	"go.jetify.com/typeid"
)

// Kind is the type prefix of a global id, as the TypeID specification has it.
type Kind string

// Kinds of entities that have a global id. A noun may declare its own where its
// struct is: `make generate` lists them all (Kinds).
const (
	KindClinic        Kind = "clinic"
	KindPractitioner  Kind = "practitioner"
	KindTimeOff       Kind = "time_off"
	KindService       Kind = "service"
	KindContact       Kind = "contact"
	KindAppointment   Kind = "appointment"
	KindSeries        Kind = "series"
	KindSlotHold      Kind = "slot_hold"
	KindMedicalRecord Kind = "medical_record"
	KindAttachment    Kind = "attachment"
	KindAPIKey        Kind = "api_key"
)

// ErrMalformedID is returned for a text that is no global id.
var ErrMalformedID = errors.New("malformed id")

// longest is a prefix of 63 characters, an underscore and 26 of base32.
const longestID = 90

// alphabet is Crockford's base32.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// Global is the id as clients see it: the kind, an underscore and the UUID in
// Crockford's base32 (TypeID specification 0.3). An answer has many of them, so
// that it is written here rather than by the library, which checks the prefix and
// makes five strings on its way.
func (k Kind) Global(id uuid.UUID) string {
	const digits, bits = 26, 5
	var buffer [longestID]byte
	text := append(append(buffer[:0], k...), '_')
	high, low := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	text = text[:len(text)+digits]
	for i := range digits {
		text[len(text)-1-i] = alphabet[low&(1<<bits-1)]
		low = low>>bits | high<<(64-bits)
		high >>= bits
	}
	return string(text)
}

// Parse reads a global id of this kind. Any other text, an id of another kind
// included, is ErrMalformedID.
func (k Kind) Parse(global string) (uuid.UUID, error) {
	kind, id, err := ParseGlobal(global)
	if err != nil {
		return uuid.Nil, err
	}
	if kind != k {
		return uuid.Nil, ErrMalformedID
	}
	return id, nil
}

// ParseGlobal reads a global id of any kind that there is. Exactly one text
// stands for one id: upper case and other spellings are ErrMalformedID.
func ParseGlobal(global string) (Kind, uuid.UUID, error) {
	if len(global) > longestID {
		return "", uuid.Nil, ErrMalformedID
	}
	parsed, err := typeid.FromString(global)
	if err != nil || parsed.String() != global {
		return "", uuid.Nil, ErrMalformedID
	}
	for _, kind := range Kinds() {
		if string(kind) == parsed.Prefix() {
			id, err := uuid.FromBytes(parsed.UUIDBytes())
			if err != nil {
				return "", uuid.Nil, ErrMalformedID
			}
			return kind, id, nil
		}
	}
	return "", uuid.Nil, ErrMalformedID
}

// NewID makes a UUIDv7 (RFC 9562, section 5.7): ordered by time, so that new
// rows land at the end of their indexes.
func NewID() uuid.UUID {
	return uuid.Must(uuid.NewV7())
}

// Words are the kind's name for people: "medical record".
func (k Kind) Words() string { return strings.ReplaceAll(string(k), "_", " ") }
