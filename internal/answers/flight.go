package answers

import (
	"sync"

	"github.com/google/uuid"
)

// A flight is one computing of an answer, for all who want it. Whoever is aboard
// before it begins to read Postgres may take over what it reads: the reading
// then lies within the request's own time, as if the request had read itself.
// Whoever comes later may not, since a write may have been acknowledged between
// the reading and the coming, and has a seat in the next flight: that begins
// once this one has landed, if what it brought was not kept.
type flight struct {
	// done is closed when it has landed. What follows it is valid from then on.
	done chan struct{}
	// entry is what was computed; nil if nothing was that may be shown to others.
	entry *Entry
	// session is what was loaded, where the flight is a session's.
	session *Session
	// kept tells that the answer can now be found by looking for it.
	kept bool
	// unfit tells that it was computed and must not be shared: nobody need wait
	// for another that will not be either.
	unfit bool

	// What follows is flights' to guard.

	led, reading bool
	// seats is how many are aboard, the leader among them.
	seats int
	next  *flight
}

type flightKey struct {
	clinic uuid.UUID
	key    Key
}

type flights struct {
	mu sync.Mutex
	by map[flightKey]*flight

	seams seams
}

// board gives a seat in the first flight whose reading has not begun. ahead is
// the one that must land before it, nil if there is none. Who boards must leave.
func (f *flights) board(place flightKey) (mine, ahead *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[flightKey]*flight{}
	}
	mine = f.by[place]
	if mine == nil {
		mine = newFlight()
		f.by[place] = mine
	}
	if mine.reading && !f.seams.withoutLate {
		ahead = mine
		if ahead.next == nil {
			ahead.next = newFlight()
		}
		mine = ahead.next
	}
	mine.seats++
	return mine, ahead
}

func newFlight() *flight { return &flight{done: make(chan struct{})} }

// lead tells whether the caller is the one who computes. If so it must land the
// flight, whatever happens.
func (f *flights) lead(boarded *flight) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if boarded.led {
		return false
	}
	boarded.led = true
	return true
}

// read is called right before Postgres is read. Nobody boards from then on.
func (f *flights) read(led *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	led.reading = true
}

// land ends a flight, and lets the next one begin if anybody is aboard.
func (f *flights) land(place flightKey, led *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.by, place)
	if led.next != nil && led.next.seats > 0 {
		f.by[place] = led.next
	}
	close(led.done)
}

// leave gives a seat up. A flight that nobody is aboard of is not waited for.
func (f *flights) leave(place flightKey, boarded *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	boarded.seats--
	if boarded.seats == 0 && f.by[place] == boarded {
		delete(f.by, place)
	}
}
