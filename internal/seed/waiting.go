package seed

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// waiting is an entry of the waiting list. Nothing is offered to it: offers are of
// minutes.
type waiting struct {
	id           pgtype.UUID
	contact      int
	practitioner int
	service      int
	from, to     time.Time
	status       string
	// appointment is what became of it that was booked; none of the others.
	appointment int
	created     time.Time
	ended       time.Time
}

// makeWaiting puts contacts in line for times that are taken, and has some of them
// leave again.
func (c *clinic) makeWaiting() {
	s := c.source("waiting list")
	if len(c.contacts) == 0 || len(c.practitioners) == 0 || len(c.services) == 0 {
		return
	}
	const count = 24
	offered := c.offered()
	for i := range count {
		what := pick(s, offered)
		created := s.moment(c.midnight.AddDate(0, 0, -20), c.midnight)
		w := waiting{
			id: s.id(created), contact: s.IntN(len(c.contacts)), practitioner: none, service: what[1], status: "aguardando", appointment: none, created: created,
		}
		if i%2 == 1 {
			w.practitioner = what[0]
		}
		// Nobody waits twice for the same, so few have no range.
		if i > 1 {
			w.from = c.midnight.AddDate(0, 0, 1).Add(time.Duration(i) * time.Hour)
			w.to = w.from.AddDate(0, 0, s.between(5, 40))
		}
		for c.contacts[w.contact].status == "arquivado" && len(c.contacts) > 1 {
			w.contact = (w.contact + 1) % len(c.contacts)
			if w.contact == 0 {
				break
			}
		}
		switch {
		case i%6 == 4:
			w.status, w.ended = "desistiu", s.moment(created, c.midnight)
		case i%6 == 5 && len(c.appointments) > i:
			w.status, w.ended, w.appointment = "agendado", s.moment(created, c.midnight), len(c.appointments)-1-i
			a := &c.appointments[w.appointment]
			w.contact, w.service, w.practitioner = a.contact, a.service, a.practitioner
		}
		c.waiting = append(c.waiting, w)
	}
}

func (c *clinic) waitlist() batch {
	return batch{"waitlist_entries", []string{
		"clinic_id", "id", "contact_id", "practitioner_id", "service_id", "range_from", "range_to", "status", "appointment_id",
		"joined_by", "ended_by", "ended_at", "created_at", "updated_at",
	}, len(c.waiting), func(i int, row []any) {
		w := &c.waiting[i]
		desk := Subject(c.slug, "receptionist")
		row[0], row[1], row[2], row[3], row[4] = c.id, w.id, c.contacts[w.contact].id, nil, c.services[w.service].id
		row[5], row[6], row[7], row[8] = nil, nil, w.status, nil
		row[9], row[10], row[11], row[12], row[13] = desk, nil, nil, w.created, w.created
		if w.practitioner != none {
			row[3] = c.practitioners[w.practitioner].id
		}
		if !w.from.IsZero() {
			row[5], row[6] = w.from, w.to
		}
		if !w.ended.IsZero() {
			row[10], row[11], row[13] = desk, w.ended, w.ended
		}
		if w.appointment != none {
			row[8] = c.appointments[w.appointment].id
		}
	}}
}
