package recurrence

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// errNever is told of a rule that has no date after its first: it would be no series.
var errNever = errors.New("the rule gives no date within two years")

// Times are the wall-clock times of a rule that begins at one, in order, as if the clock
// were UTC. As the RFC has it the first is the start, which must be one of the rule's
// dates: what is meant by another one is not defined there. instant says which instant a
// wall-clock time is, for an UNTIL in UTC. More than 200 dates, or dates after two years,
// are refused.
func (r *Rule) Times(start time.Time, instant func(time.Time) time.Time) ([]time.Time, error) {
	var times []time.Time
	last := start.AddDate(longestYears, 0, 0)
	midnight := time.Date(start.Year(), start.Month(), start.Day(), 0, 0, 0, 0, time.UTC)
	clock := start.Sub(midnight)
	for n := 0; ; n++ {
		from, to := r.period(midnight, n)
		if from.After(last) {
			break
		}
		for _, day := range r.days(from, to, midnight) {
			at := day.Add(clock)
			switch {
			case at.Before(start):
				continue
			case !r.Until.Time.IsZero() && r.Until.ends(at, instant):
				return r.begins(times, start)
			case at.After(last):
				return nil, errTooLong()
			}
			if times = append(times, at); len(times) > mostDates {
				return nil, fmt.Errorf("the rule gives more than %d dates: let it end earlier", mostDates)
			}
			if len(times) == r.Count {
				return r.begins(times, start)
			}
		}
	}
	switch {
	case r.Until.Time.After(last):
		return nil, errTooLong()
	case r.Count > 0:
		return nil, fmt.Errorf("the rule gives only %d of %d dates within %d years: let it end earlier", len(times), r.Count, longestYears)
	}
	return r.begins(times, start)
}

func errTooLong() error {
	return fmt.Errorf("the rule goes on for more than %d years: let it end earlier", longestYears)
}

// begins refuses a series that does not begin where it is said to.
func (r *Rule) begins(times []time.Time, start time.Time) ([]time.Time, error) {
	switch {
	case len(times) == 0:
		return nil, errNever
	case !times[0].Equal(start):
		return nil, fmt.Errorf("the start is no date of the rule: the first one is %s", times[0].Format(time.DateOnly))
	}
	return times, nil
}

// ends tells whether a time lies after the rule's end.
func (u Until) ends(at time.Time, instant func(time.Time) time.Time) bool {
	switch {
	case u.AllDay:
		return !at.Before(u.Time.AddDate(0, 0, 1))
	case u.Instant:
		return instant(at).After(u.Time)
	}
	return at.After(u.Time)
}

// period is the nth one, from its first midnight to the one after its last.
func (r *Rule) period(start time.Time, n int) (from, to time.Time) {
	n *= r.Interval
	switch r.Frequency {
	case Daily:
		from = start.AddDate(0, 0, n)
		return from, from.AddDate(0, 0, 1)
	case Weekly:
		const week = 7
		into := (int(start.Weekday()) - int(r.WeekStart) + week) % week
		from = start.AddDate(0, 0, week*n-into)
		return from, from.AddDate(0, 0, week)
	case Monthly:
		from = time.Date(start.Year(), start.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
		return from, from.AddDate(0, 1, 0)
	case Yearly:
	}
	from = time.Date(start.Year()+n, time.January, 1, 0, 0, 0, 0, time.UTC)
	return from, from.AddDate(1, 0, 0)
}

// days are a period's days that the rule means, in order.
func (r *Rule) days(from, to, start time.Time) []time.Time {
	var days []time.Time
	for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
		if r.means(day, from, to, start) {
			days = append(days, day)
		}
	}
	if r.BySetPos == nil {
		return days
	}
	var picked []time.Time
	for i, day := range days {
		if slices.Contains(r.BySetPos, i+1) || slices.Contains(r.BySetPos, i-len(days)) {
			picked = append(picked, day)
		}
	}
	return picked
}

// means tells whether the rule means a day of a period. What it does not say is that of
// the start.
func (r *Rule) means(day, from, to, start time.Time) bool {
	if r.ByMonthDay != nil {
		length := time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
		if !slices.Contains(r.ByMonthDay, day.Day()) && !slices.Contains(r.ByMonthDay, day.Day()-length-1) {
			return false
		}
	}
	if r.ByDay != nil {
		return slices.ContainsFunc(r.ByDay, func(wanted Day) bool { return wanted.is(day, from, to) })
	}
	if r.ByMonthDay != nil {
		return true
	}
	switch r.Frequency {
	case Weekly:
		return day.Weekday() == start.Weekday()
	case Monthly:
		return day.Day() == start.Day()
	case Yearly:
		return day.Day() == start.Day() && day.Month() == start.Month()
	case Daily:
	}
	return true
}

// is tells whether a day is the one that is meant, of the period from one midnight to
// another.
func (d Day) is(day, from, to time.Time) bool {
	const hours, week = 24 * time.Hour, 7
	if day.Weekday() != d.Weekday {
		return false
	}
	switch {
	case d.Nth > 0:
		return int(day.Sub(from)/hours)/week == d.Nth-1
	case d.Nth < 0:
		return int(to.Sub(day)/hours-1)/week == -d.Nth-1
	}
	return true
}
