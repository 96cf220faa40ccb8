package messaging_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkInbound is how long a provider waits for its acknowledgement: 50 senders post
// b.N messages each at once to a server process, whose workers understand them meanwhile.
func BenchmarkInbound(b *testing.B) {
	const senders = 50
	d := newDesk(b)
	_, path := d.whatsapp(b)
	url, _ := d.serving(b)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
	var mu sync.Mutex
	var took []time.Duration
	run := func(name string, each int) {
		var all sync.WaitGroup
		for sender := range senders {
			all.Go(func() {
				for n := range each {
					body := wrote(fmt.Sprint("wamid.", name, sender, ".", n), fmt.Sprintf("55119%08d", sender), fmt.Sprint("BR.", sender), "Tem horário amanhã?", time.Now().Unix())
					sum := hmac.New(sha256.New, []byte(appSecret))
					sum.Write([]byte(body))
					request, err := http.NewRequestWithContext(context.WithoutCancel(b.Context()), http.MethodPost, url+path, strings.NewReader(body))
					if err != nil {
						b.Error(err)
						return
					}
					request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(sum.Sum(nil)))
					began := time.Now()
					answer, err := client.Do(request)
					if err != nil {
						b.Error(err)
						return
					}
					lasted := time.Since(began)
					_ = answer.Body.Close()
					if answer.StatusCode != http.StatusOK {
						b.Errorf("status %d", answer.StatusCode)
						return
					}
					mu.Lock()
					took = append(took, lasted)
					mu.Unlock()
				}
			})
		}
		all.Wait()
	}
	run("first", 1) // connections
	took = took[:0]
	b.ResetTimer()
	run("", b.N)
	b.StopTimer()
	require.Equal(b, senders*(b.N+1), d.Count(b, "SELECT count(*) FROM channel_events"), "each is kept once")
	slices.Sort(took)
	for name, at := range map[string]int{"p50-ms": len(took) / 2, "p99-ms": len(took) * 99 / 100, "max-ms": len(took) - 1} {
		b.ReportMetric(float64(took[at])/float64(time.Millisecond), name)
	}
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "posts/s")
	b.ReportMetric(0, "ns/op")
}
