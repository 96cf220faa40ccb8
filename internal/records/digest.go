// Package records keeps medical records: drafts that change, and signed ones
// that never do.
package records

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/models"
)

// The form of what is hashed has a name. A change of the form takes a new one, so that
// what was signed under an old one can still be verified: the second has attachments, and
// stands where there are any.
const (
	digestFormat    = "taskmed.medical_record.v1"
	digestWithFiles = "taskmed.medical_record.v2"
)

// signedInstant is RFC 3339 in UTC with all six digits that Postgres keeps.
const signedInstant = "2006-01-02T15:04:05.000000Z07:00"

// Digest is the SHA-256, in lower-case hexadecimal, of the record's signed
// content: everything but the counters that the database keeps. What is hashed
// is one JSON object in the canonical form of RFC 8785, with global ids, so
// that anyone who holds the content can verify it. It can be computed again
// from what the database gives back, although jsonb orders keys and spells
// numbers in its own way; numbers keep all of their digits, where RFC 8785
// would round them to a double.
//
// Files are the attachments that the record has when it is signed: of each the id, its
// name, media type, size and digest are signed, in the order of their ids.
func Digest(record *models.MedicalRecord, files ...*models.Attachment) string {
	sum := sha256.Sum256(signedContent(record, files))
	return hex.EncodeToString(sum[:])
}

// signedContent is what Digest hashes. Its fields stand in the order of their
// names, as RFC 8785 wants them.
func signedContent(record *models.MedicalRecord, files []*models.Attachment) []byte {
	text := make([]byte, 0, 1024+len(record.Body)+len(record.Data))
	text = append(text, `{"amendmentReason":`...)
	text = appendOptional(text, record.AmendmentReason)
	text = append(text, `,"amends":`...)
	text = appendOptionalID(text, models.KindMedicalRecord, record.AmendsID)
	text = append(text, `,"appointment":`...)
	text = appendOptionalID(text, models.KindAppointment, record.AppointmentID)
	format := digestFormat
	if len(files) > 0 {
		format = digestWithFiles
		text = appendFiles(append(text, `,"attachments":[`...), files)
	}
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
	text = append(text, `,"format":"`+format+`","id":`...)
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

// appendFiles writes what is signed of attachments, and the list's end.
func appendFiles(text []byte, files []*models.Attachment) []byte {
	files = slices.SortedFunc(slices.Values(files), func(a, b *models.Attachment) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	for i, file := range files {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, `{"byteSize":`...)
		text = strconv.AppendInt(text, int64(file.ByteSize), 10)
		text = append(text, `,"digest":`...)
		text = appendString(text, file.Digest)
		text = append(text, `,"fileName":`...)
		text = appendString(text, file.FileName)
		text = append(text, `,"id":`...)
		text = appendString(text, models.KindAttachment.Global(file.ID))
		text = append(text, `,"mediaType":`...)
		text = append(appendString(text, file.MediaType), '}')
	}
	return append(text, ']')
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
