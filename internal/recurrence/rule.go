// Package recurrence reads rules of RFC 5545 (section 3.3.10, RRULE) and lays out their
// dates: those that appointments recur by, strictly and as series that end, and those of
// other calendars' events, of which a stretch is asked for. It is pure arithmetic on days
// of a calendar: which instants they are is a zone's to say.
package recurrence

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Frequency is how long a rule's period is.
type Frequency int

// The frequencies.
const (
	Daily Frequency = iota
	Weekly
	Monthly
	Yearly
)

// The bounds of a rule.
const (
	longestRule     = 500
	mostDates       = 200
	longestInterval = 1000
	mostValues      = 62
	longestYears    = 2

	// Those of events of other calendars, which go on as long as they like.
	longestEventRule = 4000
	mostEventDates   = 100_000
	mostEventValues  = 400
)

// Day is a day of the week, and which of the period: the second Monday is {2, Monday},
// the last Friday {-1, Friday}; 0 is every one.
type Day struct {
	Nth     int
	Weekday time.Weekday
}

// Rule is a rule that was read.
type Rule struct {
	Frequency  Frequency
	Interval   int
	Count      int
	Until      Until
	ByDay      []Day
	ByMonth    []int
	ByMonthDay []int
	ByYearDay  []int
	BySetPos   []int
	WeekStart  time.Weekday

	text string
}

// String is the rule as it was written, in capitals and without a name before it.
func (r *Rule) String() string { return r.text }

// Until is the last moment at which a date may lie: a day, a wall-clock time or, with a
// Z, an instant. The zero Until is none.
type Until struct {
	Time    time.Time
	AllDay  bool
	Instant bool
}

// Parse reads a rule of appointments, which ends. What is not understood is refused by its
// name: an appointment on the wrong day would be worse.
func Parse(text string) (*Rule, error) {
	text = strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(text)), "RRULE:")
	r, seen, err := parse(text, bounds{longest: longestRule, count: mostDates, values: mostValues})
	if err != nil {
		return nil, err
	}
	switch {
	case seen["COUNT"] == seen["UNTIL"]:
		return nil, errors.New("a rule says either by COUNT how often it is, or by UNTIL how long")
	case r.Frequency == Yearly && r.ByMonthDay != nil && r.ordinal():
		return nil, errors.New("a number before a day in BYDAY goes with FREQ=MONTHLY, or FREQ=YEARLY without BYMONTHDAY")
	}
	return r, nil
}

// ParseEvent reads a rule of another calendar's event: it also has BYMONTH and BYYEARDAY,
// need not end, and is spelled as some programs do. What is not understood is refused: a
// part that is passed over would give other dates.
func ParseEvent(text string) (*Rule, error) {
	text = strings.NewReplacer(" ", "", "\t", "", "+", "").Replace(strings.ToUpper(text))
	parts := slices.DeleteFunc(strings.Split(text, ";"), func(part string) bool { return part == "" })
	r, seen, err := parse(strings.Join(parts, ";"), bounds{events: true, longest: longestEventRule, count: mostEventDates, values: mostEventValues})
	if err == nil && seen["COUNT"] && seen["UNTIL"] {
		err = errors.New("a rule has COUNT or UNTIL, not both")
	}
	return r, err
}

// bounds are what a rule may have.
type bounds struct {
	events                 bool
	longest, count, values int
}

func parse(text string, within bounds) (*Rule, map[string]bool, error) {
	if len(text) > within.longest {
		return nil, nil, fmt.Errorf("a rule has %d characters at most", within.longest)
	}
	r := &Rule{Interval: 1, WeekStart: time.Monday, Frequency: -1, text: text}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, found := strings.Cut(part, "=")
		switch {
		case !found || value == "":
			return nil, nil, fmt.Errorf("a rule is made of parts like FREQ=WEEKLY, with semicolons between them; %q is none", part)
		case seen[name]:
			return nil, nil, fmt.Errorf("%s stands twice in the rule", name)
		}
		seen[name] = true
		if err := r.read(name, value, within); err != nil {
			return nil, nil, err
		}
	}
	return r, seen, r.check()
}

func (r *Rule) read(name, value string, within bounds) (err error) {
	switch {
	case name == "BYMONTH" && within.events:
		const months = 12
		r.ByMonth, err = list(name, value, within.values, func(name, value string) (int, error) { return number(name, value, 1, months) })
		return err
	case name == "BYYEARDAY" && within.events:
		r.ByYearDay, err = list(name, value, within.values, signed(366))
		return err
	case name == "UNTIL" && within.events:
		value = leapless(value)
	}
	switch name {
	case "FREQ":
		r.Frequency, err = oneOf(name, value, map[string]Frequency{"DAILY": Daily, "WEEKLY": Weekly, "MONTHLY": Monthly, "YEARLY": Yearly})
	case "INTERVAL":
		r.Interval, err = number(name, value, 1, longestInterval)
	case "COUNT":
		r.Count, err = number(name, value, 1, within.count)
	case "UNTIL":
		r.Until, err = until(value)
	case "WKST":
		r.WeekStart, err = oneOf(name, value, weekdays)
	case "BYDAY":
		r.ByDay, err = list(name, value, within.values, day)
	case "BYMONTHDAY":
		r.ByMonthDay, err = list(name, value, within.values, signed(31))
	case "BYSETPOS":
		r.BySetPos, err = list(name, value, within.values, signed(366))
	default:
		err = fmt.Errorf("%s is not supported: a rule has FREQ (DAILY, WEEKLY, MONTHLY, YEARLY), INTERVAL, COUNT or UNTIL, BYDAY, BYMONTHDAY, BYSETPOS and WKST", name)
	}
	return err
}

