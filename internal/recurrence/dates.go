package recurrence

import (
	"errors"
	"fmt"
	"math"
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
	var refused error
	last := start.AddDate(longestYears, 0, 0)
	ended := false
	unbounded := math.MaxInt
	r.walk(start, last, 0, &unbounded, func(at time.Time) bool {
		switch {
		case !r.Until.Time.IsZero() && r.Until.ends(at, instant):
			ended = true
		case at.After(last):
			refused = errTooLong()
		default:
			times = append(times, at)
			ended = len(times) == r.Count
		}
		if len(times) > mostDates {
			refused = fmt.Errorf("the rule gives more than %d dates: let it end earlier", mostDates)
		}
		return !ended && refused == nil
	})
	switch {
	case refused != nil:
		return nil, refused
	case ended:
	case r.Until.Time.After(last):
		return nil, errTooLong()
	case r.Count > 0:
		return nil, fmt.Errorf("the rule gives only %d of %d dates within %d years: let it end earlier", len(times), r.Count, longestYears)
	}
	return r.begins(times, start)
}

// ErrBudget tells that a rule's dates are not found within the days that may be looked at.
var ErrBudget = errors.New("recurrence: too many days to look at")

// Between gives the wall-clock times of an event's rule that lie from one to another, in
// order, as if the clock were UTC. Whatever the rule says, the event's start is the first.
// ended tells of a time whether it lies after UNTIL. budget is how many days may yet be
// looked at, and is spent: what a rule costs is bounded by it, whatever it says.
func (r *Rule) Between(start, from, to time.Time, ended func(time.Time) bool, budget *int) ([]time.Time, error) {
	var times []time.Time
	left := r.Count
	// take tells whether there may be more.
	take := func(at time.Time) bool {
		if at.After(to) || (!r.Until.Time.IsZero() && ended(at)) {
			return false
		}
		if !at.Before(from) {
			times = append(times, at)
		}
		left--
		return left != 0
	}
	if !take(start) {
		return times, nil
	}
	first := 0
	if r.Count == 0 && from.After(start) {
		// Nobody counts from the start.
		first = r.periodsTo(midnight(start), midnight(from))
	}
	if !r.walk(start, to, first, budget, func(at time.Time) bool { return at.Equal(start) || take(at) }) {
		return nil, ErrBudget
	}
	return times, nil
}

// walk hands out the wall-clock times of a rule that begins at one, in order and from its
// nth period on, until take has enough, or a period begins after the last that is asked
// for. It gives false once the budget of days that may be looked at is spent.
func (r *Rule) walk(start, last time.Time, n int, budget *int, take func(at time.Time) bool) bool {
	first := midnight(start)
	clock := start.Sub(first)
	for ; ; n++ {
		from, to := r.period(first, n)
		if from.After(last) {
			return true
		}
		days, within := r.days(from, to, first, budget)
		if !within {
			return false
		}
		for _, day := range days {
			if at := day.Add(clock); !at.Before(start) && !take(at) {
				return true
			}
		}
	}
}

func midnight(at time.Time) time.Time {
	return time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
}

// periodsTo is how many of the rule's periods begin before a later day's, at most.
func (r *Rule) periodsTo(start, day time.Time) int {
	const hours, week, months = 24 * time.Hour, 7, 12
	from, _ := r.period(start, 0)
	periods := 0
	switch r.Frequency {
	case Daily:
		periods = int(day.Sub(from) / hours)
	case Weekly:
		periods = int(day.Sub(from)/hours) / week
	case Monthly:
		periods = (day.Year()-from.Year())*months + int(day.Month()) - int(from.Month())
	case Yearly:
		periods = day.Year() - from.Year()
	}
	return periods / r.Interval
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

// days are a period's days that the rule means, in order; within is false once the budget
// is spent.
func (r *Rule) days(from, to, start time.Time, budget *int) (days []time.Time, within bool) {
	for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
		if *budget--; *budget < 0 {
			return nil, false
		}
		if r.ByMonth != nil && !slices.Contains(r.ByMonth, int(day.Month())) {
			day = time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC) // its last day: on to the next month
			continue
		}
		if r.means(day, from, to, start) {
			days = append(days, day)
		}
	}
	if r.BySetPos == nil {
		return days, true
	}
	var picked []time.Time
	for i, day := range days {
		if slices.Contains(r.BySetPos, i+1) || slices.Contains(r.BySetPos, i-len(days)) {
			picked = append(picked, day)
		}
	}
	return picked, true
}

// means tells whether the rule means a day of a period, whose month is looked at before.
// What it does not say is that of the start.
func (r *Rule) means(day, from, to, start time.Time) bool {
	if r.ByMonthDay != nil {
		length := time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
		if !slices.Contains(r.ByMonthDay, day.Day()) && !slices.Contains(r.ByMonthDay, day.Day()-length-1) {
			return false
		}
	}
	if r.ByYearDay != nil {
		length := time.Date(day.Year(), time.December, 31, 0, 0, 0, 0, time.UTC).YearDay()
		if !slices.Contains(r.ByYearDay, day.YearDay()) && !slices.Contains(r.ByYearDay, day.YearDay()-length-1) {
			return false
		}
	}
	if r.ByDay != nil && r.ByMonth != nil {
		// Then days are counted within their months.
		from = time.Date(day.Year(), day.Month(), 1, 0, 0, 0, 0, time.UTC)
		to = from.AddDate(0, 1, 0)
	}
	if r.ByDay != nil {
		return slices.ContainsFunc(r.ByDay, func(wanted Day) bool { return wanted.is(day, from, to) })
	}
	if r.ByMonthDay != nil || r.ByYearDay != nil {
		return true
	}
	switch r.Frequency {
	case Weekly:
		return day.Weekday() == start.Weekday()
	case Monthly:
		return day.Day() == start.Day()
	case Yearly:
		return day.Day() == start.Day() && (r.ByMonth != nil || day.Month() == start.Month())
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
