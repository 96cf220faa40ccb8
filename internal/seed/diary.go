package seed

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

type appointment struct {
	id           pgtype.UUID
	contact      int
	practitioner int
	service      int
	day          date
	start, end   time.Time
	status       string
	reason       string
	notes        string
	reference    string
	version      int
	created      time.Time
	updated      time.Time
	// series is nil where it is by itself; local is the wall-clock time that its rule gave.
	series *series
	local  time.Time
}

// unit is the grid that appointments lie on, in minutes. Every practitioner
// offers a service of one unit, so a day holds as many as it has units.
const unit = 15

// shift is one practitioner's working day.
type shift struct {
	practitioner int
	day          date
	units        int
	count        int
}

// makeDiary spreads the appointments evenly over all working days, week by week
// and practitioner by practitioner: neighbours in the exclusion constraint's
// index are then written one after the other, which halves its cost, and a day
// still lies close together on disk.
func (c *clinic) makeDiary(count int) error {
	if count == 0 {
		return nil
	}
	s := c.source("appointments")
	shifts, units := c.shifts()
	if count > units {
		return fmt.Errorf("%d appointments do not fit into two years of %d practitioners, at most %d do",
			count, len(c.practitioners), units)
	}
	before, so := 0, 0
	for i := range shifts {
		so += shifts[i].units
		upTo := int(int64(so) * int64(count) / int64(units))
		shifts[i].count, before = upTo-before, upTo
	}
	for i := 1; i < len(shifts); i++ {
		// No two days are alike.
		if a, b := &shifts[i-1], &shifts[i]; s.chance(45) && a.count > 0 && b.count < b.units {
			a.count--
			b.count++
		}
	}
	c.appointments = make([]appointment, 0, count)
	for _, sh := range shifts {
		c.fillShift(s, sh)
	}
	c.makeSeries()
	return nil
}

func (c *clinic) shifts() (shifts []shift, units int) {
	first, last := c.today-aYear, c.today+aYear
	first -= date(first.weekday() - 1)
	for monday := first; monday <= last; monday += 7 {
		for who := range c.practitioners {
			p := &c.practitioners[who]
			for day := max(monday, c.today-aYear); day <= min(monday+6, last); day++ {
				if p.off[day] {
					continue
				}
				sh := shift{practitioner: who, day: day}
				for _, block := range p.blocks[day.weekday()] {
					sh.units += (block[1] - block[0]) / unit
				}
				if sh.units > 0 {
					shifts = append(shifts, sh)
					units += sh.units
				}
			}
		}
	}
	return shifts, units
}

// fillShift places the shift's appointments in its blocks without overlap.
func (c *clinic) fillShift(s source, sh shift) {
	p := &c.practitioners[sh.practitioner]
	left, roomAfter := sh.count, sh.units
	for _, block := range p.blocks[sh.day.weekday()] {
		room := (block[1] - block[0]) / unit
		share := (left*room + s.IntN(roomAfter)) / roomAfter
		roomAfter -= room
		share = min(max(share, left-roomAfter), room, left)
		left -= share
		c.fillBlock(s, sh, block[0], room, share)
	}
}

// fillBlock puts count appointments into a block of so many units that begins
// at a minute of the day. Each takes one unit at first; what is free after that
// goes to longer services and to the gaps between them.
func (c *clinic) fillBlock(s source, sh shift, from, room, count int) {
	p := &c.practitioners[sh.practitioner]
	shortest := p.offers.items[0]
	for _, offered := range p.offers.items {
		if c.services[offered].minutes < c.services[shortest].minutes {
			shortest = offered
		}
	}
	free := room - count
	services := make([]int, count)
	for i := range services {
		services[i] = p.offers.pick(s)
		longer := c.services[services[i]].minutes/unit - 1
		if longer > free {
			services[i], longer = shortest, 0
		}
		free -= longer
	}
	gaps := make([]int, count)
	for i := range gaps {
		gaps[i] = s.IntN(free + 1)
	}
	slices.Sort(gaps)
	used := 0
	for i, service := range services {
		minute := from + (gaps[i]+used)*unit
		used += c.services[service].minutes / unit
		start := sh.day.at(minute, c.zone)
		c.appointments = append(c.appointments, c.book(s, appointment{
			practitioner: sh.practitioner, service: service, day: sh.day,
			start: start, end: start.Add(time.Duration(c.services[service].minutes) * time.Minute),
		}))
	}
}

