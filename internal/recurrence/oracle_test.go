package recurrence_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/recurrence"
)

// oracle knows rules as predicates on days, which it asks of every day of two years, and
// zones by the changes of their offset, which it finds by bisection.
type oracle struct {
	rule  *recurrence.Rule
	start time.Time
}

// index numbers a day's period from that of the start; -1 is none of the rule's.
func (o oracle) index(day time.Time) int {
	days := func(at time.Time) int { return int(at.Unix() / 86400) }
	n := 0
	switch o.rule.Frequency {
	case recurrence.Daily:
		n = days(day) - days(o.start)
	case recurrence.Weekly:
		// Day 0 of the epoch was a Thursday; weeks are counted from their first day.
		week := func(at time.Time) int { return (days(at) + 4 - int(o.rule.WeekStart) + 7) / 7 }
		n = week(day) - week(o.start)
	case recurrence.Monthly:
		n = (day.Year()-o.start.Year())*12 + int(day.Month()) - int(o.start.Month())
	case recurrence.Yearly:
		n = day.Year() - o.start.Year()
	}
	if n < 0 || n%o.rule.Interval != 0 {
		return -1
	}
	return n
}

// nth counts the days of a day's weekday in its month or year, from either end.
func (o oracle) nth(day time.Time, step int) (n int) {
	same := func(other time.Time) bool {
		return other.Year() == day.Year() && (o.rule.Frequency == recurrence.Yearly && o.rule.ByMonth == nil || other.Month() == day.Month())
	}
	for other := day; same(other); other = other.AddDate(0, 0, -7*step) {
		n += step
	}
	return n
}

func (o oracle) means(day time.Time) bool {
	r := o.rule
	if r.ByMonth != nil && !slices.Contains(r.ByMonth, int(day.Month())) {
		return false
	}
	if r.ByYearDay != nil && !slices.ContainsFunc(r.ByYearDay, func(n int) bool {
		return day.AddDate(0, 0, 1-n).Format("01-02") == "01-01" && n > 0 || n < 0 && day.AddDate(0, 0, -n-1).Format("01-02") == "12-31"
	}) {
		return false
	}
	if r.ByMonthDay != nil && !slices.ContainsFunc(r.ByMonthDay, func(n int) bool {
		return day.Day() == n || n < 0 && daysLeft(day) == -n
	}) {
		return false
	}
	if r.ByDay != nil && !slices.ContainsFunc(r.ByDay, func(d recurrence.Day) bool {
		return d.Weekday == day.Weekday() && (d.Nth == 0 || d.Nth == o.nth(day, 1) || d.Nth == o.nth(day, -1))
	}) {
		return false
	}
	if r.ByDay != nil || r.ByMonthDay != nil || r.ByYearDay != nil {
		return true
	}
	switch r.Frequency {
	case recurrence.Weekly:
		return day.Weekday() == o.start.Weekday()
	case recurrence.Monthly:
		return day.Day() == o.start.Day()
	case recurrence.Yearly:
		return day.Day() == o.start.Day() && (r.ByMonth != nil || day.Month() == o.start.Month())
	case recurrence.Daily:
	}
	return true
}

// daysLeft counts a day and those after it in its month.
func daysLeft(day time.Time) (n int) {
	for other := day; other.Month() == day.Month(); other = other.AddDate(0, 0, 1) {
		n++
	}
	return n
}

