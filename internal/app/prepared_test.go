package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit/compose"
	"github.com/taskmed/taskmed/models"
)

// officeHours are half hours of the days after today.
func officeHours() (all []time.Time) {
	for day := range 4 {
		for half := range 14 {
			all = append(all, noon().AddDate(0, 0, day+1).Add(time.Duration(half-6)*30*time.Minute))
		}
	}
	return all
}

// prepared are calls of mutations that nobody finds by chance.
func prepared() map[string]func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
	return map[string]func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question{
		"importCalendar": func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
			t.Helper()
			ics := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Example//EN\r\nBEGIN:VEVENT\r\nUID:a@example.com\r\nDTSTAMP:20261101T120000Z\r\n" +
				"DTSTART;VALUE=DATE:20270308\r\nDTEND;VALUE=DATE:20270311\r\nSUMMARY:Congresso\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
			of := column[uuid.UUID](t, conn, "SELECT id FROM practitioners WHERE clinic_id = $1 LIMIT 1", world.aurora.ID)[0]
			return compose.Question{
				Text:      `mutation($i: ImportCalendarInput!) { importCalendar(input: $i) { added updated skipped userErrors { code } } }`,
				Variables: map[string]any{"i": map[string]any{"practitionerId": models.KindPractitioner.Global(of), "ics": ics}},
			}
		},
		"acceptWaitlistOffer": func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
			t.Helper()
			return compose.Question{
				Text:      `mutation($i: ID!) { acceptWaitlistOffer(input: {id: $i, overbook: true, allowOutsideHours: true}) { appointment { id startsAt status overbooked } userErrors { code } } }`,
				Variables: map[string]any{"i": offeredEntry(t, world, conn)},
			}
		},
		"markNoShow": func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
			t.Helper()
			// Of those who were to come already few have not, and mutations before this one use them up.
			missed := column[uuid.UUID](t, conn, `UPDATE appointments SET status = 'agendado' WHERE clinic_id = $1 AND id =
				(SELECT id FROM appointments WHERE clinic_id = $1 AND status = 'concluido' AND ends_at < $2 ORDER BY starts_at DESC, id LIMIT 1) RETURNING id`, world.aurora.ID, noon())[0]
			return compose.Question{
				Text:      `mutation($i: ID!) { markNoShow(input: {id: $i}) { appointment { id status } userErrors { code } } }`,
				Variables: map[string]any{"i": models.KindAppointment.Global(missed)},
			}
		},
		"createChannelAccount": func(t *testing.T, _ *seeded, _ *pgx.Conn) compose.Question {
			t.Helper()
			return compose.Question{
				Text: `mutation($i: CreateChannelAccountInput!) { createChannelAccount(input: $i) { channelAccount { id name active } userErrors { code } } }`,
				Variables: map[string]any{"i": map[string]any{
					"channel": "WEB", "name": "Página", "address": "https://aurora.example/" + uuid.NewString(), "settings": map[string]any{"signingSecret": uuid.NewString()},
				}},
			}
		},
		"requestAttachmentUpload": func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
			t.Helper()
			draft := column[uuid.UUID](t, conn, "SELECT id FROM medical_records WHERE clinic_id = $1 AND signed_at IS NULL ORDER BY id LIMIT 1", world.aurora.ID)[0]
			return compose.Question{
				Text: `mutation($i: RequestAttachmentUploadInput!) { requestAttachmentUpload(input: $i) { uploadUrl expiresAt attachment { id fileName url } userErrors { code } } }`,
				Variables: map[string]any{"i": map[string]any{
					"medicalRecordId": models.KindMedicalRecord.Global(draft), "fileName": "a.pdf", "mediaType": "application/pdf", "byteSize": 5, "digest": strings.Repeat("0", 64),
				}},
			}
		},
		"createWebhookEndpoint": func(t *testing.T, _ *seeded, _ *pgx.Conn) compose.Question {
			t.Helper()
			return compose.Question{
				Text:      `mutation($i: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $i) { webhookEndpoint { id url events } secret userErrors { code } } }`,
				Variables: map[string]any{"i": map[string]any{"url": "https://example.com/" + uuid.NewString(), "events": []string{"CONTACT_CREATED"}}},
			}
		},
		"updateWebhookEndpoint": func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
			t.Helper()
			return compose.Question{
				Text:      `mutation($i: ID!) { updateWebhookEndpoint(input: {id: $i, events: [INVOICE_PAID]}) { webhookEndpoint { id events } userErrors { code } } }`,
				Variables: map[string]any{"i": webhookEndpoint(t, world, conn)},
			}
		},
		"replayWebhook": func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
			t.Helper()
			return compose.Question{
				Text:      `mutation($i: ID!) { replayWebhook(input: {id: $i, fromPosition: 2}) { webhookEndpoint { id } userErrors { code } } }`,
				Variables: map[string]any{"i": webhookEndpoint(t, world, conn)},
			}
		},
		"updateInvoice": func(t *testing.T, world *seeded, _ *pgx.Conn) compose.Question {
			t.Helper()
			return compose.Question{
				Text:      `mutation($i: ID!) { updateInvoice(input: {id: $i, dueDate: "2027-01-31"}) { invoice { id dueDate status } userErrors { code } } }`,
				Variables: map[string]any{"i": draftInvoice(t, world)},
			}
		},
		"issueInvoice": func(t *testing.T, world *seeded, _ *pgx.Conn) compose.Question {
			t.Helper()
			return compose.Question{
				Text:      `mutation($i: ID!) { issueInvoice(input: {id: $i}) { invoice { id number status issuedAt } userErrors { code } } }`,
				Variables: map[string]any{"i": draftInvoice(t, world)},
			}
		},
		"signMedicalRecord": func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
			t.Helper()
			// Who asks becomes the practitioner of a draft.
			draft := column[uuid.UUID](t, conn, `UPDATE medical_records SET practitioner_id = p.id FROM practitioners p
				JOIN memberships m ON m.clinic_id = p.clinic_id AND m.id = p.member_id
				WHERE medical_records.clinic_id = $1 AND p.clinic_id = $1 AND signed_at IS NULL AND amends_id IS NULL AND m.subject = $2 RETURNING medical_records.id`,
				world.aurora.ID, becomePractitioner(t, world))[0]
			return compose.Question{
				Text:      `mutation($i: ID!) { signMedicalRecord(input: {id: $i}) { medicalRecord { id status signedAt digest } userErrors { code } } }`,
				Variables: map[string]any{"i": models.KindMedicalRecord.Global(draft)},
			}
		},
	}
}

