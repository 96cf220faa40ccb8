package guesses

import (
	"context"
	_ "embed" // for the script
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/keyed"
)

//go:embed spend.lua
var spendScript string

const (
	// prefix begins each guesser's key.
	prefix = "tm:guesses:"
	// connections are few: this is asked twenty times an hour by each guesser.
	connections = 4
)

// errPaused is returned while Redis is not asked because it failed to answer.
var errPaused = errors.New("redis did not answer and is not asked for a moment")

// Redis counts for all instances that share it and the secret. Neither the clinic nor
// the subject can be read there, and no CPF gets there in any form.
type Redis struct {
	client *redis.Client
	names  *keyed.Hash
	spend  *redis.Script
	// failed is when it last failed to answer, in nanoseconds.
	failed atomic.Int64
}

// OpenRedis makes the connections; it does not connect. timeout bounds each try's call.
// The hook is put around every command.
func OpenRedis(url string, timeout time.Duration, secret []byte, hook redis.Hook) (*Redis, error) {
	options, err := coherence.Options(url, timeout)
	if err != nil {
		return nil, err
	}
	options.PoolSize = connections
	r := &Redis{client: redis.NewClient(options), names: keyed.New(secret, "who guesses CPFs"), spend: redis.NewScript(spendScript)}
	r.client.AddHook(hook)
	return r, nil
}

// Close closes the connections.
func (r *Redis) Close() { _ = r.client.Close() }

func (r *Redis) key(who Guesser) string {
	name := r.names.SumOf(func(room []byte) []byte { return append(append(room, who.Clinic[:]...), who.Subject...) })
	return prefix + base64.RawURLEncoding.EncodeToString(name[:16])
}

// Spend implements Shared. A Redis that does not answer costs its time-out once in a
// while, not every guesser.
func (r *Redis) Spend(ctx context.Context, who Guesser, try Try) (Spent, error) {
	if time.Since(time.Unix(0, r.failed.Load())) < coherence.Pause {
		return Spent{}, errPaused
	}
	said, err := r.spend.Run(ctx, r.client, []string{r.key(who)},
		try.At.UnixMilli(), try.Since.UnixMilli(), try.Owed, Most, Window.Milliseconds()).Int64Slice()
	if _, answered := errors.AsType[redis.Error](err); err != nil && !answered && ctx.Err() == nil {
		r.failed.Store(time.Now().UnixNano())
	}
	if err != nil {
		return Spent{}, fmt.Errorf("count a CPF that was tried: %w", err)
	}
	if len(said) != 3 {
		return Spent{}, fmt.Errorf("count a CPF that was tried: redis said %d numbers", len(said))
	}
	return Spent{May: said[0] == 1, Made: int(said[1]), Since: time.UnixMilli(said[2])}, nil
}
