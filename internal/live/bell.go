package live

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/database"
)

const (
	// rings is how many rings wait to be sent; more are left to the feeds' own looking.
	rings = 64
	// again is how long after a fault the bell is hung up anew.
	again = time.Second
	// quiet is how long no ring may come before it is asked whether Redis is there.
	quiet = 5 * time.Second
)

// bell rings on all servers of a database, by Redis' pub/sub: a message is the ids of the
// clinics that have new changes, 16 bytes each, and nothing else.
type bell struct {
	config Config
	client *redis.Client
	heard  func([]uuid.UUID)
	out    chan []uuid.UUID
	stop   context.CancelFunc
	done   chan struct{}
}

// newBell hangs it up; without Redis it is silent.
func newBell(config Config, heard func([]uuid.UUID)) (*bell, error) {
	b := &bell{config: config, heard: heard, out: make(chan []uuid.UUID, rings), done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	if config.RedisURL == "" {
		close(b.done)
		return b, nil
	}
	options, err := coherence.Options(config.RedisURL, config.RedisTimeout)
	if err != nil {
		stop()
		return nil, err
	}
	options.PoolSize = 4
	b.client = redis.NewClient(options)
	go func() {
		defer close(b.done)
		b.run(ctx)
	}()
	return b, nil
}

func (b *bell) close() {
	b.stop()
	<-b.done
	if b.client != nil {
		_ = b.client.Close() // nothing is left to be said
	}
}

// ring sends to the other servers, without waiting.
func (b *bell) ring(clinics []uuid.UUID) {
	if b.client == nil {
		return
	}
	select {
	case b.out <- clinics:
	default:
	}
}

// run hears and sends until the context ends.
func (b *bell) run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		err := b.hang(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			b.config.Log.WarnContext(ctx, "subscriptions are told up to a second later: Redis does not pass on that something happened", slog.String("error", err.Error()))
		}
		failing = err != nil
		wait := time.NewTimer(again)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

// channel names the database, as the cache's keys do: two that share a Redis do not hear
// each other.
func (b *bell) channel(ctx context.Context) (string, error) {
	ctx, done := context.WithTimeout(ctx, longest)
	defer done()
	found, err := database.Lookup[struct{ Name string }](ctx, b.config.DB,
		"SELECT c.system_identifier || '/' || d.oid AS name FROM pg_control_system() c, pg_database d WHERE d.datname = current_database()")
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("ask Postgres which database it is: %w", err)
	}
	sum := sha256.Sum256([]byte("taskmed database " + found[0].Name))
	return "tm:live:" + hex.EncodeToString(sum[:8]), nil
}

func (b *bell) hang(ctx context.Context) error {
	name, err := b.channel(ctx)
	if err != nil {
		return err
	}
	hung := b.client.Subscribe(ctx, name)
	defer func() { _ = hung.Close() }()
	// Whoever waits for a message does not look at the context.
	defer context.AfterFunc(ctx, func() { _ = hung.Close() })()
	if _, err := hung.Receive(ctx); err != nil {
		return fmt.Errorf("subscribe in Redis: %w", err)
	}
	ctx, end := context.WithCancelCause(ctx)
	sending := make(chan struct{})
	go func() {
		defer close(sending)
		end(b.send(ctx, name))
	}()
	defer func() { <-sending }()
	defer end(nil)
	silent := false
	for ctx.Err() == nil {
		message, err := hung.ReceiveTimeout(ctx, quiet)
		if timeout, ok := err.(interface{ Timeout() bool }); ok && timeout.Timeout() && !silent && ctx.Err() == nil {
			silent = true
			if err := hung.Ping(ctx); err != nil {
				return fmt.Errorf("ping Redis: %w", err)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("hear from Redis: %w", err)
		}
		silent = false
		if rung, ok := message.(*redis.Message); ok {
			b.heard(clinicsOf(rung.Payload))
		}
	}
	return context.Cause(ctx)
}

// send passes rings on, those that have gathered together.
func (b *bell) send(ctx context.Context, name string) error {
	for {
		var payload []byte
		select {
		case <-ctx.Done():
			return ctx.Err()
		case clinics := <-b.out:
			for _, clinic := range clinics {
				payload = append(payload, clinic[:]...)
			}
		}
		if err := b.client.Publish(ctx, name, payload).Err(); err != nil {
			return fmt.Errorf("publish in Redis: %w", err)
		}
	}
}

// clinicsOf reads a message; what is none of ours is nothing.
func clinicsOf(payload string) []uuid.UUID {
	var all []uuid.UUID
	for len(payload) >= len(uuid.UUID{}) {
		all = append(all, uuid.UUID([]byte(payload[:16])))
		payload = payload[16:]
	}
	return all
}
