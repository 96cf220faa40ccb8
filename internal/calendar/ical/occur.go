package ical

import (
	"strings"
	"time"

	"github.com/taskmed/taskmed/internal/recurrence"
)

// longest bounds one occurrence.
const longest = 366 * day

// shape is an event's beginning and how long it takes.
type shape struct {
	start  stamp
	length span
}

func (e *vevent) shape(r *reader) (shape, error) {
	first, there := e.one["DTSTART"]
	if !there {
		return shape{}, errNoStart
	}
	start, err := first.stamp()
	if err != nil {
		return shape{}, err
	}
	s := shape{start: start}
	switch end, ends := e.one["DTEND"]; {
	case ends:
		until, err := end.stamp()
		if err != nil {
			return s, err
		}
		if start.date && until.date {
			s.length.days = int(until.local.Sub(start.local) / day)
			break
		}
		from, errFrom := r.instant(e, start)
		to, errTo := r.instant(e, until)
		if errFrom != nil || errTo != nil {
			return s, ErrDates
		}
		s.length.exact = to.Sub(from)
	case e.one["DURATION"].value != "":
		if s.length, err = parseDuration(e.one["DURATION"].value); err != nil {
			return s, err
		}
	case start.date:
		s.length.days = 1
	}
	if s.length.days < 0 || s.length.exact < 0 {
		return s, errEnd
	}
	if start.date && s.length == (span{}) {
		s.length.days = 1 // some write the same day twice
	}
	if time.Duration(s.length.days)*day+s.length.exact > longest || s.length.days > 366 {
		return s, errLong
	}
	return s, nil
}

// at is the occurrence that begins at a time.
func (r *reader) at(e *vevent, start stamp, length span) (Occurrence, error) {
	from, err := r.instant(e, start)
	if err != nil {
		return Occurrence{}, err
	}
	to := from
	if length.days > 0 {
		end := start
		end.local = end.local.AddDate(0, 0, length.days)
		if to, err = r.instant(e, end); err != nil {
			return Occurrence{}, err
		}
	}
	to = to.Add(length.exact)
	which, err := r.instance(e, start)
	// Whole minutes, as all of the diary: rather a moment more than less.
	from = from.Truncate(time.Minute)
	if whole := to.Truncate(time.Minute); whole.Before(to) {
		to = whole.Add(time.Minute)
	}
	return Occurrence{Instance: which, Start: from.UTC(), End: to.UTC()}, err
}

// occur fills in when an event takes time.
func (r *reader) occur(e *vevent, event *Event) error {
	s, err := e.shape(r)
	if err != nil {
		return err
	}
	recurs := event.Instance == "" && (len(e.rules) > 0 || len(e.rdates) > 0)
	if !recurs {
		one, err := r.at(e, s.start, s.length)
		if err != nil {
			return err
		}
		if one.Instance = event.Instance; one.Start.Before(one.End) {
			event.Occurrences = []Occurrence{one}
		}
		return nil
	}
	event.Tail = true
	all := map[string]Occurrence{}
	add := func(start stamp, length span) error {
		o, err := r.at(e, start, length)
		if err == nil && o.Start.Before(o.End) {
			// Some may be taken away yet.
			if r.total++; r.total > 2*mostOccurrences {
				return ErrOccurrences
			}
			all[o.Instance] = o
		}
		return err
	}
	if len(e.rules) == 0 {
		if err := add(s.start, s.length); err != nil {
			return err
		}
	}
	for _, text := range e.rules {
		dates, err := r.dates(e, text, s.start)
		if err != nil {
			return err
		}
		for _, date := range dates {
			start := s.start
			start.local = date
			if err := add(start, s.length); err != nil {
				return err
			}
		}
	}
	if err := r.extra(e, s, add); err != nil {
		return err
	}
	if err := r.exclude(e, s, all); err != nil {
		return err
	}
	for _, o := range all {
		event.Occurrences = append(event.Occurrences, o)
	}
	return nil
}

// dates are those of a rule that are asked for, on the clock of the event.
func (r *reader) dates(e *vevent, text string, start stamp) ([]time.Time, error) {
	ended := func(end recurrence.Until, date time.Time) bool {
		switch {
		case end.Instant && !start.date && !start.utc:
			at := start
			at.local = date
			instant, err := r.instant(e, at)
			return err != nil || instant.After(end.Time)
		case end.AllDay:
			return midnight(date).After(end.Time)
		case start.date:
			return date.After(midnight(end.Time))
		}
		return date.After(end.Time)
	}
	// A day more at either end: the clocks of the world are that far apart.
	return between(text, start.local, r.options.From.Add(-day), r.options.To.Add(day), ended, &r.budget)
}

// extra adds the dates that an event names beside its rule.
func (r *reader) extra(e *vevent, s shape, add func(stamp, span) error) error {
	for _, p := range e.rdates {
		for value := range strings.SplitSeq(p.value, ",") {
			start, length, err := r.period(e, p, value, s)
			if err != nil {
				return err
			}
			if err := add(start, length); err != nil {
				return err
			}
		}
	}
	return nil
}

// period reads a date of RDATE, which may come with an end of its own.
func (r *reader) period(e *vevent, p property, value string, s shape) (stamp, span, error) {
	from, to, ends := strings.Cut(strings.TrimSpace(value), "/")
	start, err := parseStamp(from, p.param("TZID"))
	if err != nil || !ends {
		return start, s.length, err
	}
	if to != "" && (to[0] == 'P' || to[0] == 'p') {
		length, err := parseDuration(to)
		return start, length, err
	}
	end, err := parseStamp(to, p.param("TZID"))
	if err != nil {
		return start, span{}, err
	}
	a, errA := r.instant(e, start)
	b, errB := r.instant(e, end)
	if errA != nil || errB != nil {
		return start, span{}, ErrDates
	}
	if b.Before(a) {
		return start, span{}, errEnd
	}
	if b.Sub(a) > longest {
		return start, span{}, errLong
	}
	return start, span{exact: b.Sub(a)}, nil
}

// exclude takes away the dates that an event leaves out. A date without a time takes
// away what begins on that day.
func (r *reader) exclude(e *vevent, s shape, all map[string]Occurrence) error {
	gone := map[string]bool{}
	for _, p := range e.exdates {
		for value := range strings.SplitSeq(p.value, ",") {
			at, err := parseStamp(value, p.param("TZID"))
			if err != nil {
				return err
			}
			if at.date && !s.start.date {
				gone[at.local.Format("20060102")] = true
				continue
			}
			if !at.date && s.start.date {
				at = stamp{local: midnight(at.local), date: true}
			}
			which, err := r.instance(e, at)
			if err != nil {
				return err
			}
			delete(all, which)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	for which, o := range all {
		begins, err := time.Parse("20060102T150405Z", which)
		if err != nil {
			continue
		}
		local := begins
		if home, ok := r.clock(e, s.start).(place); ok && !s.start.utc {
			_, offset := o.Start.In(home.Location).Zone()
			local = begins.Add(time.Duration(offset) * time.Second)
		}
		if gone[local.Format("20060102")] {
			delete(all, which)
		}
	}
	return nil
}
