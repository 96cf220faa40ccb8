package seed

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

type service struct {
	id      pgtype.UUID
	name    string
	minutes int
	price   int64
	active  bool
}

type practitioner struct {
	id           pgtype.UUID
	name         string
	specialty    string
	registration string
	color        string
	active       bool
	// member is an index into the clinic's members.
	member int
	// offers are indexes into the clinic's services.
	offers weighted[int]
	// blocks of working time by ISO weekday, in minutes of the day.
	blocks [8][][2]int
	off    map[date]bool
}

type hours struct {
	id           pgtype.UUID
	practitioner int
	weekday      int
	from, to     int
}

type timeOff struct {
	id           pgtype.UUID
	practitioner int
	from, to     time.Time
	reason       string
}

// aYear is how far the diary reaches to either side of today, in days.
const aYear = 365

// makeStaff makes services, practitioners, their hours and their time off.
func (c *clinic) makeStaff(count int) {
	s := c.source("services")
	offeredBy := map[string][]int{}
	for i, entry := range c.lists.practice.Services {
		c.services = append(c.services, service{
			id: s.id(c.created), name: entry.Name, minutes: entry.Minutes, active: true,
			// No two clinics ask the same, but prices stay round.
			price: entry.Price * int64(s.between(90, 125)) / 100 / 500 * 500,
		})
		for _, specialty := range c.lists.practice.Specialties {
			if len(entry.Specialties) == 0 || slices.Contains(entry.Specialties, specialty.Name) {
				offeredBy[specialty.Name] = append(offeredBy[specialty.Name], i)
			}
		}
	}

	first, last := c.today-aYear, c.today+aYear
	holidays := c.lists.daysOff(first.utc().Year(), last.utc().Year())
	days := slices.Sorted(maps.Keys(holidays))
	days = slices.DeleteFunc(days, func(day date) bool { return day < first || day > last })

	s = c.source("practitioners")
	for i := range count {
		specialty := c.lists.practice.Specialties[i%len(c.lists.practice.Specialties)]
		p := practitioner{
			id: s.id(c.created.Add(time.Duration(i) * 24 * time.Hour)), name: c.lists.person(s).name, specialty: specialty.Name,
			registration: registration(s, specialty.Council), active: true,
			color: c.lists.practice.Colors[i%len(c.lists.practice.Colors)],
			off:   map[date]bool{},
		}
		for _, offered := range offeredBy[p.specialty] {
			p.offers.add(offered, c.lists.practice.Services[offered].Weight)
		}
		c.practitioners = append(c.practitioners, p)
		c.makeHours(s, i)
		for _, day := range days {
			c.takeOff(s, i, day, day+1, "Feriado: "+holidays[day])
		}
		for _, year := range []date{first, c.today} {
			start := year + date(s.between(20, aYear-40))
			c.takeOff(s, i, start, start+14, "Férias")
			single := year + date(s.between(1, aYear-1))
			c.takeOff(s, i, single, single+1, pick(s, c.lists.practice.TimeOff))
		}
	}
	if len(days) > 0 {
		// Nobody works then anyway.
		day := days[len(days)/2]
		c.timeOff = append(c.timeOff, timeOff{
			id: s.id(c.created), practitioner: none, reason: "Feriado: " + holidays[day], from: day.at(0, c.zone), to: (day + 1).at(0, c.zone),
		})
	}
}

// offered are who offers what, as indexes of practitioners and services.
func (c *clinic) offered() [][2]int {
	var all [][2]int
	for who := range c.practitioners {
		for _, what := range c.practitioners[who].offers.items {
			all = append(all, [2]int{who, what})
		}
	}
	return all
}

func registration(s source, council string) string {
	switch council {
	case "CRP":
		return fmt.Sprintf("CRP 06/%06d", s.between(10_000, 180_000))
	case "CREFITO":
		return fmt.Sprintf("CREFITO-3 %06d-F", s.between(10_000, 320_000))
	case "CRN":
		return fmt.Sprintf("CRN-3 %05d", s.between(1_000, 75_000))
	default:
		return fmt.Sprintf("%s-SP %06d", council, s.between(40_000, 250_000))
	}
}

// makeHours gives the practitioner two blocks on working days, and one in three
// a Saturday morning.
func (c *clinic) makeHours(s source, who int) {
	p := &c.practitioners[who]
	usual := pick(s, c.lists.practice.Hours)
	for weekday := 1; weekday <= 5; weekday++ {
		p.blocks[weekday] = usual
	}
	if who%3 == 1 {
		p.blocks[6] = [][2]int{c.lists.practice.Saturday}
	}
	for weekday, blocks := range p.blocks {
		for _, block := range blocks {
			c.hours = append(c.hours, hours{id: s.id(c.created), practitioner: who, weekday: weekday, from: block[0], to: block[1]})
		}
	}
}

// takeOff marks whole days, the last one out.
func (c *clinic) takeOff(s source, who int, from, to date, reason string) {
	p := &c.practitioners[who]
	for day := from; day < to; day++ {
		p.off[day] = true
	}
	c.timeOff = append(c.timeOff, timeOff{
		id: s.id(c.created), practitioner: who, reason: reason,
		from: from.at(0, c.zone), to: to.at(0, c.zone),
	})
}
