package trust

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

// Instances that use different servers of Redis do not hear each other: because
// one is configured otherwise, or because a master and the replica that took its
// place both accept writes. So each says through Postgres which one it uses, by an
// advisory lock that all who use the same share, and whoever comes uses none while
// somebody uses another: it serves nothing from the cache, and makes everybody
// stand aside when it writes.

const (
	// placeLock is the first key of those locks; the second stands for the place.
	placeLock = 0x746d7270 // "tmrp"
	// longestUnsaid is how long a writer waits who comes before it is known whether
	// all use the same.
	longestUnsaid = 3 * heartbeat
)

// agreement is about one place where instances share what they keep: a run of a
// Redis, and what in it is theirs.
type agreement struct {
	// wanted is the place that this instance would use, nil while it reaches none.
	wanted atomic.Pointer[string]
	// said is what came of it last, nil until then.
	said atomic.Pointer[saidOf]
	// held is the lock's second key, 0 without a lock. It is the listener's alone.
	held int32
}

// saidOf is what is known of a place.
type saidOf struct {
	place string
	// shared tells that whoever says what it uses uses this one.
	shared bool
}

// of is what is known of a place; nil if nothing is yet.
func (a *agreement) of(place string) *saidOf {
	if said := a.said.Load(); said != nil && said.place == place {
		return said
	}
	return nil
}

// unlocked notes that the connection is gone, and the lock with it.
func (a *agreement) unlocked() {
	a.held = 0
	a.said.Store(nil)
}

// lockOf is a place's key, which is never 0.
func lockOf(place string) int32 {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(place)) // never fails
	return int32(hash.Sum32()>>1 | 1)
}

// attend has the lock follow what is wanted.
func (a *agreement) attend(ctx context.Context, conn *pgx.Conn) error {
	wanted, key := a.wanted.Load(), int32(0)
	if wanted != nil {
		key = lockOf(*wanted)
	}
	if a.held == key {
		return nil
	}
	bounded, done := context.WithTimeout(ctx, lease)
	defer done()
	if a.held != 0 {
		if _, err := conn.Exec(bounded, "SELECT pg_advisory_unlock_shared($1, $2)", int32(placeLock), a.held); err != nil {
			return fmt.Errorf("say that a redis is not used: %w", err)
		}
		a.held = 0
	}
	if key == 0 {
		return nil
	}
	// First the lock, then the look: of two who come at once one sees the other.
	if _, err := conn.Exec(bounded, "SELECT pg_advisory_lock_shared($1, $2)", int32(placeLock), key); err != nil {
		return fmt.Errorf("say which redis is used: %w", err)
	}
	var others bool
	err := conn.QueryRow(bounded, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid = $1::bigint AND objid <> $2::bigint)`,
		int64(placeLock), int64(key)).Scan(&others)
	if err != nil {
		return fmt.Errorf("look which redis others use: %w", err)
	}
	if !others {
		a.held = key
	} else if _, err := conn.Exec(bounded, "SELECT pg_advisory_unlock_shared($1, $2)", int32(placeLock), key); err != nil {
		return fmt.Errorf("say that a redis is not used: %w", err)
	}
	a.said.Store(&saidOf{place: *wanted, shared: !others})
	return nil
}

// differing is why nothing is served where instances do not share a Redis.
const differing = "redis is not the one that other instances use"

// agrees tells whether the Redis that was reached may be used.
func (s *supervisor) agrees(ctx context.Context) bool {
	if s.listener == nil || s.config.Seams.WithoutAgree {
		return s.tell()
	}
	said := s.listener.agreement.of(s.place)
	switch {
	case said == nil: // The listening connection is on its way, or on its way back.
		return s.writes.Load() != nil
	case said.shared:
		s.complained = ""
		return s.tell()
	}
	if s.complained != s.place {
		s.complained = s.place
		s.log.ErrorContext(ctx, "other instances on this database use another redis: the cache is not used. Give all the same REDIS_URL")
	}
	if s.writes.Swap(nil) != nil || s.latest.Load() != nil {
		s.distrust(differing)
	}
	why := differing
	s.why.Store(&why)
	return false
}

// tell has writers tell the journal, unless they write to another database.
func (s *supervisor) tell() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.elsewhere(s.shared.Database()) {
		return false
	}
	s.writes.Store(s.shared)
	return true
}
