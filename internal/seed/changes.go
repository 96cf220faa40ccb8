package seed

import (
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

type change struct {
	id     pgtype.UUID
	event  string
	kind   string
	entity pgtype.UUID
	// within is what it belongs to.
	within []pgtype.UUID
	at     time.Time
}

// mostChanges is how many changes a clinic is given of each kind of entity: a feed that
// reads on begins with the latest.
const mostChanges = 60

// makeChanges tells of the latest of what was made, as triggers would have done.
func (c *clinic) makeChanges() {
	add := func(event, kind string, entity pgtype.UUID, at time.Time, within ...pgtype.UUID) {
		c.changes = append(c.changes, change{event: event, kind: kind, entity: entity, within: append([]pgtype.UUID{}, within...), at: at})
	}
	for _, r := range latest(c.contacts) {
		add("contact.created", "contact", r.id, r.created)
		if r.updated.After(r.created) {
			add("contact.updated", "contact", r.id, r.updated)
		}
	}
	for _, a := range latest(c.appointments) {
		add("appointment.scheduled", "appointment", a.id, a.created, c.practitioners[a.practitioner].id)
		switch {
		case a.status == "cancelado":
			add("appointment.cancelled", "appointment", a.id, a.updated, c.practitioners[a.practitioner].id)
		case a.status != "agendado":
			add("appointment.status_changed", "appointment", a.id, a.updated, c.practitioners[a.practitioner].id)
		}
	}
	for _, r := range latest(c.records) {
		if r.digest != "" {
			add("record.signed", "medical_record", r.id, r.signedAt)
		}
		if r.withdrawal != "" {
			add("record.withdrawn", "medical_record", r.id, r.updated)
		}
	}
	for _, bill := range latest(c.invoices) {
		add("invoice.issued", "invoice", bill.id, bill.created)
		switch bill.status {
		case "paga":
			add("invoice.paid", "invoice", bill.id, bill.updated)
		case "anulada":
			add("invoice.voided", "invoice", bill.id, bill.updated)
		}
	}
	for _, r := range latest(c.refunds) {
		add("payment.refunded", "payment", c.payments[r.payment].id, r.at)
	}
	slices.SortStableFunc(c.changes, func(a, b change) int { return a.at.Compare(b.at) })
	s := c.source("changes")
	for i := range c.changes {
		c.changes[i].id = s.id(c.changes[i].at)
	}
}

func latest[T any](all []T) []T { return all[max(0, len(all)-mostChanges):] }

// counted are what the clinic has counted to.
func (c *clinic) counted() batch {
	type counter struct {
		name string
		last int
	}
	counters := slices.DeleteFunc([]counter{{"invoice", len(c.invoices)}, {"changes", len(c.changes)}}, func(of counter) bool { return of.last == 0 })
	return batch{"counters", []string{"clinic_id", "name", "last"}, len(counters), func(i int, row []any) {
		row[0], row[1], row[2] = c.id, counters[i].name, int64(counters[i].last)
	}}
}

func (c *clinic) happened() batch {
	return batch{"changes", []string{"clinic_id", "id", "position", "event", "entity_kind", "entity_id", "within", "at", "stamped_at"}, len(c.changes), func(i int, row []any) {
		r := &c.changes[i]
		row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8] = c.id, r.id, int64(i+1), r.event, r.kind, r.entity, r.within, r.at, c.midnight
	}}
}
