package seed

import (
	"github.com/jackc/pgx/v5/pgtype"
)

// batch is the rows of one table, ready for COPY.
type batch struct {
	table   string
	columns []string
	count   int
	// fill writes the i-th row's values in the columns' order.
	fill func(i int, row []any)
}

// people are the clinic, who works there and who comes.
func (c *clinic) people() []batch {
	offered := c.offered()
	return []batch{
		{"clinic_slugs", []string{"slug", "clinic"}, 1, func(_ int, row []any) {
			row[0], row[1] = c.slug, c.id
		}},
		{"clinics", []string{"id", "name", "slug", "time_zone", "created_at", "updated_at", "pix_key"}, 1, func(_ int, row []any) {
			row[0], row[1], row[2], row[3], row[4], row[5], row[6] = c.id, c.name, c.slug, c.zoneName, c.created, c.created, c.pixKey()
		}},
		{"memberships", []string{"clinic_id", "id", "subject", "name", "role", "permissions", "created_at", "updated_at"}, len(c.members), func(i int, row []any) {
			m := &c.members[i]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] = c.id, m.id, m.subject, m.name, m.role, m.permissions, c.created, c.created
		}},
		c.keys(),
		{"services", []string{"clinic_id", "id", "name", "duration_minutes", "price_minor", "active", "created_at", "updated_at"}, len(c.services), func(i int, row []any) {
			s := &c.services[i]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] = c.id, s.id, s.name, int32(s.minutes), s.price, s.active, c.created, c.created
		}},
		{"practitioners", []string{"clinic_id", "id", "name", "specialty", "registration", "color", "active", "created_at", "updated_at", "member_id"}, len(c.practitioners), func(i int, row []any) {
			p := &c.practitioners[i]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8] = c.id, p.id, p.name, p.specialty, p.registration, p.color, p.active, c.created, c.created
			row[9] = c.members[p.member].id
		}},
		{"practitioner_services", []string{"clinic_id", "practitioner_id", "service_id"}, len(offered), func(i int, row []any) {
			o := offered[i]
			row[0], row[1], row[2] = c.id, c.practitioners[o[0]].id, c.services[o[1]].id
		}},
		{"working_hours", []string{"clinic_id", "id", "practitioner_id", "weekday", "from_minute", "to_minute"}, len(c.hours), func(i int, row []any) {
			h := &c.hours[i]
			row[0], row[1], row[2], row[3], row[4], row[5] = c.id, h.id, c.practitioners[h.practitioner].id, int16(h.weekday), int32(h.from), int32(h.to)
		}},
		{"time_off", []string{"clinic_id", "id", "practitioner_id", "starts_at", "ends_at", "reason", "created_at", "updated_at"}, len(c.timeOff), func(i int, row []any) {
			t := &c.timeOff[i]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] = c.id, t.id, nil, t.from, t.to, t.reason, c.created, c.created
			if t.practitioner != none {
				row[2] = c.practitioners[t.practitioner].id
			}
		}},
		c.feeds(),
		{"contacts", []string{
			"clinic_id", "id", "name", "preferred_name", "email", "phone", "tax_id", "birth_date", "status",
			"tags", "source", "notes", "external_reference", "version", "created_at", "updated_at",
			"sex", "other_phones", "guardian_id", "address_street", "address_number", "address_district", "address_city",
			"address_state", "address_postal_code", "address_country", "health_plan_name", "health_plan_card_number",
		}, len(c.contacts), c.contactRow},
		{"consents", []string{"clinic_id", "id", "contact_id", "purpose", "granted", "evidence", "decided_at"}, len(c.consents), func(i int, row []any) {
			d := &c.consents[i]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6] = c.id, d.id, c.contacts[d.contact].id, d.purpose, d.granted, d.evidence, d.decided
		}},
	}
}

func (c *clinic) diary() []batch {
	return []batch{
		{"appointments", []string{
			"clinic_id", "id", "contact_id", "practitioner_id", "service_id", "starts_at", "ends_at", "scheduled_date",
			"status", "cancellation_reason", "notes", "external_reference", "version", "created_at", "updated_at",
			"arrived_at", "started_at", "completed_at", "recurrence_rule", "series_id", "recurrence_local",
		}, len(c.appointments), c.appointmentRow},
		{"appointment_steps", []string{"clinic_id", "id", "appointment_id", "step", "from_status", "to_status", "at", "actor"}, len(c.steps), func(i int, row []any) {
			s := &c.steps[i]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] = c.id, s.id, c.appointments[s.appointment].id, s.step, s.from, s.to, s.at, s.actor
		}},
		c.waitlist(),
	}
}

