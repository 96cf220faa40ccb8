package traces

import (
	"context"
	"errors"
	"net"

	"github.com/redis/go-redis/v9"
)

// RedisHook traces what a client sends to Redis.
func (t *Traces) RedisHook() redis.Hook { return redisHook{t} }

type redisHook struct{ traces *Traces }

// DialHook implements redis.Hook.
func (redisHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook implements redis.Hook.
func (r redisHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		ctx, span := r.traces.Redis(ctx, 1, func(int) string { return command.Name() })
		err := next(ctx, command)
		span.End(failed(err))
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (r redisHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		ctx, span := r.traces.Redis(ctx, len(commands), func(i int) string { return commands[i].Name() })
		err := next(ctx, commands)
		span.End(failed(err))
		return err
	}
}

// failed: that there is no such key is an answer.
func failed(err error) bool { return err != nil && !errors.Is(err, redis.Nil) }
