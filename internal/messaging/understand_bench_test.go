package messaging_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/messaging"
	"github.com/taskmed/taskmed/internal/messaging/channel"
	"github.com/taskmed/taskmed/internal/messaging/whatsapp"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// away gives a database's address so far away: what goes through it arrives as much later.
func away(b *testing.B, address string, delay time.Duration) string {
	b.Helper()
	at, err := url.Parse(address)
	require.NoError(b, err)
	to := at.Host
	listener, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.1:0")
	require.NoError(b, err)
	b.Cleanup(func() { _ = listener.Close() })
	relay := func(from, to net.Conn) {
		defer func() { _ = to.Close() }()
		for buffer := make([]byte, 64<<10); ; {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			time.Sleep(delay) //nolint:forbidigo // a distance
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := new(net.Dialer).DialContext(context.WithoutCancel(b.Context()), "tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			go relay(near, far)
			go relay(far, near)
		}
	}()
	at.Host = listener.Addr().String()
	return at.String()
}

// BenchmarkUnderstanding is how many messages of one clinic's contacts a second get from
// what providers have posted into their conversations: one at a time, and several, in turns
// of 200 messages of 50 senders; with Postgres on this machine, and half a millisecond away.
//
//	go run ./internal/testkit/teststack go test ./internal/messaging -run '^$' -bench BenchmarkUnderstanding -benchtime 5x
func BenchmarkUnderstanding(b *testing.B) {
	d := newDesk(b)
	_, path := d.whatsapp(b)
	name := strings.TrimPrefix(path, messaging.InboundPath)
	secret, err := hex.DecodeString(api.Secret)
	require.NoError(b, err)
	far, err := database.Open(b.Context(), database.Config{URL: away(b, d.AppURL, 500*time.Microsecond), MaxConns: 16, AcquireTimeout: 20 * time.Second})
	require.NoError(b, err)
	b.Cleanup(far.Close)
	talk, err := messaging.New(far, secret, map[models.Channel]channel.Adapter{models.ChannelWhatsapp: whatsapp.New(d.graph.URL)}, time.Now)
	require.NoError(b, err)
	b.Run("near", func(b *testing.B) { understandInTurns(b, d, d.talk, name) })
	b.Run("half a millisecond away", func(b *testing.B) { understandInTurns(b, d, talk, name) })
}

func understandInTurns(b *testing.B, d *desk, talk *messaging.Correspondence, name string) {
	b.Helper()
	const senders, each = 50, 4
	sizes := []int{1, 6}
	took := make([]time.Duration, len(sizes))
	workers := make([]*messaging.Worker, len(sizes))
	for n, size := range sizes {
		workers[n] = messaging.NewWorker(talk, messaging.WorkerConfig{})
		workers[n].UnderstandBeside(size)
	}
	for b.Loop() {
		for n, worker := range workers {
			for sender := range senders {
				for range each {
					body := wrote("wamid."+models.NewID().String(), fmt.Sprintf("55119%08d", sender), fmt.Sprint("BR.", sender), "Tem horário amanhã?", time.Now().Unix())
					sum := hmac.New(sha256.New, []byte(appSecret))
					sum.Write([]byte(body))
					signed := func(string) string { return "sha256=" + hex.EncodeToString(sum.Sum(nil)) }
					require.NoError(b, d.talk.Take(b.Context(), name, signed, []byte(body)))
				}
			}
			began := time.Now()
			for done := 0; done < senders*each; {
				some, err := worker.Round(b.Context())
				require.NoError(b, err)
				done += some
			}
			took[n] += time.Since(began)
			require.Zero(b, d.Count(b, waiting))
		}
	}
	for n, size := range sizes {
		b.ReportMetric(float64(b.N*senders*each)/took[n].Seconds(), fmt.Sprintf("messages/s-by-%d", size))
	}
	b.ReportMetric(0, "ns/op")
}
