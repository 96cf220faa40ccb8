package ical

import (
	"errors"
	"time"

	"github.com/taskmed/taskmed/internal/recurrence"
)

var errRule = errors.New("its rule for recurring is none that is understood (RRULE)")

const day = 24 * time.Hour

func midnight(t time.Time) time.Time { return t.Truncate(day) } // floating: as if in UTC

// between gives the floating dates of a rule that begins at start and lie between from and
// to, in order. The start is always the first of them. ended tells of a date whether it
// lies after the rule's end, which it is told. budget is what days may yet be looked at.
func between(text string, start, from, to time.Time, ended func(end recurrence.Until, date time.Time) bool, budget *int) ([]time.Time, error) {
	rule, err := recurrence.ParseEvent(text)
	if err != nil {
		return nil, errRule
	}
	return datesOf(rule, start, from, to, func(date time.Time) bool { return ended(rule.Until, date) }, budget)
}

// datesOf is between of a rule that was read.
func datesOf(rule *recurrence.Rule, start, from, to time.Time, ended func(time.Time) bool, budget *int) ([]time.Time, error) {
	dates, err := rule.Between(start, from, to, ended, budget)
	if err != nil {
		return nil, ErrDates
	}
	return dates, nil
}
