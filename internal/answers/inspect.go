package answers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/trust"
)

// ErrBadValue is what an error wraps about a value in Redis that is not the one
// that belongs there.
var ErrBadValue = errValue

// Inspector looks at what is kept in Redis without being an instance: it begins
// no epoch, tells nobody anything and changes nothing.
type Inspector struct {
	link    *coherence.Link
	journal *coherence.Shared
	seal    sealer
	epoch   uint64
}

// Inspect reaches the Redis that a cache with the same configuration uses, and
// looks at what is kept of the same database.
func Inspect(ctx context.Context, config Config) (*Inspector, error) {
	if config.RedisURL == "" {
		return nil, errors.New("without Redis answers are kept in the servers' memory alone")
	}
	if err := config.complete(); err != nil {
		return nil, err
	}
	options, err := coherence.Options(config.RedisURL, config.RedisTimeout)
	if err != nil {
		return nil, err
	}
	database := config.Database
	if config.ListenURL != "" {
		if _, database, err = trust.Identify(ctx, config.ListenURL); err != nil {
			return nil, err
		}
	}
	l, err := coherence.Dial(ctx, options, config.Hook, coherence.Seams{})
	if err != nil {
		return nil, err
	}
	return &Inspector{
		link: l, journal: coherence.NewShared(l, config.Prefix, database, config.LongestRequest, coherence.Seams{}), seal: newSealer(config.Secret),
	}, nil
}

// Close ends the connections.
func (i *Inspector) Close() error { return i.link.Close() }

// Place is where an answer is kept: its key in Redis.
type Place string

// Kept is an answer found in Redis.
type Kept struct {
	*Entry

	Clinic uuid.UUID
	Key    Key
	Place  Place

	value []byte
}

// Same tells whether two looks found the very same value, kept at the same time.
func (k *Kept) Same(other *Kept) bool { return string(k.value) == string(other.value) }

// Sample gives places of answers that servers may serve now: at most n, each
// with the same chance, of one clinic unless that is uuid.Nil, and how many there
// are. It notes which epoch is served; Read and Stands speak of that one.
func (i *Inspector) Sample(ctx context.Context, n int, clinic uuid.UUID) (places []Place, of int, err error) {
	if i.epoch, err = i.journal.Epoch(ctx); err != nil {
		return nil, 0, fmt.Errorf("ask redis what is served: %w", err)
	}
	pattern := i.journal.ValueKeys(clinic, i.epoch)
	seen := map[string]struct{}{} // a scan may tell a key twice
	var cursor uint64
	for {
		var keys []string
		err := i.journal.Do(ctx, func(ctx context.Context, client *redis.Client) (err error) {
			keys, cursor, err = client.Scan(ctx, cursor, pattern, 1000).Result()
			return err
		})
		if err != nil {
			return nil, 0, fmt.Errorf("look what redis keeps: %w", err)
		}
		for _, key := range keys {
			if _, again := seen[key]; again {
				continue
			}
			seen[key] = struct{}{}
			of++
			if len(places) < n {
				places = append(places, Place(key))
			} else if at := rand.IntN(of); at < n {
				places[at] = Place(key)
			}
		}
		if cursor == 0 {
			return places, of, nil
		}
	}
}

// Read gives what is kept at a place, nil if nothing is any more. A value that
// is not one of this place is an error that wraps ErrBadValue.
func (i *Inspector) Read(ctx context.Context, place Place) (*Kept, error) {
	clinic, key, ok := i.journal.ParseValueKey(string(place))
	if !ok {
		return nil, fmt.Errorf("%w: an odd key", ErrBadValue)
	}
	var value []byte
	err := i.journal.Do(ctx, func(ctx context.Context, client *redis.Client) (err error) {
		value, err = client.GetRange(ctx, string(place), 0, coherence.MaxValue).Bytes()
		return err
	})
	switch {
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return nil, fmt.Errorf("%w: another type", ErrBadValue)
	case err != nil:
		return nil, fmt.Errorf("read what redis keeps: %w", err)
	case len(value) == 0:
		return nil, nil //nolint:nilnil // gone is an answer
	}
	entry, err := i.seal.decode(clinic, key, value)
	if err != nil {
		return nil, err
	}
	return &Kept{Entry: entry, Clinic: clinic, Key: i.journal.Named(key), Place: place, value: value}, nil
}

// Stands tells whether a server that looked now would serve what was found, and
// if not why: the journal is asked as by a server that knows nothing yet.
func (i *Inspector) Stands(ctx context.Context, kept *Kept) (stands bool, why string, err error) {
	if !time.Now().Before(kept.ExpiresAt) {
		return false, "expired", nil
	}
	epoch, err := i.journal.Epoch(ctx)
	if err != nil {
		return false, "", fmt.Errorf("ask redis what is served: %w", err)
	}
	if epoch != i.epoch {
		return false, "a new epoch began", nil
	}
	_, fallen, err := i.journal.Confirm(ctx, kept.Clinic, kept.mark.From(), kept.Tags)
	if err != nil {
		return false, "", fmt.Errorf("ask redis what was written: %w", err)
	}
	if fallen != "" {
		return false, "invalidated by " + fallen, nil
	}
	return true, "", nil
}

// Settle waits until everything that was committed when it was called, by
// whomever, stands in Redis (trust.Settled). Where no server serves what was sampled
// it is trust.ErrNobodyServes. database names the run of Postgres and the database as
// trust.Identify does; "" takes any.
func (i *Inspector) Settle(ctx context.Context, database string) error {
	return trust.Settled(ctx, i.journal, i.epoch, database)
}
