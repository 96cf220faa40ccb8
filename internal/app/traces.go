package app

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/redis/go-redis/v9"

	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/profile"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/telemetry"
	"github.com/taskmed/taskmed/internal/telemetry/traces"
)

// tracers see every statement: the observer's, where there is one, and the one
// that shows developers theirs.
func (o observer) tracers() pgx.QueryTracer {
	if o.tracer == nil {
		return profile.Tracer{}
	}
	return multitracer.New(profile.Tracer{}, o.tracer)
}

// What follows surrounds the parts with spans, and is put around them only
// where traces are made: off, nothing of it is there to cost anything.

func (o observer) traced() bool { return o.Telemetry != nil && o.Traced() }

// fetching counts and traces the relations that are fetched, and notes them for the
// developer who asked. The look-ahead fetches a relation once for all parents, so
// that is how often it is counted; the fields of Query are counted by their resolvers.
func (o observer) fetching() func(ctx context.Context, place *selection.Field, parents int) func(error) {
	return func(ctx context.Context, place *selection.Field, parents int) func(error) {
		field := place.Of.Object + "." + place.Name
		noted := profile.From(ctx)
		if o.Telemetry == nil && noted == nil {
			return nil
		}
		began := time.Now()
		var span traces.Span
		if o.Telemetry != nil {
			if parents > 0 {
				o.Batch(field, parents)
			}
			_, span = o.Fetch(ctx, field, parents)
		}
		return func(err error) {
			took := time.Since(began)
			if o.Telemetry != nil {
				span.End(err != nil)
				if place.Above != nil {
					o.Fetched(ctx, place.Of.Object, place.Name, took, err != nil)
				}
			}
			if noted != nil && place.Above != nil {
				noted.Fetched(strings.Join(place.Path(), "."), field, took)
			}
		}
	}
}

// cache is the response cache, with its look-ups traced.
func (o observer) cache(cache gqlserver.Cache) gqlserver.Cache {
	if !o.traced() {
		return cache
	}
	return tracedCache{cache, o.Telemetry}
}

type tracedCache struct {
	gqlserver.Cache

	traces *telemetry.Telemetry
}

// Answer implements gqlserver.Cache.
func (c tracedCache) Answer(ctx context.Context, question *gqlserver.Question, compute gqlserver.Compute) gqlserver.CacheAnswer {
	ctx, span := c.traces.Look(ctx)
	answer := c.Cache.Answer(ctx, question, compute)
	looked := traces.Looked{Outcome: "miss", Tier: answer.Tier, Reason: answer.Reason, Stored: answer.Stored}
	switch {
	case answer.Hit:
		looked.Outcome = "hit"
	case answer.Bypassed:
		looked.Outcome = "bypass"
	case answer.Data != nil:
		looked.Outcome = "shared"
	}
	span.EndLook(looked)
	return answer
}

// redisHook traces what is sent to Redis; nil where nothing is traced.
func (o observer) redisHook() redis.Hook {
	if !o.traced() {
		return nil
	}
	return tracedRedis{o.Telemetry}
}

type tracedRedis struct{ traces *telemetry.Telemetry }

// DialHook implements redis.Hook.
func (tracedRedis) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook implements redis.Hook.
func (r tracedRedis) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		ctx, span := r.traces.Redis(ctx, 1, func(int) string { return command.Name() })
		err := next(ctx, command)
		span.End(failed(err))
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (r tracedRedis) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		ctx, span := r.traces.Redis(ctx, len(commands), func(i int) string { return commands[i].Name() })
		err := next(ctx, commands)
		span.End(failed(err))
		return err
	}
}

// failed: that there is no such key is an answer.
func failed(err error) bool { return err != nil && !errors.Is(err, redis.Nil) }
