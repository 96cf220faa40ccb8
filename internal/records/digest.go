// Package records keeps medical records: drafts that change, and signed ones
// that never do.
package records

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/models"
)

// digestFormat names the form of what is hashed. A change of the form takes a
// new name, so that what was signed under an old one can still be verified.
const digestFormat = "taskmed.medical_record.v1"

// signedInstant is RFC 3339 in UTC with all six digits that Postgres keeps.
const signedInstant = "2006-01-02T15:04:05.000000Z07:00"

// Digest is the SHA-256, in lower-case hexadecimal, of the record's signed
// content: everything but the counters that the database keeps. What is hashed
// is one JSON object in the canonical form of RFC 8785, with global ids, so
// that anyone who holds the content can verify it. It can be computed again
// from what the database gives back, although jsonb orders keys and spells
// numbers in its own way; numbers keep all of their digits, where RFC 8785
// would round them to a double.
func Digest(record *models.MedicalRecord) string {
	sum := sha256.Sum256(signedContent(record))
	return hex.EncodeToString(sum[:])
}

// signedContent is what Digest hashes. Its fields stand in the order of their
// names, as RFC 8785 wants them.
func signedContent(record *models.MedicalRecord) []byte {
	text := make([]byte, 0, 1024+len(record.Body)+len(record.Data))
	text = append(text, `{"amendmentReason":`...)
	text = appendOptional(text, record.AmendmentReason)
	text = append(text, `,"amends":`...)
	text = appendOptionalID(text, models.KindMedicalRecord, record.AmendsID)
	text = append(text, `,"appointment":`...)
	text = appendOptionalID(text, models.KindAppointment, record.AppointmentID)
	text = append(text, `,"body":`...)
	text = appendString(text, record.Body)
	text = append(text, `,"clinic":`...)
	text = appendString(text, models.KindClinic.Global(record.ClinicID))
	text = append(text, `,"codes":[`...)
	for i, code := range record.Codes {
		if i > 0 {
			text = append(text, ',')
		}
		text = appendString(text, code)
	}
	text = append(text, `],"contact":`...)
	text = appendString(text, models.KindContact.Global(record.ContactID))
	text = appendData(text, record.Data)
	text = append(text, `,"format":"`+digestFormat+`","id":`...)
	text = appendString(text, models.KindMedicalRecord.Global(record.ID))
	text = append(text, `,"kind":`...)
	text = appendString(text, string(record.Kind))
	text = append(text, `,"practitioner":`...)
	text = appendString(text, models.KindPractitioner.Global(record.PractitionerID))
	text = append(text, `,"signedAt":`...)
	text = appendOptionalInstant(text, record.SignedAt)
	text = append(text, `,"signedBy":`...)
	text = appendOptional(text, record.Signer)
	text = append(text, `,"title":`...)
	text = appendString(text, record.Title)
	return append(text, '}')
}

// appendData writes the structured findings. What is no JSON, which neither the
// API nor jsonb lets in, stands under another name: no two contents may look
// the same.
func appendData(text []byte, data models.JSON) []byte {
	if len(data) == 0 {
		return append(text, `,"data":null`...)
	}
	value, err := parseJSON(data)
	if err != nil {
		return appendString(append(text, `,"dataText":`...), string(data))
	}
	return appendCanonical(append(text, `,"data":`...), value)
}

func appendOptional(text []byte, value *string) []byte {
	if value == nil {
		return append(text, "null"...)
	}
	return appendString(text, *value)
}

func appendOptionalID(text []byte, kind models.Kind, id *uuid.UUID) []byte {
	if id == nil {
		return append(text, "null"...)
	}
	return appendString(text, kind.Global(*id))
}

func appendOptionalInstant(text []byte, instant *time.Time) []byte {
	if instant == nil {
		return append(text, "null"...)
	}
	return appendString(text, instant.UTC().Format(signedInstant))
}
