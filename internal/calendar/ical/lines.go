package ical

import (
	"errors"
	"strings"
)

// What a file may be, before anything of it is understood.
const (
	// LongestFile bounds a file, in bytes.
	LongestFile = 2 << 20
	// deepest bounds how components stand in each other; VALARM in VEVENT in VCALENDAR is three.
	deepest = 8
	// mostEvents bounds the events of a file, mostValues the dates that one of them names.
	mostEvents = 10_000
	mostValues = 5_000
)

// What is wrong with a file as a whole. The words are for whoever sent it.
var (
	ErrTooLong = errors.New("the file has more than 2 MB: export fewer events")
	ErrNone    = errors.New("this is no iCalendar file: it has no BEGIN:VCALENDAR")
	ErrCutOff  = errors.New("the file is cut off: its VCALENDAR has no END; fetch it once more")
	ErrDepth   = errors.New("the file's components are nested deeper than any calendar's")
	ErrEvents  = errors.New("the file has more than 10,000 events: export a shorter time")
	ErrDates   = errors.New("the file's recurring events have too many dates: export a shorter time")
)

// property is a content line: its name in upper case, its parameters as they stand, its
// value.
type property struct{ name, params, value string }

// lines gives a file's content lines, unfolded. Ends of lines may be any; empty ones,
// which some programs leave between the parts of a folded line, do not count.
func lines(text string, yield func(line string) bool) {
	var folded strings.Builder
	line, open := "", false
	give := func() bool {
		if !open {
			return true
		}
		if folded.Len() > 0 {
			line = folded.String()
			folded.Reset()
		}
		return yield(line)
	}
	for len(text) > 0 {
		var raw string
		if end := strings.IndexAny(text, "\r\n"); end < 0 {
			raw, text = text, ""
		} else {
			raw, text = text[:end], text[end+1:]
		}
		switch {
		case raw == "":
		case open && (raw[0] == ' ' || raw[0] == '\t'):
			if folded.Len() == 0 {
				folded.WriteString(line)
			}
			folded.WriteString(raw[1:])
		default:
			if !give() {
				return
			}
			line, open = raw, true
		}
	}
	give()
}

// parse reads a content line (RFC 5545, section 3.1); false for what is none.
func parse(line string) (property, bool) {
	quoted, semicolon := false, -1
	for i := range len(line) {
		switch line[i] {
		case '"':
			quoted = !quoted
		case ';':
			if semicolon < 0 {
				semicolon = i
			}
		case ':':
			if quoted {
				continue
			}
			if semicolon < 0 {
				return property{name: name(line[:i]), value: line[i+1:]}, true
			}
			return property{name(line[:semicolon]), line[semicolon+1 : i], line[i+1:]}, true
		}
	}
	return property{}, false
}

func name(text string) string { return strings.ToUpper(strings.TrimSpace(text)) }

// param is a parameter's value, without quotes; "" where there is none.
func (p property) param(wanted string) string {
	rest := p.params
	for rest != "" {
		quoted, end := false, len(rest)
		for i := range len(rest) {
			if rest[i] == '"' {
				quoted = !quoted
			}
			if rest[i] == ';' && !quoted {
				end = i
				break
			}
		}
		key, value, _ := strings.Cut(rest[:end], "=")
		if strings.EqualFold(strings.TrimSpace(key), wanted) {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
		rest = rest[min(end+1, len(rest)):]
	}
	return ""
}

// plain is a TEXT without its escapes (section 3.3.11), on one line.
func plain(value string) string {
	if !strings.Contains(value, `\`) {
		return value
	}
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] != '\\' || i+1 == len(value) {
			b.WriteByte(value[i])
			continue
		}
		if i++; value[i] == 'n' || value[i] == 'N' {
			b.WriteByte(' ')
		} else {
			b.WriteByte(value[i])
		}
	}
	return b.String()
}
