package ical

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rule is a recurrence rule (RFC 5545, section 3.3.10), of which days are told and the
// time of day is the event's own. It is expanded in floating time, as if the clocks
// were never changed: each date is mapped to its zone by whoever asks.
//
// Days are counted by walking through them: what a rule costs is bounded by the days
// that lie between its start and the end of what is asked for, whatever it says.
type rule struct {
	freq     string
	interval int
	count    int
	until    *stamp
	wkst     time.Weekday
	months   []int
	monthDay []int
	yearDay  []int
	weekdays []nth
	setPos   []int
}

// nth is a weekday, the n-th of its month or year, from the end where n is below 0, and
// each where it is 0.
type nth struct {
	n   int
	day time.Weekday
}

var errRule = errors.New("its rule for recurring is none that is understood (RRULE)")

const days = " SU MO TU WE TH FR SA "

func weekday(text string) (time.Weekday, bool) {
	at := strings.Index(days, " "+text+" ")
	return time.Weekday(at / 3), at >= 0 && len(text) == 2
}

// parseRule reads a rule. What it does not know it refuses: a part that is passed over
// would give other dates.
func parseRule(text string) (*rule, error) {
	r := &rule{interval: 1, wkst: time.Monday}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(strings.ToUpper(strings.TrimSpace(text)), ";") {
		key, value, _ := strings.Cut(part, "=")
		if part == "" {
			continue
		}
		if seen[key] {
			return nil, errRule
		}
		seen[key] = true
		if !r.set(key, strings.TrimSpace(value)) {
			return nil, errRule
		}
	}
	daily := r.freq == "DAILY" || r.freq == "WEEKLY"
	ordinal := slices.ContainsFunc(r.weekdays, func(w nth) bool { return w.n != 0 })
	switch {
	case r.freq == "", r.count > 0 && r.until != nil, daily && ordinal,
		r.freq == "WEEKLY" && r.monthDay != nil, r.freq != "YEARLY" && r.yearDay != nil,
		r.setPos != nil && r.weekdays == nil && r.monthDay == nil && r.yearDay == nil && r.months == nil:
		return nil, errRule
	}
	return r, nil
}

func (r *rule) set(key, value string) (ok bool) {
	switch key {
	case "FREQ":
		r.freq = value
		return listed(" DAILY WEEKLY MONTHLY YEARLY ", value)
	case "INTERVAL":
		r.interval, ok = number(value, 1, 1000)
	case "COUNT":
		r.count, ok = number(value, 1, 100_000)
	case "UNTIL":
		until, err := parseStamp(value, "")
		r.until, ok = &until, err == nil
	case "WKST":
		r.wkst, ok = weekday(value)
	case "BYMONTH":
		r.months, ok = numbers(value, 1, 12)
	case "BYMONTHDAY":
		r.monthDay, ok = numbers(value, -31, 31)
	case "BYYEARDAY":
		r.yearDay, ok = numbers(value, -366, 366)
	case "BYSETPOS":
		r.setPos, ok = numbers(value, -366, 366)
	case "BYDAY":
		for one := range strings.SplitSeq(value, ",") {
			one = strings.TrimSpace(one)
			if len(one) < 2 || len(r.weekdays) > 100 {
				return false
			}
			day, known := weekday(one[len(one)-2:])
			n := 0
			if ordinal := one[:len(one)-2]; ordinal != "" {
				var fits bool
				if n, fits = number(strings.TrimPrefix(ordinal, "+"), -53, 53); !fits || n == 0 {
					return false
				}
			}
			if !known {
				return false
			}
			r.weekdays = append(r.weekdays, nth{n, day})
		}
		ok = true
	}
	return ok
}

func number(text string, low, high int) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= low && n <= high
}

// numbers reads a list, in which there is no 0.
func numbers(text string, low, high int) ([]int, bool) {
	var all []int
	for one := range strings.SplitSeq(text, ",") {
		n, ok := number(strings.TrimPrefix(strings.TrimSpace(one), "+"), low, high)
		if !ok || n == 0 || len(all) > 400 {
			return nil, false
		}
		all = append(all, n)
	}
	return all, true
}

const day = 24 * time.Hour