func (c *clinic) files() []batch {
	return []batch{
		{"medical_records", []string{
			"clinic_id", "id", "contact_id", "practitioner_id", "appointment_id", "kind", "title", "body", "codes", "data",
			"signed_at", "signed_by", "digest", "amends_id", "amendment_reason", "version", "created_at", "updated_at",
			"signed_by_id", "amended_at", "withdrawn_at", "withdrawn_by", "withdrawal_reason",
		}, len(c.records), c.recordRow},
		{"attachments", []string{"clinic_id", "id", "medical_record_id", "file_name", "media_type", "byte_size", "digest", "created_at"}, len(c.attachments), func(i int, row []any) {
			a := c.attachments[i]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] = c.id, a.ID, a.MedicalRecordID, a.FileName, a.MediaType, int32(a.ByteSize), a.Digest, a.CreatedAt
		}},
	}
}

// talkAndMoney are conversations, invoices, and what has happened.
func (c *clinic) talkAndMoney() []batch {
	return []batch{
		{"channel_accounts", []string{"clinic_id", "id", "channel", "name", "address", "active", "settings", "created_at", "updated_at", "next_send_at"}, len(c.accounts), func(i int, row []any) {
			k := &c.accounts[i]
			row[0], row[1], row[2], row[3], row[4], row[5] = c.id, k.id, k.channel, k.name, k.address, false
			row[6], row[7], row[8], row[9] = k.id.Bytes[:], c.created, c.created, c.created
		}},
		{"contact_identities", []string{"clinic_id", "id", "contact_id", "channel", "value", "verified_at", "created_at"}, len(c.identities), func(i int, row []any) {
			k := &c.identities[i]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6] = c.id, k.id, c.contacts[k.contact].id, k.channel, k.value, k.verified, k.verified
		}},
		{"conversations", []string{
			"clinic_id", "id", "contact_id", "channel", "status", "assignee_id", "received_count", "read_count", "read_until", "version", "created_at", "updated_at", "account_id",
		}, len(c.conversations), func(i int, row []any) {
			t := &c.conversations[i]
			row[0], row[1], row[2], row[3], row[4] = c.id, t.id, c.contacts[t.contact].id, t.channel, t.status
			row[5], row[6], row[7], row[8], row[9], row[10], row[11] = nil, int32(t.received), int32(t.read), nil, int32(t.version), t.created, t.updated
			if t.assignee != none {
				row[5] = c.members[t.assignee].id
			}
			if t.read > 0 {
				row[8] = t.until
			}
			row[12] = nil
			if t.account != none {
				row[12] = c.accounts[t.account].id
			}
		}},
		{"messages", []string{"clinic_id", "id", "conversation_id", "direction", "body", "status", "author", "created_at", "updated_at", "sent_at", "delivered_at", "read_at", "failure"}, len(c.messages), func(i int, row []any) {
			m := &c.messages[i]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8] = c.id, m.id, c.conversations[m.conversation].id, "outbound", m.body, m.status, text(m.author), m.created, m.created
			row[9], row[10], row[11], row[12] = m.created, nil, nil, nil
			switch {
			case m.inbound:
				row[3] = "inbound"
			case m.status == "falhou":
				row[12] = "o número não está no WhatsApp"
			case m.status == "lida":
				row[10], row[11] = m.created, m.created
			case m.status == "entregue":
				row[10] = m.created
			}
		}},
		{"invoices", []string{
			"clinic_id", "id", "number", "contact_id", "appointment_id", "status", "due_date", "total_minor", "paid_minor",
			"void_reason", "version", "created_at", "updated_at", "issued_at", "overdue_at", "pix_key", "payee",
		}, len(c.invoices), func(i int, row []any) {
			v := &c.invoices[i]
			row[0], row[1], row[2], row[3], row[4], row[5] = c.id, v.id, v.number, c.contacts[v.contact].id, c.appointments[v.appointment].id, v.status
			row[6], row[7], row[8], row[9] = day(v.due), v.total, v.paid, text(v.voidReason)
			row[10], row[11], row[12], row[13] = int32(v.version), v.created, v.updated, v.created
			row[14], row[15], row[16] = (v.due+1).at(0, c.zone), c.pixKey(), c.name
		}},
		{"invoice_items", []string{"clinic_id", "id", "invoice_id", "position", "service_id", "description", "quantity", "unit_price_minor"}, len(c.items), func(i int, row []any) {
			t := &c.items[i]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] = c.id, t.id, c.invoices[t.invoice].id, int16(t.position), nil, t.description, int32(t.quantity), t.price
			if t.service != none {
				row[4] = c.services[t.service].id
			}
		}},
		c.counted(),
		c.happened(),
		{"payments", []string{"clinic_id", "id", "invoice_id", "amount_minor", "method", "paid_at", "created_at", "updated_at", "refunded_minor"}, len(c.payments), func(i int, row []any) {
			p := &c.payments[i]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] = c.id, p.id, c.invoices[p.invoice].id, p.amount, p.method, p.paidAt, p.paidAt, p.paidAt
			row[8] = p.refunded
		}},
		{"refunds", []string{"clinic_id", "id", "payment_id", "amount_minor", "reason", "created_at"}, len(c.refunds), func(i int, row []any) {
			r := &c.refunds[i]
			row[0], row[1], row[2], row[3], row[4], row[5] = c.id, r.id, c.payments[r.payment].id, r.amount, "Cobrado em dobro", r.at
		}},
	}
}

