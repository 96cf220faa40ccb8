package ical

import (
	_ "embed"
	"slices"
	"strings"
	"time"

	"github.com/taskmed/taskmed/internal/recurrence"
)

// windowsZones has the zone of IANA's for each of Windows', for the world as a whole: the
// Unicode CLDR's windowsZones.xml, territory 001. Copyright © 1991-2026 Unicode, Inc.,
// under the Unicode License v3 (https://www.unicode.org/license.txt).
//
//go:embed windowszones.txt
var windowsZones string

// windows is the zone of IANA's for one of Windows'; "" for what is none.
func windows(name string) string {
	for line := range strings.Lines(windowsZones) {
		if theirs, ours, _ := strings.Cut(strings.TrimSpace(line), "\t"); strings.EqualFold(theirs, name) {
			return ours
		}
	}
	return ""
}

// zone tells which instant a clock on the wall means.
type zone interface {
	instant(local time.Time, budget *int) (time.Time, error)
}

// place is a zone of IANA's.
type place struct{ *time.Location }

// instant follows RFC 5545, section 3.3.5: of a time that the clocks show twice the first
// is meant, and one that they skip is told by the offset from before.
func (p place) instant(local time.Time, _ *int) (time.Time, error) {
	return At(local, p.Location), nil
}

// At is the instant at which the clocks in a zone show a time, given as if in UTC.
func At(local time.Time, zone *time.Location) time.Time {
	_, before := local.Add(-day).In(zone).Zone()
	_, after := local.Add(day).In(zone).Zone()
	early, late := local.Add(-time.Duration(before)*time.Second), local.Add(-time.Duration(after)*time.Second)
	shows := func(t time.Time) bool {
		_, offset := t.In(zone).Zone()
		return t.Add(time.Duration(offset) * time.Second).Equal(local)
	}
	switch {
	case shows(early) && shows(late) && late.Before(early):
		return late
	case shows(early) || !shows(late):
		return early
	}
	return late
}

// find resolves a zone's name as a file has it: IANA's, with whatever a program put in
// front of it, Windows', the file's own definition. known is false where the clinic's zone has
// to stand in.
func (r *reader) find(name string, defined map[string]*vtimezone) (found zone, known bool) {
	if name == "" {
		return place{r.options.Zone}, true
	}
	location, asked := r.places[name]
	if !asked && len(r.places) < mostZones {
		location = named(name)
		r.places[name] = location
	}
	if location != nil {
		return place{location}, true
	}
	if own := defined[name]; own != nil && len(own.observances) > 0 && own.ready() {
		return own, true
	}
	return place{r.options.Zone}, false
}

// mostZones bounds the names of zones that are looked up for one file: each reads files.
const mostZones = 50

// named is the zone that IANA, or else Windows, calls by a name; nil for none.
func named(name string) *time.Location {
	if location := iana(name); location != nil {
		return location
	}
	// "Eastern Standard Time 1" is how Outlook tells two definitions apart.
	for _, spelling := range []string{name, strings.TrimRight(name, " 0123456789")} {
		if ours := windows(spelling); ours != "" {
			return iana(ours)
		}
	}
	return nil
}

// iana finds a zone by its name, or by the end of it: "/mozilla.org/20050126_1/Europe/Berlin".
func iana(name string) *time.Location {
	parts := strings.Split(strings.Trim(name, "/"), "/")
	for _, count := range []int{len(parts), 3, 2} {
		if count > len(parts) || len(parts) > 6 {
			continue
		}
		text := strings.Join(parts[len(parts)-count:], "/")
		if text == "" || text == "Local" || len(text) > 40 {
			continue
		}
		if location, err := time.LoadLocation(text); err == nil {
			return location
		}
	}
	return nil
}

// vtimezone is a zone that a file defines.
type vtimezone struct {
	id          string
	observances []*observance
	checked     bool
	good        bool
	// onsets are when clocks are changed until the end of a year, in order.
	onsets map[int][]onset
}

