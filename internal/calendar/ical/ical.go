// Package ical reads iCalendar files (RFC 5545) of other programs for the times that they
// say somebody is busy. It knows no clinic and keeps nothing. What a file costs is bounded
// before it is read, whatever is in it.
package ical

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Options say how a file is read.
type Options struct {
	// Zone is whose clock a time is of that names none.
	Zone *time.Location
	// From and To bound the dates of what recurs. What stands in the file by its own date
	// is given whenever it is.
	From, To time.Time
}

// Contents are what a file says.
type Contents struct {
	Events []*Event
	// Whole are the keys of calendars that are here as a whole: what is not in them is no
	// longer there. A message about single events (iTIP, RFC 5546) is none.
	Whole []string
	// Skipped is how many events take no time, or none that is asked for, or could not be
	// understood; Notes say why of the latter, and what was taken otherwise than it says.
	Skipped int
	Notes   []string
}

// Event is an event, or one occurrence of it that differs.
type Event struct {
	// Calendar is the key of the calendar that it is of.
	Calendar string
	UID      string
	// Instance is which occurrence of UID this is, where it stands for one.
	Instance string
	// Version tells what is newer.
	Version Version
	// Summary is what it is about; empty where that is nobody's business.
	Summary string
	// Occurrences are when it takes time; none of one that was called off.
	Occurrences []Occurrence
	// Tail is whether occurrences before Options.From may have been left out.
	Tail bool
}

// Occurrence is one time of an event.
type Occurrence struct {
	// Instance names it among those of its UID: when it was to begin, or "" for the only one.
	Instance   string
	Start, End time.Time
}

// Version orders what is told of an event (RFC 5546, section 2.1.5). Some programs change
// an event and leave its SEQUENCE: then when it was told decides, and when it was changed.
type Version struct {
	Sequence int
	Stamp    time.Time
	Modified time.Time
}

// Older tells whether another version is newer.
func (v Version) Older(than Version) bool {
	if v.Sequence != than.Sequence {
		return v.Sequence < than.Sequence
	}
	if !v.Stamp.Equal(than.Stamp) && !v.Stamp.IsZero() && !than.Stamp.IsZero() {
		return v.Stamp.Before(than.Stamp)
	}
	return !v.Modified.IsZero() && !than.Modified.IsZero() && v.Modified.Before(than.Modified)
}

const (
	// budget is how many days and dates one file may have looked at.
	budget = 400_000
	// mostOccurrences bounds what one file may block.
	mostOccurrences = 5_000
	mostNotes       = 20
)

// ErrOccurrences refuses a file that would block too much.
var ErrOccurrences = errors.New("the file's events have more than 5,000 dates: export a shorter time")

type reader struct {
	options Options
	budget  int
	found   *Contents
	// places are the zones that were looked up, nil for none; total counts occurrences.
	places map[string]*time.Location
	total  int
	// warned are zones that were told of.
	warned map[string]bool
}

// Read reads a file. An error says, in words for whoever sent it, why none of it can be taken.
func Read(text string, options Options) (*Contents, error) {
	calendars, err := read(text)
	if err != nil {
		return nil, err
	}
	r := &reader{options: options, budget: budget, found: &Contents{}, places: map[string]*time.Location{}, warned: map[string]bool{}}
	newest := map[[2]string]*Event{}
	for _, c := range calendars {
		if c.method == "" || c.method == "PUBLISH" {
			r.found.Whole = append(r.found.Whole, c.key())
		}
		for _, e := range c.events {
			event, err := r.event(e)
			switch {
			case errors.Is(err, ErrDates), errors.Is(err, ErrOccurrences):
				return nil, err
			case err != nil:
				r.skip(e, err)
			case event != nil:
				id := [2]string{event.UID, event.Instance}
				if last := newest[id]; last == nil || !event.Version.Older(last.Version) {
					newest[id] = event
				}
			}
		}
	}
	r.assemble(newest)
	total := 0
	for _, event := range r.found.Events {
		total += len(event.Occurrences)
	}
	if total > mostOccurrences {
		return nil, ErrOccurrences
	}
	return r.found, nil
}