func (c *clinic) contactRow(i int, row []any) {
	r := &c.contacts[i]
	row[0], row[1], row[2], row[3], row[4], row[5] = c.id, r.id, r.person.name, text(r.preferred), nil, text(r.phone)
	if r.hasEmail {
		row[4] = r.person.email
	}
	row[6], row[7], row[8], row[9], row[10], row[11], row[12] = text(r.taxID), day(r.born), r.status, r.tags, r.source, text(r.notes), text(r.reference)
	row[13], row[14], row[15] = int32(r.version), r.created, r.updated
	row[16], row[17], row[18] = "male", r.otherPhones, nil
	if r.person.woman {
		row[16] = "female"
	}
	if r.guardian != none {
		row[18] = c.contacts[r.guardian].id
	}
	for i := 19; i < 26; i++ {
		row[i] = nil
	}
	if home := r.home; home != nil {
		row[19], row[20], row[21], row[22], row[23], row[24], row[25] = home.street, home.number, home.district, "São Paulo", "SP", home.postalCode, "BR"
	}
	row[26], row[27] = text(r.plan), text(r.card)
}

func (c *clinic) appointmentRow(i int, row []any) {
	a := &c.appointments[i]
	row[0], row[1], row[2], row[3], row[4] = c.id, a.id, c.contacts[a.contact].id, c.practitioners[a.practitioner].id, c.services[a.service].id
	row[5], row[6], row[7], row[8] = a.start, a.end, day(a.day), a.status
	row[9], row[10], row[11], row[12], row[13], row[14] = text(a.reason), text(a.notes), text(a.reference), int32(a.version), a.created, a.updated
	row[15], row[16], row[17], row[18], row[19], row[20] = nil, nil, nil, nil, nil, nil
	if a.series != nil {
		row[18], row[19], row[20] = a.series.rule, a.series.id, a.local
	}
	for _, step := range a.course() {
		switch step.to {
		case "recepcionado":
			row[15] = step.at
		case "em_atendimento":
			row[16] = step.at
		case "concluido":
			row[17] = step.at
		}
	}
}

func (c *clinic) recordRow(i int, row []any) {
	r := &c.records[i]
	row[0], row[1], row[2], row[3], row[4] = c.id, r.id, c.contacts[r.contact].id, c.practitioners[r.practitioner].id, nil
	if r.appointment != none {
		row[4] = c.appointments[r.appointment].id
	}
	row[5], row[6], row[7], row[8], row[9] = r.kind, r.title, r.body, r.codes, nil
	if r.data != "" {
		row[9] = []byte(r.data)
	}
	row[10], row[11], row[12], row[13], row[14] = nil, nil, nil, nil, text(r.amendment)
	if r.digest != "" {
		row[10], row[11], row[12] = r.signedAt, r.signedBy, r.digest
	}
	if r.amends != none {
		row[13] = c.records[r.amends].id
	}
	row[15], row[16], row[17] = int32(r.version), r.created, r.updated
	row[18], row[19], row[20], row[21], row[22] = nil, nil, nil, nil, nil
	if r.digest != "" {
		row[18] = c.members[c.practitioners[r.practitioner].member].id
	}
	if !r.amendedAt.IsZero() {
		row[19] = r.amendedAt
	}
	if r.withdrawal != "" {
		row[20], row[21], row[22] = r.updated, r.signedBy, r.withdrawal
	}
}

// text is NULL where there is none.
func text(value string) any {
	if value == "" {
		return nil
	}
	return value
}

func day(d date) pgtype.Date { return pgtype.Date{Time: d.utc(), Valid: true} }
