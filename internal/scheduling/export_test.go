package scheduling

import (
	"slices"
	"time"

	"github.com/taskmed/taskmed/models"
)

// The arithmetic behind Availability, for property tests without a database.

// FreeSlots lays slots over what busy spans leave of the weekly hours.
func FreeSlots(hours []*models.WorkingHour, zone *time.Location, within Span, busy []Span, length time.Duration) []Span {
	return slices.Collect(slots(subtract(working(hours, zone, within), busy), length))
}

// Working gives the spans in which the wall clock shows a time of the hours.
func Working(hours []*models.WorkingHour, zone *time.Location, within Span) []Span {
	return working(hours, zone, within)
}

// Nearest gives the slots nearest to an instant.
func Nearest(free []Span, length time.Duration, wanted time.Time, count int) []Span {
	return nearest(free, length, wanted, count)
}

// Subtract takes spans away from others.
func Subtract(spans, taken []Span) []Span { return subtract(merged(spans), taken) }

// Slots lays slots over free spans.
func Slots(free []Span, length time.Duration) []Span { return slices.Collect(slots(free, length)) }

// Skipped tells whether the clocks of a zone skip a time as it was written.
func Skipped(written time.Time, zone *time.Location) bool { return skipped(written, zone) }

// WithoutLock makes bookings of the same practitioner no longer wait for each
// other: what a race test must catch.
func (d *Diary) WithoutLock() { d.lock = "KEY SHARE" }
