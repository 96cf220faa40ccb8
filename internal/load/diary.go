package load

import (
	"context"
	"sync"
	"time"
)

// booking is an appointment that the load made, and its day.
type booking struct{ clinic, id, day string }

// bookings are those that nobody is changing just now.
type bookings struct {
	mu  sync.Mutex
	all map[string][]booking
}

func (b *bookings) add(it booking) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all[it.clinic] = append(b.all[it.clinic], it)
}

// take gives the oldest, which is then the caller's.
func (b *bookings) take(clinic string) (booking, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.all[clinic]
	if len(all) == 0 {
		return booking{}, false
	}
	b.all[clinic] = all[1:]
	return all[0], true
}

// changeDiary is what a front desk writes: it books one of the free slots, moves
// an appointment to one, confirms or calls off. It may be refused, since another
// desk may have been faster.
func (t *turn) changeDiary(ctx context.Context) {
	switch drawn := t.dice.IntN(100); {
	case drawn < 40:
		t.book(ctx)
	case drawn < 60:
		t.move(ctx)
	case drawn < 80:
		t.step(ctx, confirmOne, "confirmAppointment")
	default:
		t.step(ctx, cancelOne, "cancelAppointment")
	}
}

// free is a slot of a day that somebody asked for; the zero time if there is none.
func (t *turn) free(ctx context.Context) (practitioner, service string, day, start time.Time) {
	practitioner, service = t.practitioner()
	day = t.site().days[t.ahead(bookingToday, bookingTomorrow)]
	free := t.slots(ctx, practitioner, service, day)
	t.at = time.Now()
	if len(free) > 0 {
		start = free[t.dice.IntN(len(free))]
	}
	return practitioner, service, day, start
}

func (t *turn) book(ctx context.Context) {
	practitioner, service, day, start := t.free(ctx)
	if start.IsZero() {
		return
	}
	id := t.write(ctx, scheduleOne, map[string]any{
		"contactId": t.caller().ID, "practitionerId": practitioner, "serviceId": service, "startsAt": start,
	}, "scheduleAppointment", "appointment")
	if id == "" {
		return
	}
	t.world.oracle.booked(t.site().ID, day.Format(time.DateOnly), id)
	t.world.bookings.add(booking{clinic: t.site().ID, id: id, day: day.Format(time.DateOnly)})
}

func (t *turn) move(ctx context.Context) {
	practitioner, _, day, start := t.free(ctx)
	it, ok := t.world.bookings.take(t.site().ID)
	if !ok || start.IsZero() {
		return
	}
	// Whether or not it is acknowledged it may be gone from its day.
	t.world.oracle.leaves(it.clinic, it.day, it.id)
	if t.write(ctx, moveOne, map[string]any{"id": it.id, "startsAt": start, "practitionerId": practitioner}, "rescheduleAppointment", "appointment") == "" {
		return
	}
	it.day = day.Format(time.DateOnly)
	t.world.oracle.booked(it.clinic, it.day, it.id)
	t.world.bookings.add(it)
}

// step confirms or calls off an appointment of these days; both stay in them.
func (t *turn) step(ctx context.Context, query, field string) {
	var id string
	if it, ok := t.world.bookings.take(t.site().ID); ok && field == "confirmAppointment" {
		id = it.id
		defer t.world.bookings.add(it)
	} else if ok {
		id = it.id
	} else if found := t.site().found; len(found) > 0 {
		id = pick(t.dice, found)
	} else {
		return
	}
	t.write(ctx, query, map[string]any{"id": id}, field, "appointment")
}