// book finds somebody for the time and says what became of it.
func (c *clinic) book(s source, a appointment) appointment {
	lead := time.Duration(s.between(1, 30*24)) * time.Hour
	if s.chance(25) {
		lead = time.Duration(s.between(30, 75)) * 24 * time.Hour
	}
	a.created = a.start.Add(-lead)
	if !a.created.Before(c.midnight) {
		a.created = s.moment(c.midnight.AddDate(0, 0, -45), c.midnight)
	}
	a.created = a.created.Truncate(time.Millisecond)
	a.id = s.id(a.created)
	a.version, a.updated = 1, a.created
	// What happens to it is known up to this morning at eleven.
	now := c.today.at(11*60, c.zone)
	drawn := s.IntN(100)
	switch {
	case drawn < 8:
		a.status, a.reason = "cancelado", pick(s, c.lists.practice.Cancellations)
	case drawn < 14 && a.end.Before(now):
		a.status = "faltou"
	case !a.end.After(now):
		a.status = "concluido"
	case !a.start.After(now):
		a.status = "em_atendimento"
	case a.start.Before(now.Add(time.Hour)):
		a.status = "recepcionado"
	case drawn < 70 && a.day <= c.today+14, drawn < 25:
		a.status = "confirmado"
	default:
		a.status = "agendado"
	}
	switch a.status {
	case "concluido":
		a.version, a.updated = 5, a.end
	case "faltou":
		a.version, a.updated = 3, a.end
	case "em_atendimento":
		a.version, a.updated = 4, a.start
	case "recepcionado":
		a.version, a.updated = 3, a.start
	case "cancelado", "confirmado":
		a.version, a.updated = 2, s.moment(a.created, earlier(a.start, c.midnight))
	}
	if a.updated.After(c.midnight) {
		a.updated = c.midnight
	}
	if s.chance(10) {
		a.notes = pick(s, c.lists.practice.AppointmentNotes)
	}
	if s.chance(4) {
		a.reference = fmt.Sprintf("AGENDA-%07d", len(c.appointments)+1)
	}
	a.contact = c.patient(s, &a)
	return a
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// patient is somebody whom the clinic knew when the appointment was made and
// who would go to that practitioner.
func (c *clinic) patient(s source, a *appointment) int {
	known := sort.Search(len(c.contacts), func(i int) bool { return c.contacts[i].created.After(a.created) })
	if known == 0 {
		return 0
	}
	for range 12 {
		drawn := s.IntN(known)
		who := &c.contacts[drawn]
		if c.wouldGo(who, a) {
			return drawn
		}
	}
	return 0
}

func (c *clinic) wouldGo(who *contact, a *appointment) bool {
	if who.status == "lead" || who.status != "ativo" && a.day > c.today {
		return false
	}
	child := who.born > c.today-18*365
	switch c.practitioners[a.practitioner].specialty {
	case "Pediatria":
		return child
	case "Ginecologia e Obstetrícia":
		return who.person.woman && !child
	case "Psicologia", "Fisioterapia", "Nutrição", "Dermatologia":
		return true
	default:
		return !child
	}
}

// stepTaken is a step of an appointment.
type stepTaken struct {
	id             pgtype.UUID
	appointment    int
	step, from, to string
	at             time.Time
	actor          string
}

// course is how an appointment came to be what it is.
func (a *appointment) course() []stepTaken {
	const early = 10 * time.Minute
	arrived := stepTaken{step: "check_in", from: "agendado", to: "recepcionado", at: a.start.Add(-early)}
	begun := stepTaken{step: "start", from: "recepcionado", to: "em_atendimento", at: a.start}
	switch a.status {
	case "confirmado":
		return []stepTaken{{step: "confirm", from: "agendado", to: "confirmado", at: a.updated}}
	case "cancelado":
		return []stepTaken{{step: "cancel", from: "agendado", to: "cancelado", at: a.updated}}
	case "faltou":
		return []stepTaken{{step: "no_show", from: "agendado", to: "faltou", at: a.end}}
	case "recepcionado":
		return []stepTaken{arrived}
	case "em_atendimento":
		return []stepTaken{arrived, begun}
	case "concluido":
		return []stepTaken{arrived, begun, {step: "complete", from: "em_atendimento", to: "concluido", at: a.end}}
	}
	return nil
}

// takeSteps writes down the steps of the appointments around today: of older ones
// nobody asks who took them.
func (c *clinic) takeSteps() {
	const around = 45 // days
	for i := range c.appointments {
		a := &c.appointments[i]
		if a.day < c.today-around || a.day > c.today+around {
			continue
		}
		for n, step := range a.course() {
			step.id, step.appointment = a.id, i
			// The time and the chance of the appointment's own id, and the step's number.
			step.id.Bytes[15] ^= byte(n + 1)
			step.actor = Subject(c.slug, "receptionist")
			if step.step == "start" || step.step == "complete" {
				step.actor = Subject(c.slug, "practitioner")
			}
			c.steps = append(c.steps, step)
		}
	}
}
