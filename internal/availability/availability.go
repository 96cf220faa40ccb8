package availability

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// The bounds of Availability and NextFree.
const (
	longestAvailabilityDays = 31
	mostPractitioners       = 50
	mostSlots               = 20_000
	longestSearchDays       = 180
	mostSearched            = 100
	mostNext                = 100
)

// Availability lists the free slots of a service, by their start and then by
// practitioner, in three statements: every time on the clinic's grid, from now on, at
// which it fits into the working hours less live appointments (overbooked ones take
// time, too), holds that have not expired and time off. practitionerIDs that are nil
// mean all who are active and offer the service; others have no free time. Errors of
// code BAD_USER_INPUT tell that an end of the range is missing or wrong, that the
// clinic has no such service, or that the answer would be too long.
func (b *Book) Availability(
	ctx context.Context, practitionerIDs []uuid.UUID, serviceID uuid.UUID, within models.DateTimeRange,
) ([]*models.Slot, error) {
	span, err := Bounded(within)
	if err != nil {
		return nil, err
	}
	search, err := b.search(ctx, practitionerIDs, serviceID, mostPractitioners)
	if err != nil {
		return nil, err
	}
	// Days of the clinic's: the one on which clocks are put back has 25 hours.
	if span.To.After(span.From.In(search.zone).AddDate(0, 0, longestAvailabilityDays)) {
		return nil, models.BadInput("the range may span %d days at most", longestAvailabilityDays)
	}
	found, err := search.free(ctx, span, mostSlots+1)
	if err != nil {
		return nil, err
	}
	if len(found) > mostSlots {
		return nil, models.BadInput("there are more than %d slots: ask for fewer practitioners, or for a range until %s",
			mostSlots, found[mostSlots].StartsAt.In(search.zone).Format(time.RFC3339))
	}
	return found, nil
}

// NextFree gives the first free slots of a service from an instant on, or from now on,
// within 180 days. practitionerIDs are those of Availability.
func (b *Book) NextFree(ctx context.Context, practitionerIDs []uuid.UUID, serviceID uuid.UUID, after *time.Time, first *int) ([]*models.Slot, error) {
	count := 10
	if first != nil {
		count = *first
	}
	if count < 1 || count > mostNext {
		return nil, models.BadInput("first is a number from 1 to %d", mostNext)
	}
	search, err := b.search(ctx, practitionerIDs, serviceID, mostSearched)
	if err != nil {
		return nil, err
	}
	from := search.now
	if after != nil {
		from = later(from, *after)
	}
	end := from.In(search.zone).AddDate(0, 0, longestSearchDays)
	// Mostly the first days have enough, and they are little to read.
	const nearDays = 14
	near := earlier(from.In(search.zone).AddDate(0, 0, nearDays), end)
	found, err := search.free(ctx, Span{from, near}, count)
	if err != nil || len(found) == count {
		return found, err
	}
	found, err = search.again().free(ctx, Span{from, end}, count)
	if len(found) < count {
		// As time passes the search goes on farther.
		touched.Until(ctx, search.now.Truncate(time.Minute).Add(time.Minute))
	}
	return found, err
}

// Free gives the first free slots of a service with one practitioner that lie within a
// span; none where they do not offer it.
func (b *Book) Free(ctx context.Context, practitioner, service uuid.UUID, within Span, most int) ([]*models.Slot, error) {
	search, err := b.search(ctx, []uuid.UUID{practitioner}, service, 1)
	if err != nil {
		return nil, err
	}
	return search.free(ctx, within, most)
}

// search is for the free slots of a service.
type search struct {
	*Book

	known  *setting
	zone   *time.Location
	wanted []uuid.UUID
	people map[uuid.UUID]*person
	length time.Duration
	now    time.Time
}

