package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
)

// The ports where a server of the system would listen, which are never ours.
const (
	defaultPostgresPort = 5432
	defaultRedisPort    = 6379
)

// freePort returns the port of last time if it is free, otherwise any other
// that is, but never the one to avoid.
func freePort(ctx context.Context, last, avoid int) (int, error) {
	if last > 0 && last != avoid {
		if port, err := tryPort(ctx, last); err == nil {
			return port, nil
		}
	}
	const tries = 10
	for range tries {
		port, err := tryPort(ctx, 0)
		if err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		if port != avoid {
			return port, nil
		}
	}
	return 0, errors.New("find a free port: none offered")
}

// tryPort listens for a moment: on the port given, or on any with 0.
func tryPort(ctx context.Context, port int) (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp4", loopback(port))
	if err != nil {
		return 0, err
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		return 0, err
	}
	if !ok {
		return 0, fmt.Errorf("unexpected address %s", l.Addr())
	}
	return addr.Port, nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
