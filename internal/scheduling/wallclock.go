package scheduling

import (
	"time"

	"github.com/taskmed/taskmed/models"
)

// working gives the instants within a span at which the wall clock in a zone
// shows a time of the weekly hours. Where the clocks are put forward a stretch
// shrinks by what they skip; where they are put back, what they show twice
// counts twice. The result is merged: hours that touch are one stretch, also
// over midnight.
func working(hours []*models.WorkingHour, zone *time.Location, within Span) []Span {
	var spans []Span
	for from := within.From; from.Before(within.To); {
		// Between two changes of the offset the wall clock is UTC plus a
		// constant, so days have 24 hours and need no care.
		local := from.In(zone)
		to := within.To
		if _, change := local.ZoneBounds(); !change.IsZero() {
			to = earlier(to, change)
		}
		_, seconds := local.Zone()
		spans = append(spans, weekly(hours, time.Duration(seconds)*time.Second, Span{from, to})...)
		from = to
	}
	return merged(spans)
}

// weekly lays the weekly hours over a span in which the wall clock is offset
// ahead of UTC.
func weekly(hours []*models.WorkingHour, offset time.Duration, within Span) []Span {
	const day = 24 * time.Hour
	var spans []Span
	// Truncate counts from a Monday's midnight in UTC, so it finds midnights.
	for midnight := within.From.Add(offset).UTC().Truncate(day); midnight.Before(within.To.Add(offset)); midnight = midnight.Add(day) {
		for _, stretch := range hours {
			if stretch.ISOWeekday != isoWeekday(midnight) {
				continue
			}
			start := midnight.Add(-offset)
			span := Span{
				start.Add(time.Duration(stretch.FromMinute) * time.Minute),
				start.Add(time.Duration(stretch.ToMinute) * time.Minute),
			}.clip(within)
			if !span.empty() {
				spans = append(spans, span)
			}
		}
	}
	return spans
}

// isoWeekday is 1 for Monday to 7 for Sunday (ISO 8601).
func isoWeekday(t time.Time) int {
	const week = 7
	return (int(t.Weekday())+week-1)%week + 1
}

// skipped tells whether a time was written as the zone's wall clock would show
// it, with the offset from before or after a change, though the clocks skip it:
// 02:30 -05:00 in New York on the day they are put forward. A time written in
// UTC (Z) or with any other offset is a plain instant and never skipped.
func skipped(written time.Time, zone *time.Location) bool {
	if written.Location() == time.UTC {
		return false
	}
	_, offset := written.Zone()
	wall := written.Unix() + int64(offset)
	before, after := written.In(zone).ZoneBounds()
	for _, change := range []time.Time{before, after} {
		if change.IsZero() {
			continue
		}
		_, was := change.Add(-time.Nanosecond).In(zone).Zone()
		_, is := change.In(zone).Zone()
		ours := offset == was || offset == is
		if ours && wall >= change.Unix()+int64(was) && wall < change.Unix()+int64(is) {
			return true
		}
	}
	return false
}
