package availability

import (
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// The arithmetic behind Availability, for property tests without a database.

// FreeSlots are the free slots on the grid that busy spans leave of the weekly hours.
func FreeSlots(hours []*models.WorkingHour, zone *time.Location, grid time.Duration, within Span, busySpans []Span, length time.Duration) (found []Span) {
	for _, slot := range factsOf(hours, zone, grid, within, busySpans).slots(length, within.From, 1<<30) {
		found = append(found, Span{slot.StartsAt, slot.EndsAt})
	}
	return found
}

// IsFree judges one time by the rules alone.
func IsFree(hours []*models.WorkingHour, zone *time.Location, grid time.Duration, busySpans []Span, asked, within Span) bool {
	scope := &tenant.Scope{Role: models.RoleReceptionist}
	return len(factsOf(hours, zone, grid, within, busySpans).Obstacles(scope, Question{Span: asked}, within.From)) == 0
}

func factsOf(hours []*models.WorkingHour, zone *time.Location, grid time.Duration, within Span, busySpans []Span) *Facts {
	one := &person{active: true, offers: true, hours: hours, working: working(hours, zone, within)}
	for _, span := range busySpans {
		one.taken = append(one.taken, &busy{Kind: models.SlotObstacleKindAppointment, ID: models.NewID(), StartsAt: span.From, EndsAt: span.To})
	}
	inOrder(one.hours)
	return &Facts{zone: zone, grid: grid, within: within, people: map[uuid.UUID]*person{{}: one}, offered: true}
}

// Working gives the spans in which the wall clock shows a time of the hours.
func Working(hours []*models.WorkingHour, zone *time.Location, within Span) []Span {
	return working(hours, zone, within)
}

// Subtract takes spans away from others.
func Subtract(spans, taken []Span) []Span { return subtract(merged(spans), taken) }
