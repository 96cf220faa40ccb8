package limit

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const daySQL = `
	SELECT a.id, a.starts_at, a.ends_at, a.status, c.id, c.name, c.phone, p.id, p.name, s.id, s.name
	FROM (SELECT id, starts_at, ends_at, status, contact_id, practitioner_id, service_id FROM appointments
	      WHERE clinic_id = $1 AND starts_at >= $2 AND starts_at < $3 ORDER BY starts_at, id LIMIT 50) a
	JOIN contacts c ON c.clinic_id = $1 AND c.id = a.contact_id
	JOIN practitioners p ON p.clinic_id = $1 AND p.id = a.practitioner_id
	LEFT JOIN services s ON s.clinic_id = $1 AND s.id = a.service_id
	ORDER BY a.starts_at, a.id`

// day is the day view: the appointments from one instant to another.
func (h *Handler) day(ctx context.Context, q question, to []byte) ([]byte, error) {
	from, err := time.Parse(time.RFC3339, q.of("from"))
	if err != nil {
		return to, err
	}
	until, err := time.Parse(time.RFC3339, q.of("to"))
	if err != nil {
		return to, err
	}
	rows, err := h.pool.Query(ctx, daySQL, q.clinic, from, until)
	if err != nil {
		return to, err
	}
	defer rows.Close()
	var (
		id, contact, practitioner, service pgtype.UUID
		starts, ends                       pgtype.Timestamptz
		status, name, practitionerName     string
		phone, serviceName                 pgtype.Text
	)
	to = append(to, `{"data":{"appointments":{"nodes":[`...)
	for i := 0; rows.Next(); i++ {
		if err := rows.Scan(&id, &starts, &ends, &status, &contact, &name, &phone, &practitioner, &practitionerName, &service, &serviceName); err != nil {
			return to, err
		}
		to = appendID(append(comma(to, i), `{"id":`...), appointmentPrefix, id)
		to = appendTime(append(to, `,"startsAt":`...), starts)
		to = appendTime(append(to, `,"endsAt":`...), ends)
		to = appendWord(append(to, `,"status":`...), status)
		to = appendID(append(to, `,"contact":{"id":`...), contactPrefix, contact)
		to = appendText(append(to, `,"name":`...), name)
		to = appendNullable(append(to, `,"phone":`...), phone)
		to = appendPractitioner(append(to, `},"practitioner":`...), practitioner, practitionerName)
		to = append(to, `,"service":`...)
		if service.Valid {
			to = appendID(append(to, `{"id":`...), servicePrefix, service)
			to = append(appendNullable(append(to, `,"name":`...), serviceName), '}')
		} else {
			to = append(to, "null"...)
		}
		to = append(to, '}')
	}
	return append(to, `]}}}`...), rows.Err()
}

func appendPractitioner(to []byte, id pgtype.UUID, name string) []byte {
	to = appendID(append(to, `{"id":`...), practitionerPrefix, id)
	return append(appendText(append(to, `,"name":`...), name), '}')
}

const (
	contactSQL = `
	SELECT name, preferred_name, email, phone, tax_id, birth_date, status, tags, source, notes, external_reference,
	  version, created_at, updated_at
	FROM contacts WHERE clinic_id = $1 AND id = $2`
	contactAppointmentsSQL = `
	SELECT a.id, a.starts_at, a.ends_at, a.status, p.id, p.name
	FROM (SELECT id, starts_at, ends_at, status, practitioner_id FROM appointments
	      WHERE clinic_id = $1 AND contact_id = $2 ORDER BY starts_at DESC, id DESC LIMIT 10) a
	JOIN practitioners p ON p.clinic_id = $1 AND p.id = a.practitioner_id
	ORDER BY a.starts_at DESC, a.id DESC`
	contactRecordsSQL = `
	SELECT r.id, r.kind, r.title, r.created_at, r.signed_at, p.id, p.name
	FROM (SELECT id, kind, title, created_at, signed_at, practitioner_id FROM medical_records
	      WHERE clinic_id = $1 AND contact_id = $2 ORDER BY created_at DESC, id DESC LIMIT 5) r
	JOIN practitioners p ON p.clinic_id = $1 AND p.id = r.practitioner_id
	ORDER BY r.created_at DESC, r.id DESC`
)

