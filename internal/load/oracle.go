package load

import (
	"sync"
	"time"
)

// oracle knows what the server has acknowledged, and so what an answer to a
// later request must show.
type oracle struct {
	mu sync.Mutex
	// versions are what was acknowledged of each entity, the latest last.
	versions map[string][]acknowledged
	// days are the bookings acknowledged for each clinic and day.
	days map[string]map[string]time.Time
	// owners tell which clinic an id was first seen in.
	owners map[string]string
}

type acknowledged struct {
	at      time.Time
	version int
}

// remembered bounds what is kept of an entity: older ones are implied.
const remembered = 16

func newOracle() *oracle {
	return &oracle{
		versions: map[string][]acknowledged{}, days: map[string]map[string]time.Time{}, owners: map[string]string{},
	}
}

// wrote notes that a version of an entity was acknowledged just now.
func (o *oracle) wrote(id string, version int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	known := o.versions[id]
	if len(known) >= remembered {
		known = known[1:]
	}
	o.versions[id] = append(known, acknowledged{time.Now(), version})
}

// booked notes that a booking for a day was acknowledged just now.
func (o *oracle) booked(clinic, day, id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := clinic + day
	if o.days[key] == nil {
		o.days[key] = map[string]time.Time{}
	}
	o.days[key][id] = time.Now()
}

// seen is an entity in an answer. An answer shows what there was when it was
// asked for, or something newer: stale tells that it did not, foreign that the
// entity belongs to another clinic.
func (o *oracle) seen(clinic, id string, version int, asked time.Time) (stale, foreign bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	owner, known := o.owners[id]
	if !known {
		o.owners[id] = clinic
	}
	for _, wrote := range o.versions[id] {
		if version > 0 && wrote.version > version && wrote.at.Before(asked) {
			stale = true
		}
	}
	return stale, known && owner != clinic
}

// missing counts the bookings of a day that were acknowledged before it was
// asked for and are not shown.
func (o *oracle) missing(clinic, day string, shown map[string]bool, asked time.Time) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	count := 0
	for id, at := range o.days[clinic+day] {
		if at.Before(asked) && !shown[id] {
			count++
		}
	}
	return count
}