func (o oracle) times() (all []time.Time) {
	groups := map[int][]time.Time{}
	first := time.Date(o.start.Year(), 1, -6, o.start.Hour(), o.start.Minute(), 0, 0, time.UTC)
	last := o.start.AddDate(2, 0, 0)
	// A period is looked at to its end, or positions from its end would be others.
	for day := first; day.Before(last.AddDate(1, 0, 1)); day = day.AddDate(0, 0, 1) {
		if n := o.index(day); n >= 0 && o.means(day) {
			groups[n] = append(groups[n], day)
		}
	}
	for _, group := range groups {
		for i, day := range group {
			if o.rule.BySetPos == nil || slices.Contains(o.rule.BySetPos, i+1) || slices.Contains(o.rule.BySetPos, i-len(group)) {
				all = append(all, day)
			}
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return slices.DeleteFunc(all, func(at time.Time) bool { return at.Before(o.start) || at.After(last) })
}

// offset is a zone's, in seconds.
func offset(at int64, zone *time.Location) int64 {
	_, seconds := time.Unix(at, 0).In(zone).Zone()
	return int64(seconds)
}

// instant looks for the changes of the offset around a wall-clock time, and takes the
// first stretch between two of them in which the clock shows it; where there is none, the
// offset before the change that skips it.
func instant(wall int64, zone *time.Location) int64 {
	const around = 40 * 3600
	edges := []int64{wall - around}
	for at := wall - around; at < wall+around; at += 1800 {
		if offset(at, zone) == offset(at+1800, zone) {
			continue
		}
		low, high := at, at+1800
		for high-low > 1 {
			if middle := (low + high) / 2; offset(middle, zone) == offset(at, zone) {
				low = middle
			} else {
				high = middle
			}
		}
		edges = append(edges, high)
	}
	edges = append(edges, wall+around)
	skipped := int64(0)
	for i := range len(edges) - 1 {
		is := offset(edges[i], zone)
		if at := wall - is; at >= edges[i] && at < edges[i+1] {
			return at
		}
		if wall-is >= edges[i+1] {
			skipped = wall - is
		}
	}
	return skipped
}

// Rules, starts and zones by the thousand, against days and offsets counted one by one:
// TASKMED_RECURRENCE_CASES=10000 takes a minute.
func TestTimes_AreThoseOfTheOracle(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(2026, 11))
	zones := []struct {
		name, near string
	}{
		{"America/Santiago", "2026-09-06 00:00"},
		{"America/Santiago", "2027-04-04 00:00"},
		{"Africa/Cairo", "2026-04-24 00:00"},
		{"Africa/Cairo", "2026-10-30 00:00"},
		{"America/Sao_Paulo", "2018-11-04 00:00"},
		{"America/Sao_Paulo", "2018-02-18 00:00"},
		{"Australia/Lord_Howe", "2026-10-04 02:00"},
		{"Australia/Lord_Howe", "2027-04-04 02:00"},
		{"Pacific/Apia", "2011-12-30 00:00"},
		{"Pacific/Apia", "2012-04-01 03:00"},
		{"America/New_York", "2027-03-14 02:00"},
		{"Europe/Lisbon", "2026-10-25 01:00"},
	}
	frequencies := []string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
	days := []string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	cases := 1000
	if text := os.Getenv("TASKMED_RECURRENCE_CASES"); text != "" {
		var err error
		cases, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	booked, gaps, twice := 0, 0, 0
	for n := range cases {
		place := zones[random.IntN(len(zones))]
		zone, err := time.LoadLocation(place.name)
		require.NoError(t, err)
		frequency := pick(frequencies)
		rule := fmt.Sprintf("FREQ=%s;COUNT=%d", frequency, 1+random.IntN(12))
		if random.IntN(2) == 0 {
			rule += fmt.Sprintf(";INTERVAL=%d", 1+random.IntN(4))
		}
		if random.IntN(2) == 0 {
			by := []string{}
			for range 1 + random.IntN(3) {
				nth := ""
				if (frequency == "MONTHLY" || frequency == "YEARLY") && random.IntN(2) == 0 {
					nth = []string{"1", "2", "-1", "4", "5", "-2"}[random.IntN(6)]
				}
				by = append(by, nth+pick(days))
			}
			rule += ";BYDAY=" + strings.Join(by, ",")
		} else if frequency != "WEEKLY" && random.IntN(2) == 0 {
			rule += fmt.Sprintf(";BYMONTHDAY=%d,%d", 1+random.IntN(31), -1-random.IntN(31))
		}
		if strings.Contains(rule, "BY") && random.IntN(3) == 0 {
			rule += fmt.Sprintf(";BYSETPOS=%s", []string{"1", "-1", "2", "1,-1", "3"}[random.IntN(5)])
		}
		if random.IntN(3) == 0 {
			rule += ";WKST=" + pick(days)
		}
		parsed, err := recurrence.Parse(rule)
		require.NoError(t, err, rule)
		start := wall(t, place.near).AddDate(0, 0, -random.IntN(20)).Add(time.Duration(random.IntN(240)) * time.Minute)
		// The first date is the start, mostly, so that there is a series.
		want := oracle{parsed, start}.times()
		if len(want) > 0 && !want[0].Equal(start) {
			start = want[0]
			want = oracle{parsed, start}.times()
		}
		times, err := parsed.Times(start, utc)
		if len(want) < max(1, parsed.Count) || !want[0].Equal(start) {
			require.Error(t, err, "%s from %s", rule, start)
			continue
		}
		require.NoError(t, err, "%s from %s", rule, start)
		require.Equal(t, want[:parsed.Count], times, "%d: %s from %s", n, rule, start)
		for _, at := range times {
			booked++
			want := instant(at.Unix(), zone)
			require.Equal(t, want, recurrence.InZone(at, zone).Unix(), "%s in %s", at, place.name)
			back := recurrence.Wall(recurrence.InZone(at, zone), zone)
			if !back.Equal(at) {
				gaps++
			} else if want+offset(want, zone) == at.Unix() && offset(want+7200, zone) < offset(want, zone) {
				twice++
			}
		}
	}
	t.Logf("%d dates, %d of them skipped by the clocks, %d near a time shown twice", booked, gaps, twice)
	require.Greater(t, booked, 2*cases)
	require.Greater(t, gaps, cases/100)
	require.Positive(t, twice)
}

// Events' rules, which have more parts and no end, against the same oracle, and from
// anywhere in their midst.
func TestBetween_GivesThoseOfTheOracle(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(2026, 12))
	found := 0
	for range 600 {
		frequency := []string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY", "YEARLY"}[random.IntN(5)]
		text := fmt.Sprintf("FREQ=%s;INTERVAL=%d", frequency, 1+random.IntN(2))
		if random.IntN(2) == 0 {
			text += fmt.Sprintf(";BYMONTH=%d,%d", 1+random.IntN(12), 1+random.IntN(12))
		}
		switch by := random.IntN(4); {
		case by == 0 && frequency == "YEARLY":
			text += fmt.Sprintf(";BYYEARDAY=%d,%d,-%d", 1+random.IntN(366), 1+random.IntN(366), 1+random.IntN(366))
		case by == 1 && frequency != "WEEKLY":
			text += fmt.Sprintf(";BYMONTHDAY=%d,-%d", 1+random.IntN(31), 1+random.IntN(31))
		case by == 2 && (frequency == "MONTHLY" || frequency == "YEARLY"):
			text += fmt.Sprintf(";BYDAY=%dTU, +%dSA", -1-random.IntN(3), 1+random.IntN(5))
		case by == 3:
			text += ";BYDAY=MO,FR"
		}
		rule, err := recurrence.ParseEvent(text + ";")
		require.NoError(t, err, text)
		start := time.Date(2023, 1+time.Month(random.IntN(12)), 1+random.IntN(28), 9, 30, 0, 0, time.UTC)
		o := oracle{rule, start}
		from := start.AddDate(0, 0, random.IntN(500))
		to := from.AddDate(0, 0, random.IntN(200))
		want := slices.DeleteFunc(append([]time.Time{start}, o.times()...), func(at time.Time) bool { return at.Before(from) || at.After(to) })
		budget := 5000
		got, err := rule.Between(start, from, to, nil, &budget)
		require.NoError(t, err)
		require.True(t, slices.Equal(slices.Compact(want), got), "%s from %s, %s to %s", text, start, from, to)
		found += len(got)
		budget = 0
		if to.After(start) {
			_, err = rule.Between(start, from, to, nil, &budget)
			require.ErrorIs(t, err, recurrence.ErrBudget)
		}
	}
	require.Greater(t, found, 1000)
}
