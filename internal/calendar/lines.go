package calendar

import (
	"bytes"
	"strings"
	"time"
	"unicode/utf8"
)

// longestLine is how many octets of a line stand before it is folded (RFC 5545,
// section 3.1), and what continues one begins with a blank.
const longestLine = 75

// lines writes content lines: folded between characters, each ended by CRLF.
type lines struct{ bytes.Buffer }

// add writes a property. value stands as it is: texts are escaped by text.
func (l *lines) add(name, value string) {
	line := name + ":" + value
	room := longestLine
	for len(line) > room {
		at := room
		for !utf8.RuneStart(line[at]) {
			at--
		}
		l.write(line[:at], "\r\n ")
		line, room = line[at:], longestLine-1
	}
	l.write(line, "\r\n")
}

func (l *lines) write(line, end string) {
	_, _ = l.WriteString(line) // a buffer takes all that it is given
	_, _ = l.WriteString(end)
}

// text escapes a TEXT (section 3.3.11); control characters, which no calendar may
// have, are left out.
func text(value string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(value, "") {
		switch {
		case r == '\\' || r == ';' || r == ',':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r >= ' ' && r != 0x7f:
			b.WriteRune(r)
		}
	}
	return b.String()
}

const (
	localForm = "20060102T150405"
	utcForm   = localForm + "Z"
	dateForm  = "20060102"
)

func utc(instant time.Time) string { return instant.UTC().Format(utcForm) }

// timeZone writes what a zone's clocks do between two instants: one observance for
// each time that they are changed, since no rule holds for ever (section 3.6.5).
func (l *lines) timeZone(zone *time.Location, from, to time.Time) {
	l.add("BEGIN", "VTIMEZONE")
	l.add("TZID", zone.String())
	for at := from.In(zone); ; {
		start, end := at.ZoneBounds()
		kind := "STANDARD"
		if at.IsDST() {
			kind = "DAYLIGHT"
		}
		name, offset := at.Zone()
		before := offset
		if start.IsZero() {
			start = time.Unix(0, 0)
		} else {
			_, before = start.Add(-time.Second).In(zone).Zone()
		}
		l.add("BEGIN", kind)
		// An observance begins at the time that the clocks showed before.
		l.add("DTSTART", start.UTC().Add(time.Duration(before)*time.Second).Format(localForm))
		l.add("TZOFFSETFROM", offsetText(before))
		l.add("TZOFFSETTO", offsetText(offset))
		l.add("TZNAME", text(name))
		l.add("END", kind)
		if end.IsZero() || end.After(to) {
			break
		}
		at = end.In(zone)
	}
	l.add("END", "VTIMEZONE")
}

// offsetText writes an offset from UTC, +hhmm or, where it has seconds, +hhmmss.
func offsetText(seconds int) string {
	sign := "+"
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	at := time.Unix(int64(seconds), 0).UTC()
	if seconds%60 != 0 {
		return sign + at.Format("150405")
	}
	return sign + at.Format("1504")
}