// observance is a STANDARD or DAYLIGHT part.
type observance struct {
	one    map[string]property
	rules  []string
	rdates []string

	start    time.Time
	from, to time.Duration
}

type onset struct {
	at       time.Time // as the clocks show it before
	from, to time.Duration
}

func (o *observance) take(p property, err *error) {
	switch p.name {
	case "RRULE":
		o.rules = append(o.rules, p.value)
	case "RDATE":
		o.rdates = append(o.rdates, p.value)
	default:
		if listed(ofZone, p.name) {
			o.one[p.name] = p
		}
	}
	if len(o.rules)+len(o.rdates) > mostValues {
		*err = ErrDates
	}
}

// ready reads what the observances say; a zone in which one cannot be read is none.
func (z *vtimezone) ready() bool {
	if z.checked {
		return z.good
	}
	z.checked, z.onsets = true, map[int][]onset{}
	for _, o := range z.observances {
		start, err := o.one["DTSTART"].stamp()
		from, okFrom := parseOffset(o.one["TZOFFSETFROM"].value)
		to, okTo := parseOffset(o.one["TZOFFSETTO"].value)
		if err != nil || !okFrom || !okTo {
			return false
		}
		o.start, o.from, o.to = start.local, from, to
	}
	z.good = true
	return true
}

func parseOffset(text string) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	if len(text) != 5 && len(text) != 7 || text[0] != '+' && text[0] != '-' {
		return 0, false
	}
	clock, err := time.Parse("150405", (text[1:] + "00")[:6])
	if err != nil {
		return 0, false
	}
	offset := clock.Sub(midnight(clock))
	if text[0] == '-' {
		offset = -offset
	}
	return offset, true
}

func (z *vtimezone) instant(local time.Time, budget *int) (time.Time, error) {
	onsets, known := z.onsets[local.Year()]
	if !known {
		end := time.Date(local.Year()+1, time.January, 2, 0, 0, 0, 0, time.UTC)
		for _, o := range z.observances {
			some, err := o.until(end, budget)
			if err != nil {
				return time.Time{}, err
			}
			onsets = append(onsets, some...)
		}
		slices.SortFunc(onsets, func(a, b onset) int { return a.at.Compare(b.at) })
		z.onsets[local.Year()] = onsets
	}
	offset := z.observances[0].from
	for _, o := range onsets {
		if *budget--; *budget < 0 {
			return time.Time{}, ErrDates
		}
		if o.at.After(local) {
			break
		}
		offset = o.to
		if local.Before(o.at.Add(o.to - o.from)) {
			offset = o.from // a time that the clocks skip
		}
	}
	return local.Add(-offset), nil
}

// until gives the observance's last onsets before an end: those of the two years before,
// and the last one that its rules have, should they have ended.
func (o *observance) until(end time.Time, budget *int) ([]onset, error) {
	var all []onset
	const each = 5 // an onset costs more than a day
	add := func(at time.Time) {
		if *budget -= each; *budget >= 0 && !at.After(end) {
			all = append(all, onset{at, o.from, o.to})
		}
	}
	add(o.start)
	for _, text := range o.rdates {
		for one := range strings.SplitSeq(text, ",") {
			if *budget--; *budget < 0 {
				return nil, ErrDates
			}
			if at, err := parseStamp(one, ""); err == nil {
				add(at.local)
			}
		}
	}
	for _, text := range o.rules {
		rule, err := recurrence.ParseEvent(text)
		if err != nil || rule.Frequency != recurrence.Yearly {
			continue // no country's clocks go like that
		}
		last := end
		if until := rule.Until.Time; !until.IsZero() {
			if rule.Until.Instant {
				until = until.Add(o.from)
			}
			rule.Until = recurrence.Until{}
			if until.Before(last) {
				last = until
			}
		}
		dates, err := datesOf(rule, o.start, last.AddDate(-2, 0, 0), last, nil, budget)
		if err != nil {
			return nil, err
		}
		for _, at := range dates {
			add(at)
		}
	}
	return all, nil
}