func (b *Book) search(ctx context.Context, practitioners []uuid.UUID, service uuid.UUID, most int) (*search, error) {
	s := &search{Book: b, now: b.now()}
	if practitioners != nil {
		s.wanted = unique(practitioners)
	}
	if len(s.wanted) > most {
		return nil, models.BadInput("ask for %d practitioners at most", most)
	}
	var err error
	if s.known, s.zone, err = b.setting(ctx, service); err != nil {
		return nil, err
	}
	if s.known.DurationMinutes == nil {
		return nil, models.BadInput("serviceId is no id of a service of this clinic")
	}
	s.length = s.known.length()
	if !*s.known.Active || (s.wanted != nil && len(s.wanted) == 0) {
		return s, nil
	}
	if s.people, err = b.people(ctx, wanted{ids: s.wanted, service: service, most: most + 1}); err != nil {
		return nil, err
	}
	if len(s.people) > most {
		return nil, models.BadInput("more than %d practitioners offer this: say whose time is wanted", most)
	}
	return s, nil
}

// again is the search before it has found anything.
func (s *search) again() *search {
	for _, one := range s.people {
		one.taken = nil
	}
	return s
}

// free gives the first free slots within a span. Once the earliest of them has begun it
// is free no more: until then the answer holds.
func (s *search) free(ctx context.Context, within Span, most int) ([]*models.Slot, error) {
	asked := within
	within.From = later(within.From, s.now)
	if latest := Latest(s.now).Add(s.length); latest.Before(within.To) {
		within.To = latest
		touched.Until(ctx, s.now.Truncate(time.Minute).Add(time.Minute))
	}
	if within.empty() || len(s.people) == 0 {
		return []*models.Slot{}, nil
	}
	if err := s.dependOn(ctx, s.wanted, asked); err != nil {
		return nil, err
	}
	facts, err := s.facts(ctx, s.known, s.zone, s.people, uuid.Nil, within)
	if err != nil {
		return nil, err
	}
	found := facts.slots(s.length, s.now, most)
	if len(found) > 0 {
		touched.Until(ctx, found[0].StartsAt)
	}
	return found[:min(most, len(found))], nil
}

// slots gives the free slots of a length within the facts' span that have not begun, by
// their start and then by practitioner; the first of them, up to so many of each.
func (f *Facts) slots(length time.Duration, now time.Time, most int) []*models.Slot {
	found := []*models.Slot{}
	for id, one := range f.people {
		if !one.active || !one.offers || !f.offered {
			continue
		}
		taken := make([]Span, len(one.taken))
		for i, b := range one.taken {
			taken[i] = b.span()
		}
		free, count := subtract(one.working, taken), 0
		for start := range starts(one.hours, f.zone, f.grid, f.within) {
			for len(free) > 0 && !free[0].To.After(start) {
				free = free[1:]
			}
			if len(free) == 0 || count == most {
				break
			}
			slot := Span{start, start.Add(length)}
			if slot.within(free[0]) && !start.Before(now) {
				count++
				found = append(found, &models.Slot{PractitionerID: id, StartsAt: slot.From, EndsAt: slot.To})
			}
		}
	}
	slices.SortFunc(found, func(a, b *models.Slot) int {
		return cmp.Or(a.StartsAt.Compare(b.StartsAt), bytes.Compare(a.PractitionerID[:], b.PractitionerID[:]))
	})
	return found
}

// Bounded is a range of which both ends are given, the end not before the start.
func Bounded(within models.DateTimeRange) (Span, error) {
	if within.From == nil || within.To == nil {
		return Span{}, models.BadInput("the range needs both from and to")
	}
	return Span{*within.From, *within.To}, entity.Ordered(*within.From, *within.To)
}

// unique keeps the first of equal values.
func unique[T comparable](values []T) []T {
	seen := make(map[T]bool, len(values))
	kept := make([]T, 0, len(values))
	for _, value := range values {
		if !seen[value] {
			seen[value] = true
			kept = append(kept, value)
		}
	}
	return kept
}