// contact is the contact page, three statements in one round trip.
func (h *Handler) contact(ctx context.Context, q question, to []byte) ([]byte, error) {
	id, err := parseID(contactPrefix, q.of("id"))
	if err != nil {
		return to, err
	}
	var batch pgx.Batch
	batch.Queue(contactSQL, q.clinic, id)
	batch.Queue(contactAppointmentsSQL, q.clinic, id)
	batch.Queue(contactRecordsSQL, q.clinic, id)
	results := h.pool.SendBatch(ctx, &batch)
	defer func() { _ = results.Close() }() // read to the end, or failed already
	var (
		name, status                                             string
		preferred, email, phone, taxID, source, notes, reference pgtype.Text
		birth                                                    pgtype.Date
		tags                                                     []string
		version                                                  int32
		created, updated                                         pgtype.Timestamptz
	)
	if err := results.QueryRow().Scan(&name, &preferred, &email, &phone, &taxID, &birth, &status, &tags, &source, &notes,
		&reference, &version, &created, &updated); err != nil {
		return to, err
	}
	to = appendID(append(to, `{"data":{"contact":{"id":`...), contactPrefix, id)
	to = appendText(append(to, `,"name":`...), name)
	to = appendNullable(append(to, `,"preferredName":`...), preferred)
	to = appendNullable(append(to, `,"email":`...), email)
	to = appendNullable(append(to, `,"phone":`...), phone)
	to = appendNullable(append(to, `,"taxId":`...), taxID)
	to = appendDate(append(to, `,"birthDate":`...), birth)
	to = appendWord(append(to, `,"status":`...), status)
	to = appendTexts(append(to, `,"tags":`...), tags)
	to = appendNullable(append(to, `,"source":`...), source)
	to = appendNullable(append(to, `,"notes":`...), notes)
	to = appendNullable(append(to, `,"externalReference":`...), reference)
	to = appendInt(append(to, `,"version":`...), version)
	to = appendTime(append(to, `,"createdAt":`...), created)
	to = appendTime(append(to, `,"updatedAt":`...), updated)
	to = append(to, `,"appointments":{"nodes":[`...)
	if to, err = appendAppointments(results, to); err != nil {
		return to, err
	}
	to = append(to, `]},"medicalRecords":{"nodes":[`...)
	if to, err = appendRecords(results, to); err != nil {
		return to, err
	}
	return append(to, `]}}}}`...), nil
}

func appendAppointments(results pgx.BatchResults, to []byte) ([]byte, error) {
	rows, err := results.Query()
	if err != nil {
		return to, err
	}
	defer rows.Close()
	var (
		id, practitioner pgtype.UUID
		starts, ends     pgtype.Timestamptz
		status, name     string
	)
	for i := 0; rows.Next(); i++ {
		if err := rows.Scan(&id, &starts, &ends, &status, &practitioner, &name); err != nil {
			return to, err
		}
		to = appendID(append(comma(to, i), `{"id":`...), appointmentPrefix, id)
		to = appendTime(append(to, `,"startsAt":`...), starts)
		to = appendTime(append(to, `,"endsAt":`...), ends)
		to = appendWord(append(to, `,"status":`...), status)
		to = append(appendPractitioner(append(to, `,"practitioner":`...), practitioner, name), '}')
	}
	return to, rows.Err()
}

func appendRecords(results pgx.BatchResults, to []byte) ([]byte, error) {
	rows, err := results.Query()
	if err != nil {
		return to, err
	}
	defer rows.Close()
	var (
		id, practitioner  pgtype.UUID
		created, signed   pgtype.Timestamptz
		kind, title, name string
	)
	for i := 0; rows.Next(); i++ {
		if err := rows.Scan(&id, &kind, &title, &created, &signed, &practitioner, &name); err != nil {
			return to, err
		}
		to = appendID(append(comma(to, i), `{"id":`...), medicalRecordPrefix, id)
		to = appendWord(append(to, `,"kind":`...), kind)
		to = appendText(append(to, `,"title":`...), title)
		to = appendTime(append(to, `,"createdAt":`...), created)
		to = appendTime(append(to, `,"signedAt":`...), signed)
		to = append(appendPractitioner(append(to, `,"practitioner":`...), practitioner, name), '}')
	}
	return to, rows.Err()
}
