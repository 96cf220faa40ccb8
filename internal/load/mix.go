package load

import "context"

// scenario is one kind of work in a clinic, with its share of the requests.
type scenario struct {
	name   string
	weight int
	desk   desk
	play   func(ctx context.Context, t *turn)
}

// mix is the clinic's mix of promise P3: registration 20, scheduling 30, records
// 25, calendar 15, finance 10. Receptionists register, talk and schedule, practitioners
// chart and look at their calendars: weeks, months at a glance, what changed, and feeds.
func mix() []scenario {
	return []scenario{
		{"registration", 20, reception, registration},
		{"scheduling", 30, reception, schedulingDesk},
		{"records", 25, practice, charting},
		{"calendar", 15, practice, calendar},
		{"finance", 10, reception, finance},
	}
}

func mixTotal() int {
	total := 0
	for _, s := range mix() {
		total += s.weight
	}
	return total
}

// UsualWrites is how many of 100 requests of a front desk write. At P3's one
// request a second and session a front desk then writes every 100 seconds, all day
// long: a patient in five minutes, with three writes for each of them. A
// practitioner writes chartsPerWrite times less often, as long as a consultation
// takes. 250 sessions of one clinic so write 5,500 times an hour, some hundred times
// what a clinic of ten practitioners does. What makes up the rest are screens: a
// front desk has today's diary open and asks for it again and again, and who looks
// for a patient opens lists, pages and free slots before writing once.
const UsualWrites = 1

const (
	// chartsPerWrite is how much less often than a front desk a practitioner writes.
	chartsPerWrite = 4
	// newPatients are those who are registered, of 100 whose data are written: nine
	// out of ten are known to the clinic.
	newPatients = 10
)

// What the sessions look at, in percent. A clinic's work is about the patients
// who come today and tomorrow.
const (
	// lookingToday and lookingTomorrow are the days of the diary that front desks
	// look at; the rest lies within two weeks.
	lookingToday, lookingTomorrow = 60, 15
	// bookingToday and bookingTomorrow are the days that callers want.
	bookingToday, bookingTomorrow = 20, 20
	// expected are the pages that are opened of patients who come today or
	// tomorrow: of a front desk's and of a practitioner's.
	expectedAtReception, expectedAtPractice = 80, 95
	// thisWeek are the looks at the practitioner's own week.
	thisWeek = 75
	// usualService is how often a practitioner is booked for their main service.
	usualService = 80
)

// ahead is how many days from today a session is about.
func (t *turn) ahead(today, tomorrow float64) int {
	switch drawn := t.dice.Float64() * 100; {
	case drawn < today:
		return 0
	case drawn < today+tomorrow:
		return 1
	default:
		return 2 + t.dice.IntN(len(t.site().days)-2)
	}
}

// patient is somebody the session's work is about.
func (t *turn) patient(expected float64) person {
	s := t.site()
	if len(s.soon) > 0 && t.chance(expected) {
		return pick(t.dice, s.soon)
	}
	return pick(t.dice, s.others)
}

// written is somebody whose data or chart are written. Each of those who come
// is, once, and none again and again.
func (t *turn) written() person {
	s := t.site()
	if len(s.soon) > 0 {
		return s.soon[t.dice.IntN(len(s.soon))]
	}
	return t.caller()
}

// caller is somebody who wants an appointment: anybody.
func (t *turn) caller() person {
	all := t.site().others
	return all[t.dice.IntN(len(all))]
}

// practitioner is who a caller asks for, and what for.
func (t *turn) practitioner() (practitioner, service string) {
	s := t.site()
	n := t.dice.IntN(len(s.practitioners))
	who, offered := s.practitioners[n], s.services[s.practitioners[n]]
	if t.chance(usualService) {
		return who, offered[n%len(offered)]
	}
	return who, pick(t.dice, offered)
}
