package respcache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/taskmed/taskmed/internal/coherence"
)

// ErrBadValue is what an error wraps about a value in Redis that is not the one
// that belongs there.
var ErrBadValue = errValue

// ErrNobodyServes is returned where no instance vouches for what is kept in
// Redis: none of it would be served.
var ErrNobodyServes = errors.New("no server serves what is kept in redis")

// Inspector looks at what is kept in Redis without being an instance: it begins
// no epoch, tells nobody anything and changes nothing.
type Inspector struct {
	link   *coherence.Link
	ledger *coherence.Shared
	seal   sealer
	epoch  uint64
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
		if _, database, err = ask(ctx, config.ListenURL); err != nil {
			return nil, err
		}
	}
	l, err := coherence.Dial(ctx, options, config.Hook, coherence.Seams{})
	if err != nil {
		return nil, err
	}
	return &Inspector{
		link: l, ledger: coherence.NewShared(l, config.Prefix, database, config.LongestRequest, coherence.Seams{}), seal: newSealer(config.Secret),
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
	if i.epoch, err = i.ledger.Epoch(ctx); err != nil {
		return nil, 0, fmt.Errorf("ask redis what is served: %w", err)
	}
	pattern := i.ledger.ValueKeys(clinic, i.epoch)
	seen := map[string]struct{}{} // a scan may tell a key twice
	var cursor uint64
	for {
		var keys []string
		err := i.ledger.Do(ctx, func(ctx context.Context, client *redis.Client) (err error) {
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
	clinic, key, ok := i.ledger.ParseValueKey(string(place))
	if !ok {
		return nil, fmt.Errorf("%w: an odd key", ErrBadValue)
	}
	var value []byte
	err := i.ledger.Do(ctx, func(ctx context.Context, client *redis.Client) (err error) {
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
	return &Kept{Entry: entry, Clinic: clinic, Key: i.ledger.Named(key), Place: place, value: value}, nil
}

// Stands tells whether a server that looked now would serve what was found, and
// if not why: the ledger is asked as by a server that knows nothing yet.
func (i *Inspector) Stands(ctx context.Context, kept *Kept) (stands bool, why string, err error) {
	if !time.Now().Before(kept.ExpiresAt) {
		return false, "expired", nil
	}
	epoch, err := i.ledger.Epoch(ctx)
	if err != nil {
		return false, "", fmt.Errorf("ask redis what is served: %w", err)
	}
	if epoch != i.epoch {
		return false, "a new epoch began", nil
	}
	_, fallen, err := i.ledger.Confirm(ctx, kept.Clinic, kept.mark.From(), kept.Tags)
	if err != nil {
		return false, "", fmt.Errorf("ask redis what was written: %w", err)
	}
	if fallen != "" {
		return false, "invalidated by " + fallen, nil
	}
	return true, "", nil
}

// Settle waits until everything that was committed when it was called, by
// whomever, stands in Redis. An instance that serves knows: at the second
// sign of life from now it has heard, and passed on, whatever was committed
// before the first. Where none serves it is ErrNobodyServes. database names the
// run of Postgres and the database as Database does; "" takes any.
func (i *Inspector) Settle(ctx context.Context, database string) error {
	first, err := i.serving(ctx, database)
	if err != nil {
		return err
	}
	patience := longestSettling
	if len(first) == 0 {
		patience = 2 * vouchesLive
	}
	bounded, done := context.WithTimeout(ctx, patience)
	defer done()
	tick := time.NewTicker(heartbeat / 4)
	defer tick.Stop()
	for {
		select {
		case <-bounded.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return ErrNobodyServes
		case <-tick.C:
		}
		now, err := vouchers(bounded, i.ledger, "")
		if err != nil {
			continue // Redis is asked again until the time is up
		}
		for id, v := range now {
			before, known := first[id]
			if !known && i.speaks(v, database) {
				first[id] = v
			}
			if known && v.server == before.server && v.epoch == i.epoch && v.beats >= before.beats+2 {
				return nil
			}
		}
	}
}

// longestSettling bounds Settle: a server that gave no two signs of life in it
// does not trust what is kept either.
const longestSettling = 10 * time.Second

// serving are the instances that serve what is kept.
func (i *Inspector) serving(ctx context.Context, database string) (map[string]voucher, error) {
	found, err := vouchers(ctx, i.ledger, "")
	if err != nil {
		return nil, fmt.Errorf("ask redis who serves: %w", err)
	}
	for id, v := range found {
		if !i.speaks(v, database) {
			delete(found, id)
		}
	}
	return found, nil
}

func (i *Inspector) speaks(v voucher, database string) bool {
	return v.epoch == i.epoch && (database == "" || v.server == database)
}

// Database names the run of Postgres, and the database, that a listening
// connection hears, as instances say of themselves whom they hear.
func Database(ctx context.Context, listenURL string) (string, error) {
	server, _, err := ask(ctx, listenURL)
	return server, err
}

// ask asks over a connection of its own who Postgres is.
func ask(ctx context.Context, listenURL string) (server, database string, err error) {
	conn, err := pgx.Connect(ctx, listenURL)
	if err != nil {
		return "", "", fmt.Errorf("ask Postgres who it is: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	return whoIs(ctx, conn)
}
