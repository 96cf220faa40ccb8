package persisted

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// pause is how long a Redis that failed to answer is not asked.
const pause = 250 * time.Millisecond

// errPaused is returned during the pause.
var errPaused = errors.New("redis did not answer and is not asked for a moment")

// Redis shares texts through a Redis server. They are no clinic's: a document is
// program text, and who cannot tell its hash cannot ask for it.
type Redis struct {
	client *redis.Client
	// failed is when it last failed to answer, in nanoseconds.
	failed atomic.Int64
}

// OpenRedis makes the connections to a Redis (redis://, rediss://, unix://); it
// does not connect. timeout bounds each call.
func OpenRedis(url string, timeout time.Duration) (*Redis, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		// The library's words could hold the password.
		return nil, errors.New("the URL of Redis cannot be read: check its form, redis://user:password@host:port/database")
	}
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout, options.PoolTimeout = timeout, timeout, timeout, timeout
	options.ContextTimeoutEnabled = true
	// Servers before 7.2 know neither.
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return &Redis{client: redis.NewClient(options)}, nil
}

// AddHook has a hook around every command. Call it before the first.
func (r *Redis) AddHook(hook redis.Hook) { r.client.AddHook(hook) }

// Close closes the connections.
func (r *Redis) Close() error { return r.client.Close() }

// Ping tells whether Redis answers.
func (r *Redis) Ping(ctx context.Context) error { return r.client.Ping(ctx).Err() }

func redisKey(hash string) string { return "tm:apq:" + hash }

// Get implements Shared. A value that is far too long is not fetched whole.
func (r *Redis) Get(ctx context.Context, hash string, ttl time.Duration) (string, error) {
	var text *redis.StringCmd
	err := r.ask(func() error {
		pipe := r.client.Pipeline()
		text = pipe.GetRange(ctx, redisKey(hash), 0, LongestText)
		pipe.Expire(ctx, redisKey(hash), ttl)
		_, err := pipe.Exec(ctx)
		return err
	})
	if err != nil {
		return "", err
	}
	return text.Val(), nil
}

// Put implements Shared.
func (r *Redis) Put(ctx context.Context, hash, text string, ttl time.Duration) error {
	return r.ask(func() error { return r.client.Set(ctx, redisKey(hash), text, ttl).Err() })
}

// ask spares requests the wait for a Redis that does not answer.
func (r *Redis) ask(question func() error) error {
	if time.Since(time.Unix(0, r.failed.Load())) < pause {
		return errPaused
	}
	err := question()
	if _, answered := errors.AsType[redis.Error](err); err != nil && !answered {
		r.failed.Store(time.Now().UnixNano())
	}
	return err
}