// offeredEntry is the global id of an entry of the waiting list to which a time is
// offered at which nobody works.
func offeredEntry(t testing.TB, world *seeded, conn *pgx.Conn) string {
	t.Helper()
	return models.KindWaitlistEntry.Global(column[uuid.UUID](t, conn, `WITH held AS (
			INSERT INTO slot_holds (clinic_id, id, practitioner_id, subject, waitlist_entry_id, starts_at, ends_at, created_at, expires_at)
			SELECT e.clinic_id, gen_random_uuid(), o.practitioner_id, 'x', e.id, at, at + interval '30 minutes', now(), now() + interval '1 hour'
			FROM waitlist_entries e JOIN services s ON s.clinic_id = e.clinic_id AND s.id = e.service_id AND s.active
			JOIN contacts c ON c.clinic_id = e.clinic_id AND c.id = e.contact_id AND c.status <> 'arquivado'
			JOIN practitioner_services o ON o.clinic_id = e.clinic_id AND o.service_id = e.service_id
			JOIN practitioners p ON p.clinic_id = e.clinic_id AND p.id = o.practitioner_id AND p.active
			CROSS JOIN LATERAL (SELECT $2::timestamptz + interval '3 days' - interval '9 hours' AS at) a
			WHERE e.clinic_id = $1 AND e.status = 'aguardando' AND e.offer_expires_at IS NULL
			ORDER BY e.id, p.id LIMIT 1 RETURNING *
		), written AS (
			INSERT INTO waitlist_offers (clinic_id, id, entry_id, practitioner_id, starts_at, ends_at, offered_at, expires_at)
			SELECT clinic_id, id, waitlist_entry_id, practitioner_id, starts_at, ends_at, created_at, expires_at FROM held
		)
		UPDATE waitlist_entries e SET offered_practitioner_id = h.practitioner_id, offered_starts_at = h.starts_at, offered_ends_at = h.ends_at, offer_expires_at = h.expires_at
		FROM held h WHERE e.clinic_id = h.clinic_id AND e.id = h.waitlist_entry_id RETURNING e.id`, world.aurora.ID, noon())[0])
}

// webhookEndpoint is the global id of a webhook endpoint.
func webhookEndpoint(t testing.TB, world *seeded, conn *pgx.Conn) string {
	t.Helper()
	return models.KindWebhookEndpoint.Global(column[uuid.UUID](t, conn, "SELECT id FROM webhook_endpoints WHERE clinic_id = $1 ORDER BY id LIMIT 1", world.aurora.ID)[0])
}

// draftInvoice is the global id of a new draft.
func draftInvoice(t testing.TB, world *seeded) string {
	t.Helper()
	contact := world.database.Connect(t, world.database.SuperuserURL)
	of := column[uuid.UUID](t, contact, "SELECT id FROM contacts WHERE clinic_id = $1 AND status = 'ativo' LIMIT 1", world.aurora.ID)[0]
	var made struct {
		CreateInvoice struct{ Invoice struct{ ID string } }
	}
	world.as(t, world.aurora, "owner").Must(t, `mutation($c: ID!) { createInvoice(input: {contactId: $c, dueDate: "2026-12-31", issue: false,
		items: [{description: "Consulta", unitPrice: {amountMinor: 15000}}]}) { invoice { id } } }`, map[string]any{"c": models.KindContact.Global(of)}, &made)
	return made.CreateInvoice.Invoice.ID
}

// becomePractitioner makes the clinic's owner one of its practitioners, and gives their subject.
func becomePractitioner(t testing.TB, world *seeded) string {
	t.Helper()
	subject := seed.Subject(world.aurora.Slug, "owner")
	world.database.Exec(t, `UPDATE practitioners p SET member_id = (SELECT m.id FROM memberships m WHERE m.clinic_id = p.clinic_id AND m.subject = $2)
		WHERE p.clinic_id = $1 AND p.id = (SELECT min(x.id::text)::uuid FROM practitioners x WHERE x.clinic_id = $1)
			AND NOT EXISTS (SELECT FROM practitioners y JOIN memberships m ON m.clinic_id = y.clinic_id AND m.id = y.member_id WHERE y.clinic_id = $1 AND m.subject = $2)`,
		world.aurora.ID, subject)
	return subject
}
