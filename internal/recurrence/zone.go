package recurrence

import "time"

// InZone is the instant at which a zone's clocks show a wall-clock time, by the rule of
// RFC 5545 (3.3.5): a time that the clocks skip is taken by the offset from before they
// are put forward, so that 02:30 becomes 03:30; of a time that they show twice it is the
// first.
func InZone(wall time.Time, zone *time.Location) time.Time {
	wall = time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, time.UTC)
	// No clock is farther from UTC than 15 hours, and none is put forward or back twice
	// within two days: the offset from before is that of a day earlier.
	const day = 24 * time.Hour
	_, before := wall.Add(-day).In(zone).Zone()
	first := wall.Add(-time.Duration(before) * time.Second).In(zone)
	if shown(first, zone).Equal(wall) {
		return first
	}
	_, after := wall.Add(day).In(zone).Zone()
	if second := wall.Add(-time.Duration(after) * time.Second).In(zone); shown(second, zone).Equal(wall) {
		return second
	}
	return first
}

// shown is what a zone's clocks show at an instant, as if they were UTC.
func shown(at time.Time, zone *time.Location) time.Time {
	local := at.In(zone)
	return time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), 0, time.UTC)
}

// Wall is what a zone's clocks show at an instant, as if they were UTC.
func Wall(at time.Time, zone *time.Location) time.Time { return shown(at, zone) }
