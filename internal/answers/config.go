package answers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/taskmed/taskmed/internal/coherence"
)

// Config says where answers are kept and how much of them.
type Config struct {
	// RedisURL is where instances share answers and what was written. Empty: the
	// process alone, which is right for one instance only.
	RedisURL string
	// RedisTimeout bounds one question to Redis (100 ms).
	RedisTimeout time.Duration
	// Secret seals what is kept in Redis: a value that was made without it is none.
	// Instances that share answers share it.
	Secret []byte
	// Prefix begins every key in Redis ("tm").
	Prefix string
	// ListenURL reaches Postgres for LISTEN, without a pooler in between. Empty:
	// writes made outside the API are not noticed, which only tests can want.
	ListenURL string
	// Database names the database where nobody listens; a listening connection asks
	// for it.
	Database string
	// Barrier waits until every transaction has ended that had written something
	// when it was called (coherence.PostgresBarrier of ListenURL).
	Barrier func(ctx context.Context) error

	// Bytes bounds the process's tier (64 MiB), ClinicBytes one clinic's part of
	// it (a quarter).
	Bytes, ClinicBytes uint64
	// LongestCommit is how long a transaction may take from raising its tags to
	// the end of its commit (12 s). LongestRequest is how long after it began a
	// reader may still store what it read (20 s). A fence stands for both and a
	// margin.
	LongestCommit, LongestRequest time.Duration

	// Hook is put around every command that is sent to Redis; may be nil.
	Hook redis.Hook

	Log *slog.Logger
	// Metrics takes the cache's metrics; may be nil.
	Metrics prometheus.Registerer
}

func (c *Config) complete() error {
	orElse(&c.RedisTimeout, 100*time.Millisecond)
	orElse(&c.Prefix, "tm")
	orElse(&c.Bytes, 64<<20)
	orElse(&c.ClinicBytes, c.Bytes/4)
	orElse(&c.LongestCommit, 12*time.Second)
	orElse(&c.LongestRequest, 20*time.Second)
	if c.ClinicBytes > c.Bytes {
		return errors.New("answers: one clinic may have more than all together")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Barrier == nil {
		c.Barrier = func(context.Context) error { return nil }
		if c.ListenURL != "" {
			c.Barrier = coherence.PostgresBarrier(c.ListenURL)
		}
	}
	return nil
}

func orElse[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}
