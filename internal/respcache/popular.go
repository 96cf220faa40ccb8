package respcache

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// keptPopular bounds the operations whose runs are counted.
	keptPopular = 500
	// countEvery is how often an instance adds its counts to the shared ones.
	countEvery = 10 * time.Second
	// longestName bounds what an operation is called here, in bytes.
	longestName = 4096
)

// popular counts which operations run most, for those who warm up after a start.
type popular struct {
	mu   sync.Mutex
	runs map[string]int
}

func newPopular() *popular { return &popular{runs: map[string]int{}} }

// Ran counts a run of an operation. The name is the caller's: it must suffice to
// run it again, and holds no patient's data. It is kept in Redis only.
func (c *Cache) Ran(name string) {
	if c.redis == nil || len(name) > longestName {
		return
	}
	c.popular.mu.Lock()
	defer c.popular.mu.Unlock()
	if _, known := c.popular.runs[name]; known || len(c.popular.runs) < keptPopular {
		c.popular.runs[name]++
	}
}

// Popular gives the operations that ran most, at most n, the most frequent first;
// none without Redis.
func (c *Cache) Popular(ctx context.Context, n int) ([]string, error) {
	ledger := c.writes.Load()
	if ledger == nil || n <= 0 {
		return nil, nil
	}
	var names []string
	err := ledger.link.do(ctx, func(ctx context.Context) (err error) {
		// By its name: the library marks it as old, and Redis 6.0 has no other.
		names, err = ledger.link.client.Do(ctx, "ZREVRANGE", c.popularKey(), 0, n-1).StringSlice()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask which operations ran most: %w", err)
	}
	return names, nil
}

// popularKey outlives the server's run: what ran most says nothing about data.
func (c *Cache) popularKey() string { return c.config.Prefix + ":popular" }

// addCounts adds what ran here to the shared counts, which fade: each addition
// takes a little off all, so that what ran last month gives way.
func (c *Cache) addCounts(ctx context.Context) error {
	ledger := c.writes.Load()
	if ledger == nil {
		return nil
	}
	c.popular.mu.Lock()
	runs := c.popular.runs
	c.popular.runs = map[string]int{}
	c.popular.mu.Unlock()
	if len(runs) == 0 {
		return nil
	}
	return ledger.link.do(ctx, func(ctx context.Context) error {
		_, err := ledger.link.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			key := c.popularKey()
			pipe.ZUnionStore(ctx, key, &redis.ZStore{Keys: []string{key}, Weights: []float64{0.99}})
			for name, count := range runs {
				pipe.ZIncrBy(ctx, key, float64(count), name)
			}
			pipe.ZRemRangeByRank(ctx, key, 0, -keptPopular-1)
			pipe.Expire(ctx, key, 30*24*time.Hour)
			return nil
		})
		return err
	})
}
