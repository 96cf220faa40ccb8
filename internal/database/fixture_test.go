package database_test

import (
	"crypto/md5"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
)

// column values of one row.
type row map[string]any

// sample makes rows of every table for one clinic. The n-th row of a table has
// an id that can be told beforehand, so that rows can point at each other.
type sample struct{ clinic uuid.UUID }

func (s sample) id(table string, n int) uuid.UUID {
	return uuid.UUID(md5.Sum(fmt.Appendf(nil, "%s/%s/%d", s.clinic, table, n)))
}

func (s sample) bytes(n int) []byte { return append(make([]byte, 31), byte(n)) }

// at is an hour of the n-th of many days, none of which is over.
func (s sample) at(n, hour int) time.Time {
	return time.Date(2099, 11, 2, hour, 0, 0, 0, time.UTC).AddDate(0, 0, n)
}

// tables are all tables of the application in an order in which their rows can
// be written, each with what the n-th row holds beside its clinic and id. Rows
// of one clinic with different n do not conflict.
func (s sample) tables() []table {
	return []table{
		{s, "clinics", func(n int) row {
			return row{"name": "Clínica", "slug": fmt.Sprintf("c%x-%d", s.clinic[:4], n)}
		}},
		{s, "memberships", func(n int) row { return row{"subject": fmt.Sprint("s", n), "role": "owner"} }},
		{s, "api_keys", func(n int) row {
			return row{"name": "k", "role": "partner", "key_hash": s.bytes(n), "last_four": "abcd"}
		}},
		{s, "practitioners", func(int) row { return row{"name": "Dra. Beatriz"} }},
		{s, "working_hours", func(n int) row {
			return row{"practitioner_id": s.id("practitioners", 0), "weekday": 1, "from_minute": n * 60, "to_minute": n*60 + 30}
		}},
		{s, "time_off", func(n int) row {
			return row{"practitioner_id": s.id("practitioners", 0), "starts_at": s.at(n, 8), "ends_at": s.at(n, 9)}
		}},
		{s, "services", func(int) row { return row{"name": "Consulta", "duration_minutes": 30, "price_minor": 15000} }},
		{s, "practitioner_services", func(n int) row {
			return row{"practitioner_id": s.id("practitioners", 0), "service_id": s.id("services", min(n, 1))}
		}},
		{s, "contacts", func(n int) row { return row{"name": fmt.Sprintf("Ana Souza %c", 'a'+n)} }},
		{s, "contact_search", func(n int) row {
			return row{"contact_id": s.id("contacts", min(n, 1)), "archived": false, "line": " x "}
		}},
		{s, "contact_search_words", func(n int) row {
			return row{"contact_id": s.id("contacts", min(n, 1)), "word": fmt.Sprint("w", n), "archived": false, "place": 0, "line": " x "}
		}},
		{s, "contact_search_phones", func(n int) row {
			return row{"contact_id": s.id("contacts", min(n, 1)), "phone_tail": fmt.Sprint("t", n), "phone_national": "n", "phone_local": "l"}
		}},
		{s, "contact_tags", func(n int) row { return row{"contact_id": s.id("contacts", min(n, 1)), "tag": fmt.Sprint("t", n)} }},
		{s, "contact_search_vocabulary", func(n int) row { return row{"word": fmt.Sprint("w", n)} }},
		{s, "contact_search_misspellings", func(n int) row { return row{"word": fmt.Sprint("w", n), "remainder": "w"} }},
		{s, "consents", func(int) row {
			return row{"contact_id": s.id("contacts", 0), "purpose": "treatment", "granted": true}
		}},
		{s, "appointments", func(n int) row {
			return row{
				"contact_id": s.id("contacts", 0), "practitioner_id": s.id("practitioners", 0),
				"starts_at": s.at(n, 10), "ends_at": s.at(n, 11), "scheduled_date": s.at(n, 10),
			}
		}},
		{s, "appointment_changes", func(n int) row {
			return row{"appointment_id": s.id("appointments", 100+n), "practitioner_id": s.id("practitioners", 0)}
		}},
		{s, "appointment_steps", func(int) row {
			return row{
				"appointment_id": s.id("appointments", 0), "step": "confirm", "from_status": "agendado", "to_status": "confirmado", "actor": "s",
			}
		}},
		{s, "slot_holds", func(n int) row {
			return row{
				"practitioner_id": s.id("practitioners", 0), "subject": "s", "starts_at": s.at(n, 14), "ends_at": s.at(n, 15),
				"created_at": s.at(n, 0), "expires_at": s.at(n, 1),
			}
		}},
		{s, "waitlist_entries", func(n int) row {
			return row{"contact_id": s.id("contacts", 0), "service_id": s.id("services", 0), "range_to": s.at(n, 0), "joined_by": "s"}
		}},
		{s, "waitlist_offers", func(n int) row {
			return row{
				"entry_id": s.id("waitlist_entries", 0), "practitioner_id": s.id("practitioners", 0), "starts_at": s.at(n, 14), "ends_at": s.at(n, 15),
				"offered_at": s.at(n, 0), "expires_at": s.at(n, 1), "outcome": "lapsed", "ended_at": s.at(n, 1),
			}
		}},
		{s, "waitlist_work", func(n int) row {
			return row{"practitioner_id": s.id("practitioners", 0), "starts_at": s.at(n, 14), "ends_at": s.at(n, 15), "due_at": s.at(n, 0)}
		}},
		{s, "calendar_feeds", func(n int) row { return row{"secret_hash": s.bytes(n)} }},
		{s, "medical_records", func(int) row {
			return row{
				"contact_id": s.id("contacts", 0), "practitioner_id": s.id("practitioners", 0),
				"kind": "evolution", "title": "t", "body": "b",
			}
		}},
		{s, "attachments", func(int) row {
			return row{
				"medical_record_id": s.id("medical_records", 0), "file_name": "f", "media_type": "text/plain", "byte_size": 1,
				"digest": strings.Repeat("0", 64),
			}
		}},
		{s, "attachment_uploads", func(n int) row {
			return row{
				"medical_record_id": s.id("medical_records", 0), "file_name": "f", "media_type": "text/plain", "byte_size": 1,
				"digest": strings.Repeat("0", 64), "token_hash": s.bytes(n), "requested_by": "s", "expires_at": s.at(n, 0),
			}
		}},
		{s, "attachment_removals", func(n int) row { return row{"due_at": s.at(n, 0)} }},
		{s, "contact_identities", func(n int) row {
			return row{"contact_id": s.id("contacts", 0), "channel": "web", "value": fmt.Sprint("w", n)}
		}},
		{s, "channel_accounts", func(n int) row {
			return row{"channel": "web", "name": "n", "address": fmt.Sprint("a", n), "settings": s.bytes(n)}
		}},
		{s, "conversations", func(n int) row {
			return row{"contact_id": s.id("contacts", min(n, 1)), "channel": []string{"whatsapp", "sms", "email"}[n%3]}
		}},
		{s, "messages", func(int) row {
			return row{"conversation_id": s.id("conversations", 0), "direction": "inbound", "body": "b", "status": "entregue"}
		}},
		{s, "channel_events", func(n int) row {
			return row{"account_id": s.id("channel_accounts", 0), "reference": fmt.Sprint("r", n), "payload": s.bytes(n)}
		}},
		{s, "outgoing_messages", func(n int) row {
			return row{"message_id": s.id("messages", min(n, 1)), "conversation_id": s.id("conversations", 0)}
		}},
		{s, "counters", func(n int) row { return row{"name": fmt.Sprint(n), "last": 1} }},
		{s, "invoices", func(n int) row {
			return row{"contact_id": s.id("contacts", 0), "due_date": s.at(n, 0), "total_minor": 1}
		}},
		{s, "invoice_items", func(n int) row {
			return row{"invoice_id": s.id("invoices", 0), "position": n + 1, "description": "d", "quantity": 1, "unit_price_minor": 1}
		}},
		{s, "payments", func(n int) row {
			return row{"invoice_id": s.id("invoices", 0), "amount_minor": 1, "method": "pix", "paid_at": s.at(n, 0)}
		}},
		{s, "refunds", func(int) row { return row{"payment_id": s.id("payments", 0), "amount_minor": 1, "reason": "r"} }},
		{s, "financial_sums", func(n int) row {
			return row{"part": "method", "span": "day", "starts": s.at(n, 0), "key": "by hand"}
		}},
		{s, "outbox", func(n int) row {
			return row{"sequence": 1_000_000 + n, "event": "contact.created", "entity_kind": "contact", "entity_id": s.id("contacts", n)}
		}},
		{s, "changes", func(n int) row {
			return row{"position": n + 1, "event": "contact.created", "entity_kind": "contact", "entity_id": s.id("contacts", n), "at": s.at(n, 0)}
		}},
		{s, "webhook_endpoints", func(n int) row {
			return row{"url": "https://example.com", "events": []string{"contact.created"}, "keys": s.bytes(n), "public_key": "p"}
		}},
		{s, "webhook_lanes", func(n int) row { return row{"endpoint_id": s.id("webhook_endpoints", min(n, 1)), "cursor": 0} }},
		{s, "webhook_deliveries", func(n int) row {
			return row{
				"endpoint_id": s.id("webhook_endpoints", 0), "position": n + 1, "round": 0, "event": "contact.created", "change_id": s.id("changes", 0),
				"entity_kind": "contact", "entity_id": s.id("contacts", n), "at": s.at(n, 0), "stamped_at": s.at(n, 0),
			}
		}},
		{s, "idempotency_keys", func(n int) row {
			return row{"subject": "s", "key": fmt.Sprint(n), "request_hash": s.bytes(n), "expires_at": s.at(n, 0)}
		}},
		{s, "audit_events", func(n int) row { return row{"actor": "a", "action": "read", "request_id": "r", "at": s.at(n, 0)} }},
	}
}

