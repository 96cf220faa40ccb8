package devstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// RedisDatabases is how many databases the private Redis has.
const RedisDatabases = 64

func (s *Stack) redisPidFile() string { return filepath.Join(s.redisData(), "redis.pid") }

func (s *Stack) startRedis(ctx context.Context) error {
	install, err := s.findRedis(ctx)
	if err != nil {
		return err
	}
	const tries = 3
	for try := 1; ; try++ {
		if s.state.RedisPort, err = freePort(ctx, s.state.RedisPort, defaultRedisPort); err != nil {
			return err
		}
		err := s.launchRedis(ctx, install)
		// Another program may have taken the port between our look and Redis' bind.
		if err == nil || try == tries || ctx.Err() != nil || !strings.Contains(err.Error(), "ended") {
			return err
		}
		s.state.RedisPort = 0
	}
}

func (s *Stack) launchRedis(ctx context.Context, install redisInstall) error {
	conf := filepath.Join(s.redisData(), "redis.conf")
	if err := os.WriteFile(conf, []byte(s.redisConf()), 0o600); err != nil {
		return fmt.Errorf("configure Redis: %w", err)
	}
	if s.user.drops {
		if err := os.Chown(conf, s.user.uid, s.user.gid); err != nil {
			return fmt.Errorf("configure Redis: %w", err)
		}
	}
	c, err := s.startChild(ctx, spec{
		name: "Redis",
		path: install.path,
		args: []string{conf},
		env:  append([]string{"PATH=/usr/bin:/bin", "TZ=UTC", "HOME=" + s.redisData()}, install.env...),
		dir:  s.redisData(),
		log:  filepath.Join(s.home, "redis.log"),
		term: syscall.SIGTERM, // saves, if the stack keeps its data, and ends
	})
	if err != nil {
		return err
	}
	if err := c.waitReady(ctx, s.redisReady); err != nil {
		select {
		case <-c.done: // it ended, so it needs no stopping and may be tried again
		default:
			s.redis = c
		}
		return err
	}
	s.redis = c
	c.watch(s.failed)
	return nil
}

func (s *Stack) redisConf() string {
	lines := []string{
		"bind 127.0.0.1",
		"port " + strconv.Itoa(s.state.RedisPort),
		"unixsocket " + s.redisSocket(),
		"unixsocketperm 700",
		"requirepass " + s.state.Passwords.Redis,
		"databases " + strconv.Itoa(RedisDatabases),
		"dir " + strconv.Quote(s.redisData()),
		"pidfile " + strconv.Quote(s.redisPidFile()),
		"daemonize no",
		"loglevel warning",
		"appendonly no",
		"maxmemory 256mb",
		// What has no end of life is not a cached value and must not be lost.
		"maxmemory-policy volatile-lru",
	}
	if s.opts.Ephemeral {
		lines = append(lines, `save ""`)
	} else {
		lines = append(lines, "save 300 100")
	}
	return strings.Join(lines, "\n") + "\n"
}

func (s *Stack) redisSocket() string { return filepath.Join(s.state.Sockets, "redis.sock") }

// redisReady asks our own socket, so no other server can answer, and speaks
// the few bytes of the protocol itself.
func (s *Stack) redisReady(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", s.redisSocket())
	if err != nil {
		return fmt.Errorf("connect to Redis: %w", err)
	}
	defer func() { _ = conn.Close() }() // nothing was written that could be lost
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return fmt.Errorf("ask Redis: %w", err)
	}
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\nPING\r\n", s.state.Passwords.Redis); err != nil {
		return fmt.Errorf("ask Redis: %w", err)
	}
	answers := bufio.NewScanner(conn)
	for _, want := range []string{"+OK", "+PONG"} {
		if !answers.Scan() {
			return errors.Join(errors.New("ask Redis: no answer"), answers.Err())
		}
		if got := answers.Text(); got != want {
			return fmt.Errorf("ask Redis: %s", got)
		}
	}
	return nil
}
