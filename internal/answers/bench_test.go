package answers_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/touched"
)

// dayView is an answer of 12 KB that depends on 80 things.
func dayView(context.Context) (*answers.Entry, error) {
	entry := &answers.Entry{Body: bytes.Repeat([]byte("x"), 12<<10), ExpiresAt: time.Now().Add(time.Hour)}
	for i := range 80 {
		entry.Tags = append(entry.Tags, touched.Tag(fmt.Sprint("appointment:", uuid.NewSHA1(uuid.Nil, []byte{byte(i)}))))
	}
	return entry, nil
}

func BenchmarkHit(b *testing.B) {
	server := newRedis(b)
	for name, url := range map[string]string{"without Redis": "", "with Redis": server.url()} {
		b.Run(name, func(b *testing.B) {
			cache, clinic := newCache(b, answers.Config{RedisURL: url}), uuid.New()
			keep(b, cache, clinic, key("a"), dayView)
			request := answers.Request{Clinic: clinic, Key: key("a"), Compute: dayView}
			b.Run("one client", func(b *testing.B) {
				for b.Loop() {
					if _, outcome, _ := cache.Fill(b.Context(), request); !outcome.Hit {
						b.Fatal(outcome)
					}
				}
			})
			b.Run("many clients", func(b *testing.B) {
				b.SetParallelism(32)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, outcome, _ := cache.Fill(b.Context(), request); !outcome.Hit {
							b.Error(outcome)
						}
					}
				})
			})
			if url == "" {
				return
			}
			b.Run("from Redis", func(b *testing.B) {
				for b.Loop() {
					cache.Forget()
					if _, outcome, _ := cache.Fill(b.Context(), request); outcome.Tier != "redis" {
						b.Fatal(outcome)
					}
				}
			})
		})
	}
	// Beside it: what go-redis takes to fetch the same bytes.
	b.Run("GET of the same bytes", func(b *testing.B) {
		client := redis.NewClient(&redis.Options{Addr: server.addr(), DisableIdentity: true, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
		b.Cleanup(func() { _ = client.Close() })
		require.NoError(b, client.Set(b.Context(), "k", bytes.Repeat([]byte("x"), 12<<10), 0).Err())
		b.Run("one client", func(b *testing.B) {
			for b.Loop() {
				_ = client.Get(b.Context(), "k").Val()
			}
		})
		b.Run("many clients", func(b *testing.B) {
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = client.Get(b.Context(), "k").Val()
				}
			})
		})
	})
}

func BenchmarkWrite(b *testing.B) {
	server := newRedis(b)
	for name, url := range map[string]string{"without Redis": "", "with Redis": server.url()} {
		b.Run(name, func(b *testing.B) {
			cache, clinic := newCache(b, answers.Config{RedisURL: url}), uuid.New()
			tags := []touched.Tag{"appointment/day=2026-11-22", "appointment/contact=1", "appointment/practitioner=1", "appointment:1", "appointment/practitioner=1/day=2026-11-22"}
			for b.Loop() {
				write(b, cache, clinic, tags...)
			}
		})
	}
}

func BenchmarkStore(b *testing.B) {
	server := newRedis(b)
	for name, url := range map[string]string{"without Redis": "", "with Redis": server.url()} {
		b.Run(name, func(b *testing.B) {
			cache, clinic := newCache(b, answers.Config{RedisURL: url}), uuid.New()
			keep(b, cache, clinic, key("a"), dayView)
			i := 0
			for b.Loop() {
				i++
				if _, outcome, err := cache.Fill(b.Context(), answers.Request{Clinic: clinic, Key: key(i), Compute: dayView}); outcome.Hit || err != nil {
					b.Fatal(outcome)
				}
			}
		})
	}
}
