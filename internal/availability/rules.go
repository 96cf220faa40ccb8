package availability

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// How far from now a visit may begin.
const (
	// What came and went yesterday may still be written down.
	farthestBack = 24 * time.Hour
	// So long ago who may override enters visits, and so far ahead anybody books.
	farthestBackYears  = 1
	farthestAheadYears = 2
)

// MayOverride tells whether a role may go beyond the diary's rules.
func MayOverride(role models.Role) bool {
	switch role {
	case models.RoleOwner, models.RoleAdmin, models.RolePractitioner:
		return true
	case models.RoleReceptionist, models.RoleFinance, models.RolePartner:
	}
	return false
}

// MayEnter tells whether a role may enter a visit that began in the past.
func MayEnter(role models.Role, start, now time.Time) bool {
	if MayOverride(role) {
		return !start.Before(now.AddDate(-farthestBackYears, 0, 0))
	}
	return !start.Before(now.Add(-farthestBack))
}

// Latest is the last instant at which a visit may begin.
func Latest(now time.Time) time.Time { return now.AddDate(farthestAheadYears, 0, 0) }

// Question is one time that is asked for.
type Question struct {
	Practitioner uuid.UUID
	Span         Span
	// Appointment is the one that is to move, and Hold the one that is to be redeemed:
	// neither is in its own way. uuid.Nil for none.
	Appointment, Hold uuid.UUID
}

// Ask reads the facts of one time. The service and the contact are uuid.Nil for none.
func (b *Book) Ask(ctx context.Context, practitioner, service, contact uuid.UUID, within Span) (*Facts, error) {
	known, zone, err := b.setting(ctx, service)
	if err != nil {
		return nil, err
	}
	people, err := b.people(ctx, wanted{ids: []uuid.UUID{practitioner}, service: service, most: 1})
	if err != nil {
		return nil, err
	}
	return b.facts(ctx, known, zone, people, contact, within)
}

// AskEach reads the facts of several times of some practitioners together: of what lies
// between them nothing is read. There is one time at least, and they are in order.
func (b *Book) AskEach(ctx context.Context, practitioners []uuid.UUID, service, contact uuid.UUID, times []Span) (*Facts, error) {
	known, zone, err := b.setting(ctx, service)
	if err != nil {
		return nil, err
	}
	people, err := b.people(ctx, wanted{ids: practitioners, service: service, most: len(practitioners)})
	if err != nil {
		return nil, err
	}
	within, begins, ends := times[0], make([]time.Time, len(times)), make([]time.Time, len(times))
	for i, one := range times {
		begins[i], ends[i], within.To = one.From, one.To, later(within.To, one.To)
	}
	return b.gather(ctx, known, zone, people, contact, within, busyAt(), begins, ends)
}

// LeaveOut takes appointments out of the facts: those that move together are in no way
// of each other.
func (f *Facts) LeaveOut(appointments map[uuid.UUID]bool) {
	out := func(taken []*busy) []*busy {
		return slices.DeleteFunc(taken, func(b *busy) bool { return appointments[b.ID] })
	}
	f.contact = out(f.contact)
	for _, one := range f.people {
		one.taken = out(one.taken)
	}
}