type table struct {
	sample
	name string
	rest func(n int) row
}

// clinicColumn is the column that says whose a row is.
func (t table) clinicColumn() string {
	if t.name == "clinics" {
		return "id"
	}
	return "clinic_id"
}

// row is the whole n-th row.
func (t table) row(n int) row {
	whole := maps.Clone(t.rest(n))
	switch t.name {
	case "clinics":
		whole["id"] = t.clinic
	case "contact_search", "contact_search_words", "contact_search_vocabulary", "contact_search_misspellings", "contact_search_phones",
		"contact_tags", "idempotency_keys", "practitioner_services", "counters", "appointment_changes", "outbox", "outgoing_messages", "financial_sums", "webhook_lanes":
		whole["clinic_id"] = t.clinic
	default:
		whole["clinic_id"], whole["id"] = t.clinic, t.id(t.name, n)
	}
	return whole
}

// insert is the statement that writes a row, and its arguments.
func (t table) insert(values row) (sql string, args []any) {
	columns := slices.Sorted(maps.Keys(values))
	places := make([]string, len(columns))
	for i, column := range columns {
		places[i] = fmt.Sprint("$", i+1)
		args = append(args, values[column])
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", t.name, strings.Join(columns, ", "), strings.Join(places, ", ")), args
}

// newSample writes one row of every table, and a second of those that rows to
// come point at.
func newSample(t *testing.T, d *testkit.Database) sample {
	t.Helper()
	s := sample{uuid.New()}
	require.NoError(t, pgx.BeginFunc(t.Context(), d.Connect(t, d.SuperuserURL), func(tx pgx.Tx) error {
		// The search tables are filled by hand, like all the others.
		if _, err := tx.Exec(t.Context(), "SET LOCAL app.contact_search = 'deferred'"); err != nil {
			return err
		}
		for _, table := range s.tables() {
			rows := 1
			if table.name == "contacts" || table.name == "services" || table.name == "messages" || table.name == "webhook_endpoints" {
				rows = 2
			}
			for n := range rows {
				sql, args := table.insert(table.row(n))
				if _, err := tx.Exec(t.Context(), sql, args...); err != nil {
					return fmt.Errorf("%s: %w", table.name, err)
				}
			}
		}
		return nil
	}))
	return s
}
