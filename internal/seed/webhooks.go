package seed

import (
	"encoding/base64"
	"fmt"
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

type hook struct {
	id     pgtype.UUID
	url    string
	events []string
	// told are its deliveries, the newest changes' among those that it asked for.
	told []told
}

type told struct {
	id       pgtype.UUID
	position int // from 0
	status   int32
}

const (
	seededHooks = 2
	mostTold    = 40
)

// makeHooks makes webhook endpoints that are paused: what signs is not sealed with the
// server's secret, which no seed knows, and nobody is to be called.
func (c *clinic) makeHooks() {
	s := c.source("webhooks")
	for n := range seededHooks {
		h := hook{id: s.id(c.created), url: fmt.Sprintf("https://parceiro-%d.example/taskmed", n+1), events: []string{"appointment.cancelled", "appointment.scheduled", "contact.created"}}
		if n > 0 {
			h.events = []string{"invoice.issued", "invoice.paid"}
		}
		for at := len(c.changes) - 1; at >= 0 && len(h.told) < mostTold; at-- {
			for _, event := range h.events {
				if c.changes[at].event == event {
					h.told = append(h.told, told{s.id(c.changes[at].at), at, []int32{200, 204, 503}[s.IntN(3)]})
				}
			}
		}
		c.hooks = append(c.hooks, h)
	}
}

// publicKey is none that anything was signed with.
func (h *hook) publicKey() string {
	return "whpk_" + base64.StdEncoding.EncodeToString(append(h.id.Bytes[:], h.id.Bytes[:]...))
}

func (c *clinic) listening() []batch {
	deliveries := [][2]int{}
	for n := range c.hooks {
		for i := range c.hooks[n].told {
			deliveries = append(deliveries, [2]int{n, i})
		}
	}
	return []batch{
		{"webhook_endpoints", []string{"clinic_id", "id", "url", "events", "active", "paused_at", "pause_reason", "keys", "public_key", "created_at"}, len(c.hooks), func(i int, row []any) {
			h := &c.hooks[i]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6] = c.id, h.id, h.url, h.events, false, c.midnight, "paused by updateWebhookEndpoint"
			row[7], row[8], row[9] = h.id.Bytes[:], h.publicKey(), c.created
		}},
		{"webhook_lanes", []string{"clinic_id", "endpoint_id", "cursor"}, len(c.hooks), func(i int, row []any) {
			row[0], row[1], row[2] = c.id, c.hooks[i].id, int64(len(c.changes))
		}},
		{
			"webhook_deliveries", []string{
				"clinic_id", "id", "endpoint_id", "position", "round", "event", "change_id", "entity_kind", "entity_id", "at", "stamped_at",
				"attempts", "first_attempt_at", "last_status", "last_error", "next_attempt_at", "delivered_at", "created_at",
			}, len(deliveries), func(i int, row []any) {
				h := &c.hooks[deliveries[i][0]]
				d := &h.told[deliveries[i][1]]
				r := &c.changes[d.position]
				row[0], row[1], row[2], row[3], row[4] = c.id, d.id, h.id, int64(d.position+1), int32(0)
				row[5], row[6], row[7], row[8], row[9], row[10] = r.event, r.id, r.kind, r.entity, r.at, c.midnight
				row[11], row[12], row[13], row[17] = int32(1), c.midnight, d.status, c.midnight
				row[14], row[15], row[16] = nil, nil, c.midnight
				if d.status >= 300 {
					row[14], row[15], row[16] = "it answered with status 503", c.midnight.Add(5*time.Minute), nil
				}
			},
		},
	}
}
