package ical

import (
	"errors"
	"strings"
	"time"
)

// stamp is a date or a time as it stands in a file.
type stamp struct {
	// local is what a clock on the wall shows, as if in UTC.
	local time.Time
	// utc is set where it is UTC's clock, date where there is no time. zone is whose
	// clock it is else; "" for whoever reads it.
	utc, date bool
	zone      string
}

var (
	errStamp    = errors.New("a date or time of it cannot be read")
	errDuration = errors.New("its duration cannot be read")
)

// parseStamp reads a DATE or a DATE-TIME. What a parameter says of its type is not
// believed: programs get it wrong, and the form tells.
func parseStamp(value, zone string) (stamp, error) {
	value = strings.ToUpper(strings.TrimSpace(value))
	bare, utc := strings.CutSuffix(value, "Z")
	s := stamp{utc: utc, zone: zone}
	form := "20060102T150405"
	if len(bare) == len("20060102") {
		form, s.date, s.utc = "20060102", true, false
	}
	local, err := time.Parse(form, bare)
	if err != nil && strings.HasSuffix(bare, "60") { // a leap second
		local, err = time.Parse(form, strings.TrimSuffix(bare, "60")+"59")
	}
	const earliest, latest = 1900, 2200
	if err != nil || local.Year() < earliest || local.Year() > latest {
		return stamp{}, errStamp
	}
	s.local = local
	return s, nil
}

func (p property) stamp() (stamp, error) { return parseStamp(p.value, p.param("TZID")) }

// span is a duration: of nominal days, and of exact time (RFC 5545, section 3.3.6).
type span struct {
	days  int
	exact time.Duration
}

func parseDuration(text string) (span, error) {
	text = strings.ToUpper(strings.TrimSpace(text))
	negative := strings.HasPrefix(text, "-")
	text = strings.TrimLeft(text, "+-")
	if !strings.HasPrefix(text, "P") || len(text) > 40 {
		return span{}, errDuration
	}
	var s span
	n, digits := 0, 0
	for _, r := range text[1:] {
		switch {
		case r >= '0' && r <= '9' && digits < 7:
			n, digits = n*10+int(r-'0'), digits+1
			continue
		case r == 'T' && digits == 0:
			continue
		case digits == 0:
			return span{}, errDuration
		}
		switch r {
		case 'W':
			s.days += 7 * n
		case 'D':
			s.days += n
		case 'H':
			s.exact += time.Duration(n) * time.Hour
		case 'M':
			s.exact += time.Duration(n) * time.Minute
		case 'S':
			s.exact += time.Duration(n) * time.Second
		default:
			return span{}, errDuration
		}
		n, digits = 0, 0
	}
	if digits > 0 || negative {
		return span{}, errDuration
	}
	return s, nil
}
