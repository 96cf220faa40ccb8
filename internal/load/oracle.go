package load

import (
	"fmt"
	"sync"
	"time"
)

// Oracle knows what the server has acknowledged and shown, and so what an answer
// to a later request must show (promise K1):
//
//   - a session never reads older than its own acknowledged write,
//   - nor older than it read before,
//   - nobody reads older than a write acknowledged before the read began, nor
//     older than somebody was shown before it began, while Redis and Postgres are
//     up.
//
// The first two hold through every fault. Of the third an answer is excused whose
// request overlaps an outage.
type Oracle struct {
	mu       sync.Mutex
	entities map[string]*known
	// days are the bookings acknowledged for each clinic and day.
	days    map[string]map[string]time.Time
	outages []*outage
}

// known is what is known of an entity.
type known struct {
	// clinic is the one that it was first seen in.
	clinic string
	// versions are those that were acknowledged or shown, and since when; the
	// latest last.
	versions []since
	// outside is a version that was written past the API, which need not show
	// before visible.
	outside int
	visible time.Time
}

type since struct {
	at      time.Time
	version int
	// shown is whether it was shown rather than acknowledged.
	shown bool
}

type outage struct {
	from, to time.Time
	// stale is whether others' writes may be missed meanwhile; otherwise requests
	// may fail, and no more.
	stale bool
}

// remembered bounds what is kept of an entity: older ones are implied.
const remembered = 16

// NewOracle makes one that has seen nothing.
func NewOracle() *Oracle {
	return &Oracle{entities: map[string]*known{}, days: map[string]map[string]time.Time{}}
}

// of is what is known of an entity; the lock is held.
func (o *Oracle) of(id, clinic string) *known {
	k := o.entities[id]
	if k == nil {
		k = &known{clinic: clinic}
		o.entities[id] = k
	}
	return k
}

func (k *known) add(s since) {
	if n := len(k.versions); n > 0 && k.versions[n-1].version > s.version {
		return // implied by a later one
	}
	if len(k.versions) >= remembered {
		k.versions = k.versions[1:]
	}
	k.versions = append(k.versions, s)
}

// latest is the highest version that stood at a moment.
func (k *known) latest(at time.Time) (latest since) {
	for _, s := range k.versions {
		if s.at.Before(at) && s.version > latest.version {
			latest = s
		}
	}
	return latest
}

// Outage tells that Redis or Postgres fail from now on (stale), or an instance
// alone, until the returned function is called.
func (o *Oracle) Outage(stale bool) (end func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	it := &outage{from: time.Now(), stale: stale}
	o.outages = append(o.outages, it)
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		it.to = time.Now()
	}
}

// during tells whether a request overlapped an outage, and one in which others'
// writes may be missed; the lock is held.
func (o *Oracle) during(from, to time.Time) (failing, stale bool) {
	for _, it := range o.outages {
		if it.from.Before(to) && (it.to.IsZero() || it.to.After(from)) {
			failing, stale = true, stale || it.stale
		}
	}
	return failing, stale
}

// Excuses tells whether a request from one moment to another may have failed.
func (o *Oracle) Excuses(from, to time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	failing, _ := o.during(from, to)
	return failing
}

// Outside tells that a version of an entity is about to be written past the API.
// The returned function tells that it is committed, and must show from a moment on.
func (o *Oracle) Outside(clinic, id string, version int) (committed func(visible time.Time)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.of(id, clinic)
	k.outside, k.visible = version, time.Now().Add(time.Hour)
	return func(visible time.Time) {
		o.mu.Lock()
		defer o.mu.Unlock()
		k.visible = visible
		k.add(since{at: visible, version: version})
	}
}

// wrote notes that a session's write of a version was acknowledged just now.
func (o *Oracle) wrote(s *session, id string, version int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.of(id, s.site.ID).add(since{at: time.Now(), version: version})
	s.wrote[id] = max(s.wrote[id], version)
}

// booked notes that a booking for a day was acknowledged just now.
func (o *Oracle) booked(clinic, day, id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := clinic + day
	if o.days[key] == nil {
		o.days[key] = map[string]time.Time{}
	}
	o.days[key][id] = time.Now()
}

// leaves notes that a booking is about to be moved to another day: from now on it
// may be gone from this one.
func (o *Oracle) leaves(clinic, day, id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.days[clinic+day], id)
}

// fault is what is wrong with an answer.
type fault int

// The faults of an answer.
const (
	none fault = iota
	// foreign shows another clinic's entity.
	foreign
	// olderThanOwn and olderThanRead break the session's own order.
	olderThanOwn
	olderThanRead
	// olderThanAcknowledged and olderThanShown miss what others wrote or saw;
	// missing is a booking that is not in its day.
	olderThanAcknowledged
	olderThanShown
	missing
	// excused is one of the last three during an outage.
	excused
)

// seen is an entity in an answer to a request of a session.
func (o *Oracle) seen(s *session, id string, version int, asked, answered time.Time) (fault, string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.of(id, s.site.ID)
	if k.clinic != s.site.ID {
		return foreign, fmt.Sprintf("%s of clinic %s in an answer for %s", id, k.clinic, s.site.ID)
	}
	if version == 0 {
		return none, ""
	}
	must := k.latest(asked)
	read := s.read[id]
	settled := version != k.outside || answered.After(k.visible)
	if settled {
		s.read[id] = max(read, version)
		if n := len(k.versions); n == 0 || k.versions[n-1].version < version {
			k.add(since{at: answered, version: version, shown: true})
		}
	}
	what := olderThanAcknowledged
	switch {
	case s.wrote[id] > version:
		return olderThanOwn, fmt.Sprintf("%s is shown at version %d to a session that wrote version %d", id, version, s.wrote[id])
	case read > version:
		return olderThanRead, fmt.Sprintf("%s is shown at version %d to a session that has read version %d", id, version, read)
	case must.version <= version:
		return none, ""
	case must.shown:
		what = olderThanShown
	}
	if _, may := o.during(asked, answered); may {
		what = excused
	}
	return what, fmt.Sprintf("%s is shown at version %d, %s after version %d was there", id, version, asked.Sub(must.at), must.version)
}

// absent is an entity that a session asked for and was not shown.
func (o *Oracle) absent(s *session, id string, asked, answered time.Time) (fault, string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.of(id, s.site.ID)
	if s.wrote[id] == 0 && k.latest(asked).version == 0 {
		return none, ""
	}
	what := missing
	if _, may := o.during(asked, answered); s.wrote[id] > 0 {
		what = olderThanOwn
	} else if may {
		what = excused
	}
	return what, id + " is not there though it was acknowledged"
}

// missing looks for a booking of a day that was acknowledged before it was asked
// for and is not shown.
func (o *Oracle) missing(s *session, day string, shown map[string]bool, asked, answered time.Time) (fault, string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, at := range o.days[s.site.ID+day] {
		if !at.Before(asked) || shown[id] {
			continue
		}
		what := missing
		if _, may := o.during(asked, answered); s.wrote[id] > 0 {
			what = olderThanOwn
		} else if may {
			what = excused
		}
		return what, fmt.Sprintf("%s is not in its day %s, %s after it was acknowledged", id, day, asked.Sub(at))
	}
	return none, ""
}
