package availability

import (
	"iter"
	"slices"
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
	for block := range blocks(hours, zone, within) {
		spans = append(spans, block.Span)
	}
	return merged(spans)
}

// Works tells whether weekly hours hold all of a span.
func Works(hours []*models.WorkingHour, zone *time.Location, span Span) bool {
	return covers(working(hours, zone, span), span)
}

// starts gives the instants within a span at which slots may begin, in their order: the
// wall clock shows the beginning of a stretch of the weekly hours or a multiple of the
// grid after it, within that stretch.
func starts(hours []*models.WorkingHour, zone *time.Location, grid time.Duration, within Span) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for block := range blocks(hours, zone, within) {
			skip := max(0, (block.From.Sub(block.begins)+grid-1)/grid)
			for start := block.begins.Add(skip * grid); start.Before(block.To); start = start.Add(grid) {
				if !yield(start) {
					return
				}
			}
		}
	}
}

// onGrid tells whether slots may begin at an instant.
func onGrid(hours []*models.WorkingHour, zone *time.Location, grid time.Duration, start time.Time) bool {
	for at := range starts(hours, zone, grid, Span{start, start.Add(time.Minute)}) {
		return at.Equal(start)
	}
	return false
}

// block is a stretch of the weekly hours on one day, as far as it lies within what is
// looked at.
type block struct {
	Span

	// begins is when all of the stretch begins, by the offset that the clocks have
	// within the block: it may lie before the change that brought that offset.
	begins time.Time
}

// blocks lays the weekly hours, which are in order, over a span.
func blocks(hours []*models.WorkingHour, zone *time.Location, within Span) iter.Seq[block] {
	return func(yield func(block) bool) {
		for from := within.From; from.Before(within.To); {
			// Between two changes of the offset the wall clock is UTC plus a
			// constant, so days have 24 hours and need no care.
			local := from.In(zone)
			to := within.To
			if _, change := local.ZoneBounds(); !change.IsZero() {
				to = earlier(to, change)
			}
			_, seconds := local.Zone()
			for block := range weekly(hours, time.Duration(seconds)*time.Second, Span{from, to}) {
				if !yield(block) {
					return
				}
			}
			from = to
		}
	}
}

// weekly lays the weekly hours over a span in which the wall clock is offset
// ahead of UTC.
func weekly(hours []*models.WorkingHour, offset time.Duration, within Span) iter.Seq[block] {
	const day = 24 * time.Hour
	return func(yield func(block) bool) {
		// Truncate counts from a Monday's midnight in UTC, so it finds midnights.
		for midnight := within.From.Add(offset).UTC().Truncate(day); midnight.Before(within.To.Add(offset)); midnight = midnight.Add(day) {
			for _, stretch := range hours {
				if stretch.ISOWeekday != isoWeekday(midnight) {
					continue
				}
				start := midnight.Add(-offset)
				begins := start.Add(time.Duration(stretch.FromMinute) * time.Minute)
				span := Span{begins, start.Add(time.Duration(stretch.ToMinute) * time.Minute)}.clip(within)
				if !span.empty() && !yield(block{span, begins}) {
					return
				}
			}
		}
	}
}

// inOrder puts weekly hours in the order in which they come on their days.
func inOrder(hours []*models.WorkingHour) {
	slices.SortFunc(hours, func(a, b *models.WorkingHour) int { return a.FromMinute - b.FromMinute })
}

// isoWeekday is 1 for Monday to 7 for Sunday (ISO 8601).
func isoWeekday(t time.Time) int {
	const week = 7
	return (int(t.Weekday())+week-1)%week + 1
}

// Skipped tells whether a time was written as the zone's wall clock would show
// it, with the offset from before or after a change, though the clocks skip it:
// 02:30 -05:00 in New York on the day they are put forward. A time written in
// UTC (Z) or with any other offset is a plain instant and never skipped.
func Skipped(written time.Time, zone *time.Location) bool {
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
