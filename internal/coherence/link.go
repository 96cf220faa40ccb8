package coherence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// errAnotherServer is returned where a connection reached another Redis server
// than the one that the link is for.
var errAnotherServer = errors.New("another redis server, or the same one restarted")

// Link is a pool of connections to one run of one Redis server. A server that
// was restarted, restored or put in another's place has another run id and gets
// a new link, so that a command meant for the one never reaches the other.
type Link struct {
	client  *redis.Client
	breaker breaker

	replaced atomic.Bool
	// why is the reason, in words for the log.
	why   atomic.Pointer[string]
	seams Seams

	mu  sync.Mutex
	run string
}

// Dial makes a link and finds out to whom it leads. The hook is put around every
// command; it may be nil.
func Dial(ctx context.Context, options *redis.Options, hook redis.Hook, seams Seams) (*Link, error) {
	l := &Link{seams: seams}
	settings := *options
	settings.OnConnect = l.identify
	l.client = redis.NewClient(&settings)
	if hook != nil {
		l.client.AddHook(hook)
	}
	if err := l.client.Ping(ctx).Err(); err != nil {
		_ = l.client.Close()
		return nil, fmt.Errorf("reach redis: %w", err)
	}
	return l, nil
}

// Options reads a URL of Redis (redis://, rediss://, unix://) and sets what keeps a
// server that fails from holding requests up.
func Options(url string, timeout time.Duration) (*redis.Options, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		// The library's words could hold the password.
		return nil, errors.New("the URL of Redis cannot be read: check its form, redis://user:password@host:port/database")
	}
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.DialTimeout = timeout
	options.ReadTimeout = timeout
	options.WriteTimeout = timeout
	options.PoolTimeout = timeout
	options.PoolSize = 64
	options.ContextTimeoutEnabled = true
	// Servers before 7.2 know neither.
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return options, nil
}

// identify asks a new connection's server who it is, before any command.
func (l *Link) identify(ctx context.Context, conn *redis.Conn) error {
	text, err := conn.Info(ctx).Result()
	if err != nil {
		return fmt.Errorf("ask redis who it is: %w", err)
	}
	run, err := l.usable(parseInfo(text))
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.run == "" {
		l.run = run
	}
	if l.run != run {
		l.replace("it was restarted, or is another server")
		return errAnotherServer
	}
	return nil
}

// usable names the run of a server that may be used.
func (l *Link) usable(info map[string]string) (run string, err error) {
	policy := info["maxmemory_policy"]
	switch {
	case info["run_id"] == "":
		return "", errors.New("redis does not say its run id: the cache needs INFO")
	case info["role"] != "master":
		return "", errors.New("redis is a replica: the cache needs the master")
	case strings.HasPrefix(policy, "allkeys") && !l.seams.Forgetful:
		return "", fmt.Errorf("redis has maxmemory-policy %s and could forget what was written: set noeviction or volatile-lru", policy)
	}
	// Who was a replica meanwhile has another's data in the same run, and another
	// name as a master.
	return info["run_id"] + "-" + info["master_replid"][:min(8, len(info["master_replid"]))], nil
}

// replace gives the link up; what comes in its place begins anew.
func (l *Link) replace(why string) {
	l.why.Store(&why)
	l.replaced.Store(true)
}

func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

// Replaced tells whether the link leads to a server that is no more, and why in
// words for the log.
func (l *Link) Replaced() (why string, replaced bool) {
	if !l.replaced.Load() {
		return "", false
	}
	return *l.why.Load(), true
}

// RunID names the run of the server.
func (l *Link) RunID() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.run
}

// Do asks Redis through the breaker. That there is no such key is an answer.
func (l *Link) Do(ctx context.Context, ask func(ctx context.Context) error) error {
	if l.replaced.Load() {
		return errAnotherServer
	}
	if !l.breaker.allow() {
		return errOpen
	}
	err := ask(ctx)
	var said redis.Error
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		l.breaker.report(false)
	case errors.As(err, &said):
		l.breaker.report(strings.HasPrefix(said.Error(), "LOADING"))
		if strings.HasPrefix(said.Error(), "READONLY") {
			// A master that became a replica: what it knows is no longer the truth.
			l.replace("it has become a replica")
		}
	case ctx.Err() == nil:
		l.breaker.report(true)
	default:
		// The asker went away, which says nothing about Redis; but whoever was let
		// through to try it must not keep the others from trying.
	}
	return err
}

// StillUsable asks who the server is, on a connection that there is. It may have
// been told meanwhile to evict keys, or been a replica.
func (l *Link) StillUsable(ctx context.Context) error {
	var text string
	err := l.Do(ctx, func(ctx context.Context) (err error) {
		text, err = l.client.Info(ctx).Result()
		return err
	})
	if err != nil {
		return err
	}
	switch run, err := l.usable(parseInfo(text)); {
	case err != nil:
		l.replace(err.Error())
	case run != l.RunID():
		l.replace("it was restarted, or is another server")
	}
	return nil
}

// Close ends the connections.
func (l *Link) Close() error { return l.client.Close() }

// LogRedis makes the Redis library write its own complaints to a logger. It is
// for the whole process and must be called before the first New.
func LogRedis(log *slog.Logger) { redis.SetLogger(redisLogger{log}) }

type redisLogger struct{ log *slog.Logger }

// Printf takes a line of the library's.
func (l redisLogger) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "redis library", slog.String("line", fmt.Sprintf(format, args...)))
}
