package seed

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// series is what the dates of a series share.
type series struct {
	id   pgtype.UUID
	rule string
}

// makeSeries makes weekly series of some appointments of the diary: of one practitioner's
// on the same day of following weeks, as long as each other. Where one is at another time
// of the day it was moved since.
func (c *clinic) makeSeries() {
	const most, tries, shortest = 12, 600, 3
	s := c.source("series")
	type shift struct {
		practitioner int
		day          date
	}
	on := map[shift][]int{}
	for i := range c.appointments {
		a := &c.appointments[i]
		on[shift{a.practitioner, a.day}] = append(on[shift{a.practitioner, a.day}], i)
	}
	for range min(tries, 10*len(c.appointments)) {
		if len(c.series) == most {
			return
		}
		first := s.IntN(len(c.appointments))
		a := &c.appointments[first]
		run := []int{first}
		for length := s.between(shortest, 10); a.series == nil && len(run) < length; {
			next := c.like(a, on[shift{a.practitioner, a.day + date(7*len(run))}], 7*len(run))
			if next == none {
				break
			}
			run = append(run, next)
		}
		if len(run) >= shortest {
			c.recur(s, run)
		}
	}
}

// like is the one of some appointments that is as long as another one so many days
// before, and nearest to its time of the day.
func (c *clinic) like(a *appointment, among []int, days int) int {
	found, nearest := none, 24*time.Hour
	for _, i := range among {
		b := &c.appointments[i]
		apart := b.start.Sub(a.start.AddDate(0, 0, days)).Abs()
		if b.series == nil && b.end.Sub(b.start) == a.end.Sub(a.start) && apart < nearest {
			found, nearest = i, apart
		}
	}
	return found
}

// recur makes appointments the dates of one series, booked at once for somebody who would
// go to all of them.
func (c *clinic) recur(s source, run []int) {
	first := c.appointments[run[0]]
	for _, i := range run {
		if made := c.appointments[i].created; made.Before(first.created) {
			first.created = made
		}
	}
	first.contact = c.patient(s, &first)
	who := &c.contacts[first.contact]
	for _, i := range run {
		if who.created.After(first.created) || !c.wouldGo(who, &c.appointments[i]) {
			return
		}
	}
	c.series = append(c.series, series{s.id(first.created), fmt.Sprint("FREQ=WEEKLY;COUNT=", len(run))})
	local := first.start.In(c.zone)
	for n, i := range run {
		a := &c.appointments[i]
		a.series = &c.series[len(c.series)-1]
		a.local = time.Date(local.Year(), local.Month(), local.Day()+7*n, local.Hour(), local.Minute(), 0, 0, time.UTC)
		a.contact, a.service, a.created = first.contact, first.service, first.created
		a.id = s.id(a.created)
		if a.version == 1 {
			a.updated = a.created
		}
	}
}
