package devstack

import (
	"context"
	"log/slog"
)

// RedisServer returns a redis-server and the environment to add for it, as a
// stack would choose it: for tests that start, kill and restore their own.
func RedisServer(ctx context.Context, opts Options) (path string, env []string, err error) {
	// It runs as ourselves, so nobody else need reach it.
	s := &Stack{opts: opts, log: opts.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	install, err := s.findRedis(ctx)
	return install.path, install.env, err
}