// assemble takes from each event the occurrences that others stand for.
func (r *reader) assemble(newest map[[2]string]*Event) {
	for id, event := range newest {
		if event.Instance == "" {
			event.Occurrences = slices.DeleteFunc(event.Occurrences, func(o Occurrence) bool {
				return o.Instance != "" && newest[[2]string{id[0], o.Instance}] != nil
			})
		}
		if len(event.Occurrences) == 0 {
			r.found.Skipped++
		}
		r.found.Events = append(r.found.Events, event)
	}
	slices.SortFunc(r.found.Events, func(a, b *Event) int {
		return strings.Compare(a.UID+"\n"+a.Instance, b.UID+"\n"+b.Instance)
	})
}

func (r *reader) skip(e *vevent, why error) {
	r.found.Skipped++
	r.note(e, why.Error()+"; it was passed over")
}

func (r *reader) note(e *vevent, words string) {
	const longest = 60
	if len(r.found.Notes) < mostNotes {
		r.found.Notes = append(r.found.Notes, fmt.Sprintf("event %q: %s", shorten(e.one["UID"].value, longest), words))
	}
}

// clean leaves out what no text has: control characters and what is no UTF-8.
func clean(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return -1
		}
		return r
	}, text))
}

func shorten(text string, longest int) string {
	text = strings.ToValidUTF8(text, "")
	if utf8.RuneCountInString(text) <= longest {
		return text
	}
	return string([]rune(text)[:longest]) + "…"
}

var (
	errUID     = errors.New("it has no UID, by which it could be known again")
	errNoStart = errors.New("it has no DTSTART")
	errEnd     = errors.New("it ends before it begins")
	errLong    = errors.New("it takes longer than 366 days")
)

func (r *reader) event(e *vevent) (*Event, error) {
	event := &Event{Calendar: e.calendar.key(), UID: clean(e.one["UID"].value)}
	if event.UID == "" {
		return nil, errUID
	}
	event.Version.Sequence, _ = strconv.Atoi(strings.TrimSpace(e.one["SEQUENCE"].value)) // 0 unless said
	event.Version.Sequence = max(0, min(event.Version.Sequence, 1<<30))
	if stamp, err := e.one["DTSTAMP"].stamp(); err == nil {
		event.Version.Stamp = stamp.local
	}
	if stamp, err := e.one["LAST-MODIFIED"].stamp(); err == nil {
		event.Version.Modified = stamp.local
	}
	if class := name(e.one["CLASS"].value); class == "" || class == "PUBLIC" {
		event.Summary = clean(plain(e.one["SUMMARY"].value))
	}
	if which, there := e.one["RECURRENCE-ID"]; there {
		at, err := which.stamp()
		if err != nil {
			return nil, err
		}
		if event.Instance, err = r.instance(e, at); err != nil {
			return nil, err
		}
		if which.param("RANGE") != "" {
			r.note(e, "a change of all that follows (RANGE) was taken for its one date alone")
		}
	}
	if !e.takesTime() {
		return event, nil
	}
	return event, r.occur(e, event)
}

// takesTime tells whether somebody is busy meanwhile.
func (e *vevent) takesTime() bool {
	return name(e.one["STATUS"].value) != "CANCELLED" && e.calendar.method != "CANCEL" &&
		name(e.one["TRANSP"].value) != "TRANSPARENT" && name(e.one["X-MICROSOFT-CDO-BUSYSTATUS"].value) != "FREE"
}

// clock is the zone that a time of an event is told in.
func (r *reader) clock(e *vevent, s stamp) zone {
	if s.date || s.utc {
		return place{r.options.Zone}
	}
	found, known := r.find(s.zone, e.calendar.zones)
	if !known && !r.warned[s.zone] && len(r.warned) < mostNotes {
		r.warned[s.zone] = true
		r.note(e, fmt.Sprintf("the time zone %q is not known, and the clinic's was taken", shorten(s.zone, 40)))
	}
	return found
}

func (r *reader) instant(e *vevent, s stamp) (time.Time, error) {
	if r.budget--; r.budget < 0 {
		return time.Time{}, ErrDates
	}
	if s.utc {
		return s.local, nil
	}
	return r.clock(e, s).instant(s.local, &r.budget)
}

// instance names an occurrence by when it was to begin.
func (r *reader) instance(e *vevent, s stamp) (string, error) {
	if s.date {
		return s.local.Format("20060102"), nil
	}
	at, err := r.instant(e, s)
	return at.UTC().Format("20060102T150405Z"), err
}