// Obstacles are all that stands in the way of a time within the facts' span, the most
// decisive first; where there is none the time is free. Of a time that has begun it is
// not asked whether it lies on the grid: who came, came when they came.
func (f *Facts) Obstacles(scope *tenant.Scope, q Question, now time.Time) []*models.SlotObstacle {
	one := f.people[q.Practitioner]
	found := []*models.SlotObstacle{}
	add := func(kind models.SlotObstacleKind, message string, ids ...string) {
		if ids == nil {
			ids = []string{}
		}
		overridable := MayOverride(scope.Role)
		switch kind {
		case models.SlotObstacleKindInThePast:
			overridable = MayEnter(scope.Role, q.Span.From, now)
		case models.SlotObstacleKindPractitionerInactive, models.SlotObstacleKindServiceNotOffered, models.SlotObstacleKindDstGap:
			overridable = false
		case models.SlotObstacleKindOutsideWorkingHours, models.SlotObstacleKindTimeOff, models.SlotObstacleKindClinicClosed,
			models.SlotObstacleKindAppointment, models.SlotObstacleKindHold, models.SlotObstacleKindContactBusy, models.SlotObstacleKindOffGrid:
		}
		found = append(found, &models.SlotObstacle{Kind: kind, Message: message, EntityIds: ids, Overridable: overridable})
	}
	if !one.active {
		add(models.SlotObstacleKindPractitionerInactive, "this practitioner takes no appointments at present", models.KindPractitioner.Global(q.Practitioner))
	}
	switch {
	case !f.offered:
		add(models.SlotObstacleKindServiceNotOffered, "this service is not offered at present")
	case !one.offers:
		add(models.SlotObstacleKindServiceNotOffered, "this practitioner does not offer this service", models.KindPractitioner.Global(q.Practitioner))
	}
	for _, end := range []time.Time{q.Span.From, q.Span.To} {
		if Skipped(end, f.zone) {
			add(models.SlotObstacleKindDstGap, SkippedWords(end, f.zone))
		}
	}
	past := q.Span.From.Before(now)
	if past {
		add(models.SlotObstacleKindInThePast, "this time is past")
	}
	for _, kind := range []models.SlotObstacleKind{models.SlotObstacleKindClinicClosed, models.SlotObstacleKindTimeOff} {
		if ids := inTheWay(one.taken, kind, models.KindTimeOff, q); ids != nil {
			add(kind, obstacleWords(kind), ids...)
		}
	}
	outside := !covers(one.working, q.Span)
	if outside {
		add(models.SlotObstacleKindOutsideWorkingHours, "the practitioner does not work at that time")
	}
	if ids := inTheWay(one.taken, models.SlotObstacleKindAppointment, models.KindAppointment, q); ids != nil {
		add(models.SlotObstacleKindAppointment, "this time is taken", ids...)
	}
	if ids := inTheWay(one.taken, models.SlotObstacleKindHold, models.KindSlotHold, q); ids != nil {
		add(models.SlotObstacleKindHold, "this time is held for someone", ids...)
	}
	// With the same practitioner it is the appointment above.
	elsewhere := slices.DeleteFunc(slices.Clone(f.contact), func(b *busy) bool { return b.PractitionerID == q.Practitioner })
	if ids := inTheWay(elsewhere, models.SlotObstacleKindContactBusy, models.KindAppointment, q); ids != nil {
		add(models.SlotObstacleKindContactBusy, "the contact has an appointment with somebody else at that time", ids...)
	}
	// Outside of the hours there is no grid.
	if !past && !outside && !onGrid(one.hours, f.zone, f.grid, q.Span.From) {
		add(models.SlotObstacleKindOffGrid, fmt.Sprintf("slots begin every %d minutes from the start of a stretch of working hours", int(f.grid/time.Minute)))
	}
	return found
}

func obstacleWords(kind models.SlotObstacleKind) string {
	if kind == models.SlotObstacleKindClinicClosed {
		return "the clinic is closed at that time"
	}
	return "the practitioner is away at that time"
}

// SkippedWords say that the clocks skip a time.
func SkippedWords(written time.Time, zone *time.Location) string {
	return fmt.Sprintf("this time does not exist: in %s the clocks skip %s", zone, written.Format("15:04 on 2006-01-02"))
}

// inTheWay are the global ids of what of one kind shares time with a question's; nil
// if nothing does.
func inTheWay(taken []*busy, kind models.SlotObstacleKind, of models.Kind, q Question) (ids []string) {
	for _, b := range taken {
		if b.Kind == kind && b.ID != q.Appointment && b.ID != q.Hold && b.span().Overlaps(q.Span) {
			ids = append(ids, of.Global(b.ID))
		}
	}
	return ids
}
