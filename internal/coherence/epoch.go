package coherence

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Every value is stored under an epoch, and an instance that may have missed a
// write begins a new one: what stands under an earlier one is never looked at.

func (l *Shared) epochKey() string { return l.RunKey("epoch") }

// NextEpoch begins an epoch.
func (l *Shared) NextEpoch(ctx context.Context) (uint64, error) {
	var epoch uint64
	err := l.link.Do(ctx, func(ctx context.Context) (err error) {
		epoch, err = l.epochs.Run(ctx, l.link.client, []string{l.epochKey()}).Uint64()
		return err
	})
	return epoch, err
}

// Epoch is the one that began last; 0 if none has.
func (l *Shared) Epoch(ctx context.Context) (uint64, error) {
	var epoch uint64
	err := l.link.Do(ctx, func(ctx context.Context) (err error) {
		epoch, err = l.link.client.Get(ctx, l.epochKey()).Uint64()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	return epoch, err
}

// Sweep removes the keys of other runs of Redis, whatever their database and
// version. Nobody uses them any more; those of this run somebody may.
func (l *Shared) Sweep(ctx context.Context, prefix string) error {
	var cursor uint64
	for {
		var keys, gone []string
		err := l.link.Do(ctx, func(ctx context.Context) (err error) {
			keys, cursor, err = l.link.client.Scan(ctx, cursor, prefix+":*", 500).Result()
			return err
		})
		if err != nil {
			return err
		}
		for _, key := range keys {
			version, rest, _ := strings.Cut(strings.TrimPrefix(key, prefix+":"), ":")
			run, _, found := strings.Cut(rest, ":")
			if _, err := strconv.Atoi(version); err == nil && found && !strings.HasPrefix(l.link.RunID(), run) {
				gone = append(gone, key)
			}
		}
		if len(gone) > 0 {
			if err := l.link.Do(ctx, func(ctx context.Context) error { return l.link.client.Unlink(ctx, gone...).Err() }); err != nil {
				return err
			}
		}
		if cursor == 0 {
			return nil
		}
	}
}