// expand gives the floating dates of a rule that begins at start and lie between from
// and to, in order. The start is always the first of them. ended tells of a date
// whether it lies after UNTIL. budget is what days may yet be looked at, and is spent.
func (r *rule) expand(start, from, to time.Time, ended func(time.Time) bool, budget *int) ([]time.Time, error) {
	var all []time.Time
	left := r.count
	// take tells whether there may be more.
	take := func(date time.Time) bool {
		if date.After(to) || r.until != nil && ended(date) {
			return false
		}
		if !date.Before(from) {
			all = append(all, date)
		}
		left--
		return left != 0
	}
	if left == 0 {
		left = -1
	}
	if !take(start) {
		return all, nil
	}
	clock := start.Sub(midnight(start))
	for period := r.first(start, from); !period.After(to); period = r.next(period) {
		end := r.after(period)
		var set []time.Time
		for date := period; date.Before(end); date = date.Add(day) {
			if *budget--; *budget < 0 {
				return nil, ErrDates
			}
			if r.months != nil && !slices.Contains(r.months, int(date.Month())) {
				date = time.Date(date.Year(), date.Month()+1, 0, 0, 0, 0, 0, time.UTC) // its last day: on to the next month
				continue
			}
			if r.matches(date, start) {
				set = append(set, date)
			}
		}
		for _, date := range r.positions(set) {
			if at := date.Add(clock); at.After(start) && !take(at) {
				return all, nil
			}
		}
	}
	return all, nil
}

func midnight(t time.Time) time.Time { return t.Truncate(day) } // floating: as if in UTC

// first is the period of the rule's that holds its start or, where nobody counts from
// there, the last that begins before from.
func (r *rule) first(start, from time.Time) time.Time {
	period := r.begin(start)
	if r.count > 0 || !from.After(start) {
		return period
	}
	steps := 0
	switch r.freq {
	case "DAILY", "WEEKLY":
		length := int(r.after(period).Sub(period) / day)
		steps = int(from.Sub(period)/day) / (length * r.interval)
		return period.AddDate(0, 0, steps*length*r.interval)
	case "MONTHLY":
		steps = ((from.Year()-period.Year())*12 + int(from.Month()-period.Month())) / r.interval
		return period.AddDate(0, steps*r.interval, 0)
	}
	steps = (from.Year() - period.Year()) / r.interval
	return period.AddDate(steps*r.interval, 0, 0)
}

// begin is the first day of the period that holds a date.
func (r *rule) begin(date time.Time) time.Time {
	date = midnight(date)
	switch r.freq {
	case "WEEKLY":
		return date.AddDate(0, 0, -((int(date.Weekday()) - int(r.wkst) + 7) % 7))
	case "MONTHLY":
		return date.AddDate(0, 0, 1-date.Day())
	case "YEARLY":
		return date.AddDate(0, 0, 1-date.YearDay())
	}
	return date
}

// after is the first day behind a period, next the first of the period that follows in
// the rule.
func (r *rule) after(period time.Time) time.Time { return r.step(period, 1) }
func (r *rule) next(period time.Time) time.Time  { return r.step(period, r.interval) }

func (r *rule) step(period time.Time, n int) time.Time {
	switch r.freq {
	case "WEEKLY":
		return period.AddDate(0, 0, 7*n)
	case "MONTHLY":
		return period.AddDate(0, n, 0)
	case "YEARLY":
		return period.AddDate(n, 0, 0)
	}
	return period.AddDate(0, 0, n)
}

// matches tells whether a day is one of its period's (the table of section 3.3.10);
// what the rule leaves open is as on the day of its start. Its month is looked at before.
func (r *rule) matches(date, start time.Time) bool {
	if r.monthDay != nil && !counted(r.monthDay, date.Day(), daysOfMonth(date)) {
		return false
	}
	if r.yearDay != nil && !counted(r.yearDay, date.YearDay(), daysOfYear(date)) {
		return false
	}
	if r.weekdays != nil {
		return slices.ContainsFunc(r.weekdays, func(w nth) bool { return r.isWeekday(w, date) })
	}
	if r.monthDay != nil || r.yearDay != nil {
		return true
	}
	switch r.freq {
	case "WEEKLY":
		return date.Weekday() == start.Weekday()
	case "MONTHLY":
		return date.Day() == start.Day()
	case "YEARLY":
		return date.Day() == start.Day() && (r.months != nil || date.Month() == start.Month())
	}
	return true
}

func counted(list []int, n, of int) bool {
	return slices.Contains(list, n) || slices.Contains(list, n-of-1)
}

func (r *rule) isWeekday(w nth, date time.Time) bool {
	if date.Weekday() != w.day {
		return false
	}
	if w.n == 0 {
		return true
	}
	n, of := date.YearDay(), daysOfYear(date)
	if r.freq == "MONTHLY" || r.months != nil {
		n, of = date.Day(), daysOfMonth(date)
	}
	if w.n > 0 {
		return (n-1)/7+1 == w.n
	}
	return (of-n)/7+1 == -w.n
}

func daysOfMonth(date time.Time) int {
	return time.Date(date.Year(), date.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

func daysOfYear(date time.Time) int {
	return time.Date(date.Year(), time.December, 31, 0, 0, 0, 0, time.UTC).YearDay()
}

// positions picks what BYSETPOS says out of a period's days.
func (r *rule) positions(set []time.Time) []time.Time {
	if r.setPos == nil {
		return set
	}
	var picked []time.Time
	for i, date := range set {
		if counted(r.setPos, i+1, len(set)) {
			picked = append(picked, date)
		}
	}
	return picked
}
