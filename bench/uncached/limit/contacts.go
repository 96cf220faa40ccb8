package limit

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	contactsSQL = `
	SELECT c.id, c.name, c.name_key, c.phone, c.email, c.status, n.id, n.starts_at, p.name
	FROM (SELECT id, name, name_key, phone, email, status FROM contacts WHERE clinic_id = $1 AND status = 'ativo'`
	contactsAfterSQL = ` AND (name_key, id) > ($3, $4)`
	contactsNextSQL  = ` ORDER BY name_key, id LIMIT 51) c
	LEFT JOIN LATERAL (SELECT id, starts_at, practitioner_id FROM appointments
	  WHERE clinic_id = $1 AND contact_id = c.id AND starts_at >= $2 AND status NOT IN ('concluido', 'cancelado', 'faltou')
	  ORDER BY starts_at, id LIMIT 1) n ON true
	LEFT JOIN practitioners p ON p.clinic_id = $1 AND p.id = n.practitioner_id
	ORDER BY c.name_key, c.id`

	// pageSize is how many contacts the list shows.
	pageSize = 50
	// listName is what its cursors are bound to.
	listName = "Query.contacts by name_key"
)

// contacts is the list of active contacts by name.
func (h *Handler) contacts(ctx context.Context, q question, to []byte) ([]byte, error) {
	after := q.of("after")
	rows, err := h.page(ctx, q.clinic, after)
	if err != nil {
		return to, err
	}
	defer rows.Close()
	var (
		id, next               pgtype.UUID
		name, key, status      string
		lastKey                string
		lastID                 pgtype.UUID
		phone, email, practice pgtype.Text
		starts                 pgtype.Timestamptz
		more                   bool
	)
	to = append(to, `{"data":{"contacts":{"nodes":[`...)
	for i := 0; rows.Next(); i++ {
		if i == pageSize {
			more = true
			break
		}
		if err := rows.Scan(&id, &name, &key, &phone, &email, &status, &next, &starts, &practice); err != nil {
			return to, err
		}
		lastKey, lastID = key, id
		to = appendID(append(comma(to, i), `{"id":`...), contactPrefix, id)
		to = appendText(append(to, `,"name":`...), name)
		to = appendNullable(append(to, `,"phone":`...), phone)
		to = appendNullable(append(to, `,"email":`...), email)
		to = appendWord(append(to, `,"status":`...), status)
		to = append(to, `,"nextAppointment":`...)
		if next.Valid {
			to = appendID(append(to, `{"id":`...), appointmentPrefix, next)
			to = appendTime(append(to, `,"startsAt":`...), starts)
			to = append(appendNullable(append(to, `,"practitioner":{"name":`...), practice), "}}"...)
		} else {
			to = append(to, "null"...)
		}
		to = append(to, '}')
	}
	rows.Close()
	to = appendBool(append(to, `],"pageInfo":{"hasNextPage":`...), more)
	to = appendBool(append(to, `,"hasPreviousPage":`...), after != "")
	to = append(to, `,"endCursor":`...)
	if lastID.Valid {
		to = appendText(to, h.cursors.Encode(q.clinic.Bytes, listName, []string{lastKey, uuid.UUID(lastID.Bytes).String()}))
	} else {
		to = append(to, "null"...)
	}
	return append(to, `}}}}`...), rows.Err()
}

func (h *Handler) page(ctx context.Context, clinic pgtype.UUID, after string) (pgx.Rows, error) {
	if after == "" {
		return h.pool.Query(ctx, contactsSQL+contactsNextSQL, clinic, h.now())
	}
	key, err := h.cursors.Decode(clinic.Bytes, listName, after, 2)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(key[1])
	if err != nil {
		return nil, err
	}
	return h.pool.Query(ctx, contactsSQL+contactsAfterSQL+contactsNextSQL, clinic, h.now(), key[0], id)
}
