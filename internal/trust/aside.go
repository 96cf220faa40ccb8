package trust

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"
)

// A writer that cannot tell Redis could change what others serve from the cache.
// So before it commits it makes everybody stand aside: its instance announces
// itself through Postgres, at every sign of life of its listening connection,
// and whoever hears that uses the cache no more until the announcements have
// ceased for a while, or until it says that it is over. Once the first is older
// than a lease, everybody who would still serve has heard it, or does not know
// whether it hears at all and does not serve either. Only the first such write of
// an instance waits; the next find everybody aside already.
//
// That it is over may be said once every such write has ended, for certain.
// Postgres delivers what is notified in the order of the commits, so whoever hears
// it has heard of all those writes before, and has raised them; it counts for the
// one announcer alone. Where it is not heard, the announcements cease.

const (
	// asideLock is the advisory lock that who announces holds in Postgres, so that
	// an instance that begins to listen between two announcements knows.
	asideLock = 0x7461736b6d656400 // "taskmed"
	// asideGap is how long after one announcement the next must have followed.
	asideGap = 3 * heartbeat
	// asideStands is how long those who heard an announcement stand aside. It is
	// longer than a lease and a gap: an announcement that was made, but is not
	// heard yet, finds them still aside.
	asideStands = 2 * lease
	// asideLingers is how long announcements go on after the last of those writes
	// has ended, so that everybody has heard of it before they use the cache.
	asideLingers = lease + asideGap
	// asideQuiet is how long after the last of those writes it is said that it is
	// over, if Redis is reached again: each beginning costs a writer a wait.
	asideQuiet = 2 * heartbeat
	// longestAside bounds the wait for the others to have heard.
	longestAside = 2*lease + heartbeat
	// raiseAgain is how often a writer who waits tries Redis again.
	raiseAgain = 50 * time.Millisecond
)

// aside is both sides of it: that this instance announces, and that it heard.
type aside struct {
	started time.Time
	// id names this instance in its announcements.
	id string
	// until is when this instance uses the cache again, since started.
	until atomic.Int64
	seams Seams

	mu sync.Mutex
	// standing is until when this instance stands aside for each announcer.
	standing map[string]int64
	// writers are those who have not ended, wanted until when it is announced that
	// there are, or were.
	writers int
	wanted  time.Time
	// owed is until when it is not certain that all have ended, ended when the last
	// is known to have.
	owed, ended time.Time
	// failed is when Redis was last not told of a write, reached when it was last
	// told of one.
	failed, reached time.Time
	// since is when the first of an unbroken row of announcements had been made,
	// zero if there is none; latest is before the latest was.
	since, latest time.Time
}

// heard makes this instance stand aside for an announcer, whose name is empty if
// it is not known: nobody can say then that it is over.
func (a *aside) heard(announcer string) {
	if a.seams.WithoutAside {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.standing == nil {
		a.standing = map[string]int64{}
	}
	a.standing[announcer] = int64(time.Since(a.started) + asideStands)
	a.stand()
}

// over ends it for one announcer. All that was notified before must have been
// raised.
func (a *aside) over(announcer string) {
	if announcer == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.standing, announcer)
	if a.seams.Hasty {
		clear(a.standing)
	}
	a.stand()
}

// stand makes this instance stand aside until nobody wants it.
func (a *aside) stand() {
	now, until := int64(time.Since(a.started)), int64(0)
	for announcer, one := range a.standing {
		if one <= now {
			delete(a.standing, announcer) // it may never come back
			continue
		}
		until = max(until, one)
	}
	a.until.Store(until)
}

// stands tells whether this instance stands aside.
func (a *aside) stands() bool { return int64(time.Since(a.started)) < a.until.Load() }

// begin has announcements made until a while after end, which must be called
// once, with how long the write may still go on; or leave in its place.
func (a *aside) begin() (end func(still time.Duration)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writers++
	a.failed = time.Now()
	return func(still time.Duration) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.writers--
		a.ended = time.Now()
		until := a.ended.Add(still + asideLingers)
		if until.After(a.wanted) {
			a.wanted = until
		}
		if still > 0 && until.After(a.owed) {
			a.owed = until
		}
	}
}

// reaches notes that Redis was told of a write.
func (a *aside) reaches() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reached = time.Now()
}

// leave is end for a writer that raised after all: nobody need stand aside for it.
// A time-out of Redis that is over by the next try costs no more than itself.
func (a *aside) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writers--
}

// announces tells whether the next sign of life shall be an announcement. Where
// the last was one and this is not to be, it may say that it is over: a writer
// that begins from now on waits for announcements that begin anew.
func (a *aside) announces() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.writers > 0 || now.Before(a.owed) {
		return true
	}
	again := a.reached.After(a.failed) && now.Sub(a.ended) > asideQuiet
	if now.Before(a.wanted) && !again {
		return true
	}
	a.since = time.Time{}
	return false
}

// announced notes that one was made at some time after begun.
func (a *aside) announced(begun time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.since.IsZero() || now.Sub(a.latest) > asideGap {
		a.since = now
	}
	a.latest = begun
}

// silenced notes that the connection that announced is gone.
func (a *aside) silenced() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since = time.Time{}
}

// complete tells whether everybody stands aside, or does not serve.
func (a *aside) complete() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	return !a.since.IsZero() && now.Sub(a.since) > lease+heartbeat/2 && now.Sub(a.latest) < asideGap
}

// announcement is the notification that asks everybody to stand aside, or tells
// that this announcer asks no more.
func (a *aside) announcement(over bool) string {
	text, err := json.Marshal(notice{Aside: true, Announcer: a.id, Over: over})
	if err != nil {
		return "" // nothing in it can fail
	}
	return string(text)
}