// check refuses what parts mean only together, or not at all.
func (r *Rule) check() error {
	switch {
	case r.Frequency < Daily:
		return errors.New("a rule needs FREQ: DAILY, WEEKLY, MONTHLY or YEARLY")
	case r.Frequency == Weekly && r.ByMonthDay != nil:
		return errors.New("BYMONTHDAY does not go with FREQ=WEEKLY")
	case r.Frequency != Yearly && r.ByYearDay != nil:
		return errors.New("BYYEARDAY goes with FREQ=YEARLY alone")
	case r.BySetPos != nil && r.ByDay == nil && r.ByMonthDay == nil && r.ByYearDay == nil && r.ByMonth == nil:
		return errors.New("BYSETPOS picks among the days of BYDAY or BYMONTHDAY: name those, too")
	case r.Frequency < Monthly && r.ordinal():
		return errors.New("a number before a day in BYDAY goes with FREQ=MONTHLY, or FREQ=YEARLY without BYMONTHDAY")
	}
	return nil
}

// ordinal tells whether a day has a number before it.
func (r *Rule) ordinal() bool {
	return slices.ContainsFunc(r.ByDay, func(day Day) bool { return day.Nth != 0 })
}

var weekdays = map[string]time.Weekday{ //nolint:gochecknoglobals // the RFC's words, never written
	"SU": time.Sunday, "MO": time.Monday, "TU": time.Tuesday, "WE": time.Wednesday, "TH": time.Thursday, "FR": time.Friday, "SA": time.Saturday,
}

func oneOf[T any](name, value string, words map[string]T) (T, error) {
	if found, ok := words[value]; ok {
		return found, nil
	}
	var none T
	return none, fmt.Errorf("%s=%s is not supported", name, value)
}

func number(name, value string, least, most int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most || value[0] == '+' {
		return 0, fmt.Errorf("%s is a whole number from %d to %d", name, least, most)
	}
	return n, nil
}

// list reads values with commas between them; a value that stands twice counts once.
func list[T comparable](name, value string, most int, read func(name, value string) (T, error)) ([]T, error) {
	var values []T
	for one := range strings.SplitSeq(value, ",") {
		read, err := read(name, one)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(values, read) {
			values = append(values, read)
		}
		if len(values) > most {
			return nil, fmt.Errorf("%s has %d values at most", name, most)
		}
	}
	return values, nil
}

// signed reads a number that counts from the start or, below zero, from the end.
func signed(most int) func(name, value string) (int, error) {
	return func(name, value string) (int, error) {
		n, err := strconv.Atoi(value)
		if err != nil || n == 0 || n > most || n < -most {
			return 0, fmt.Errorf("%s has numbers from 1 to %d, or from -%d to -1", name, most, most)
		}
		return n, nil
	}
}

func day(name, value string) (Day, error) {
	if len(value) < 2 {
		return Day{}, fmt.Errorf("%s has days like MO or 2TU or -1FR", name)
	}
	weekday, known := weekdays[value[len(value)-2:]]
	if !known {
		return Day{}, fmt.Errorf("%s has days like MO or 2TU or -1FR", name)
	}
	if len(value) == 2 {
		return Day{Weekday: weekday}, nil
	}
	nth, err := signed(53)(name, value[:len(value)-2])
	return Day{nth, weekday}, err
}

func until(value string) (Until, error) {
	for layout, of := range map[string]Until{"20060102": {AllDay: true}, "20060102T150405": {}, "20060102T150405Z": {Instant: true}} {
		if at, err := time.Parse(layout, value); err == nil && len(value) == len(layout) {
			of.Time = at
			return of, nil
		}
	}
	return Until{}, errors.New("UNTIL is a day like 20261231, or a time like 20261231T235900 or, in UTC, 20261231T235900Z")
}

// leapless is an UNTIL as some programs write it: a day of UTC's, or with a leap second.
func leapless(value string) string {
	bare, instant := strings.CutSuffix(value, "Z")
	if len(bare) == len("20060102") {
		return bare
	}
	if minute, leap := strings.CutSuffix(bare, "60"); leap {
		bare = minute + "59"
	}
	if instant {
		bare += "Z"
	}
	return bare
}
