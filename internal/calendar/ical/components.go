package ical

import (
	"slices"
	"strings"
)

// calendar is a VCALENDAR.
type calendar struct {
	// identity holds what tells calendars apart, by property.
	identity map[string]string
	method   string
	events   []*vevent
	zones    map[string]*vtimezone
}

// vevent is a VEVENT as it stands in the file.
type vevent struct {
	calendar *calendar
	one      map[string]property
	rules    []string
	rdates   []property
	exdates  []property
	values   int
}

// The properties of an event that are looked at once, those of a calendar that tell
// which it is, and those of a zone's observance.
const (
	ofEvent    = " UID RECURRENCE-ID SEQUENCE DTSTAMP LAST-MODIFIED DTSTART DTEND DURATION SUMMARY STATUS TRANSP CLASS X-MICROSOFT-CDO-BUSYSTATUS "
	ofCalendar = " UID X-WR-RELCALID X-WR-CALNAME NAME PRODID "
	ofZone     = " DTSTART TZOFFSETFROM TZOFFSETTO "
)

func listed(list, name string) bool { return strings.Contains(list, " "+name+" ") }

// builder takes a file's lines and keeps what matters.
type builder struct {
	stack     []string
	calendars []*calendar
	calendar  *calendar
	event     *vevent
	zone      *vtimezone
	seen      *observance
	events    int
	err       error
}

func read(text string) ([]*calendar, error) {
	if len(text) > LongestFile {
		return nil, ErrTooLong
	}
	var b builder
	lines(strings.TrimPrefix(text, "\ufeff"), func(line string) bool {
		if p, ok := parse(line); ok {
			b.take(p)
		}
		return b.err == nil
	})
	switch {
	case b.err != nil:
		return nil, b.err
	case len(b.calendars) == 0:
		return nil, ErrNone
	case b.calendar != nil:
		return nil, ErrCutOff // who follows deletions would follow what was only lost
	}
	return b.calendars, nil
}

func (b *builder) take(p property) {
	switch p.name {
	case "BEGIN":
		b.begin(name(p.value))
	case "END":
		b.end(name(p.value))
	default:
		b.property(p)
	}
}

func (b *builder) begin(component string) {
	if len(b.stack) == deepest {
		b.err = ErrDepth
		return
	}
	above := strings.Join(b.stack, "/")
	b.stack = append(b.stack, component)
	switch above + "/" + component {
	case "/VCALENDAR":
		b.calendar = &calendar{identity: map[string]string{}, zones: map[string]*vtimezone{}}
		b.calendars = append(b.calendars, b.calendar)
	case "VCALENDAR/VEVENT":
		if b.events++; b.events > mostEvents {
			b.err = ErrEvents
			return
		}
		b.event = &vevent{calendar: b.calendar, one: map[string]property{}}
		b.calendar.events = append(b.calendar.events, b.event)
	case "VCALENDAR/VTIMEZONE":
		b.zone = &vtimezone{}
	case "VCALENDAR/VTIMEZONE/STANDARD", "VCALENDAR/VTIMEZONE/DAYLIGHT":
		b.seen = &observance{one: map[string]property{}}
		b.zone.observances = append(b.zone.observances, b.seen)
	}
}

// end closes a component and what was left open in it; an end of what is not open is
// passed over.
func (b *builder) end(component string) {
	closed := false
	for at, above := range slices.Backward(b.stack) {
		if above == component {
			b.stack, closed = b.stack[:at], true
			break
		}
	}
	if !closed {
		return
	}
	switch len(b.stack) {
	case 0:
		b.calendar = nil
	case 1:
		if b.zone != nil && b.zone.id != "" {
			b.calendar.zones[b.zone.id] = b.zone
		}
		b.event, b.zone, b.seen = nil, nil, nil
	case 2:
		b.seen = nil
	}
}

func (b *builder) property(p property) {
	switch depth := len(b.stack); {
	case depth == 1 && b.calendar != nil:
		if p.name == "METHOD" {
			b.calendar.method = name(p.value)
		} else if listed(ofCalendar, p.name) {
			b.calendar.identity[p.name] = p.value
		}
	case depth == 2 && b.event != nil:
		b.event.take(p, &b.err)
	case depth == 2 && b.zone != nil && p.name == "TZID":
		b.zone.id = p.value
	case depth == 3 && b.seen != nil:
		b.seen.take(p, &b.err)
	}
}

func (e *vevent) take(p property, err *error) {
	switch p.name {
	case "RRULE":
		e.rules = append(e.rules, p.value)
	case "RDATE":
		e.rdates = append(e.rdates, p)
	case "EXDATE":
		e.exdates = append(e.exdates, p)
	default:
		if _, known := e.one[p.name]; !known && listed(ofEvent, p.name) {
			e.one[p.name] = p
		}
		return
	}
	if e.values += 1 + strings.Count(p.value, ","); e.values > mostValues {
		*err = ErrDates
	}
}

// key tells a calendar from others of the same practitioner's.
func (c *calendar) key() string {
	for property := range strings.FieldsSeq(ofCalendar) {
		if value := clean(c.identity[property]); value != "" {
			return property + ":" + value
		}
	}
	return ""
}
