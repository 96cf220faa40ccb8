package persisted

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// sharedByRedis keeps texts in Redis. They are no clinic's: a document is
// program text, and who cannot tell its hash cannot ask for it.
type sharedByRedis struct {
	client redis.UniversalClient
}

// ByRedis shares texts through Redis. The client's time-outs bound each call.
func ByRedis(client redis.UniversalClient) Shared { return sharedByRedis{client} }

func redisKey(hash string) string { return "tm:apq:" + hash }

// Get implements Shared. A value that is far too long is not fetched whole.
func (s sharedByRedis) Get(ctx context.Context, hash string, ttl time.Duration) (string, error) {
	pipe := s.client.Pipeline()
	text := pipe.GetRange(ctx, redisKey(hash), 0, LongestText)
	pipe.Expire(ctx, redisKey(hash), ttl)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return "", err
	}
	return text.Val(), nil
}

// Put implements Shared.
func (s sharedByRedis) Put(ctx context.Context, hash, text string, ttl time.Duration) error {
	return s.client.Set(ctx, redisKey(hash), text, ttl).Err()
}
