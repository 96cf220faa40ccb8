package respcache

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// Texts keeps texts under their hashes in Redis for all instances: it is
// persisted.Shared over the cache's connections. What it gives is not checked.
type Texts struct{ cache *Cache }

// Texts gives the shared texts, nil without Redis.
func (c *Cache) Texts() *Texts {
	if c.redis == nil {
		return nil
	}
	return &Texts{cache: c}
}

func (t *Texts) key(hash string) string { return t.cache.config.Prefix + ":text:" + hash }

// Get gives the text under a hash, "" if there is none, and lets it live on.
func (t *Texts) Get(ctx context.Context, hash string, ttl time.Duration) (string, error) {
	ledger := t.cache.writes.Load()
	if ledger == nil {
		return "", errUnreached
	}
	var text *redis.StringCmd
	err := ledger.link.do(ctx, func(ctx context.Context) error {
		_, err := ledger.link.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			text = pipe.Get(ctx, t.key(hash))
			pipe.PExpire(ctx, t.key(hash), ttl)
			return nil
		})
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return text.Val(), nil
}

// Put keeps a text under a hash.
func (t *Texts) Put(ctx context.Context, hash, text string, ttl time.Duration) error {
	ledger := t.cache.writes.Load()
	if ledger == nil {
		return errUnreached
	}
	return ledger.link.do(ctx, func(ctx context.Context) error {
		return ledger.link.client.Set(ctx, t.key(hash), text, ttl).Err()
	})
}
