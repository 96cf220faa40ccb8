package app_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// BenchmarkHit is the way of an answer that is kept through the whole handler,
// authentication included, without a network to the client. (Promise P1.)
func BenchmarkHit(b *testing.B) {
	d := testkit.NewDatabase(b)
	clinic := d.NewClinic(b, "aurora")
	d.Exec(b, `INSERT INTO contacts (clinic_id, id, name, email)
		SELECT $1, gen_random_uuid(), 'Ana Souza', 'ana' || n || '@example.com' FROM generate_series(1, 100) n`, clinic.ID)
	for _, kept := range []struct {
		name   string
		option api.Option
	}{{"process", nothing}, {"redis", api.WithRedis(d)}} {
		server := api.NewServer(b, d, kept.option)
		client := server.As(b, clinic, models.RoleOwner)
		for _, size := range []struct{ name, query string }{
			{"1KB", `{ contacts(first: 10) { nodes { id name email } } }`},
			{"12KB", `{ contacts(first: 100) { nodes { id name email } } }`},
		} {
			b.Run(kept.name+"/"+size.name, func(b *testing.B) {
				body := `{"query":"` + size.query + `"}`
				ask := func() *httptest.ResponseRecorder {
					out := httptest.NewRecorder()
					server.App.Handler().ServeHTTP(out, client.Request(b, body))
					return out
				}
				require.Eventually(b, func() bool {
					return strings.HasPrefix(ask().Header().Get("Cache-Status"), "taskmed; hit")
				}, 30*time.Second, time.Millisecond)
				took := make([]time.Duration, 0, 1<<16)
				for b.Loop() {
					request, out := client.Request(b, body), httptest.NewRecorder()
					began := time.Now()
					server.App.Handler().ServeHTTP(out, request)
					took = append(took, time.Since(began))
					if out.Code != http.StatusOK {
						b.Fatal(out.Body.String())
					}
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-us")
				b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-us")
			})
		}
	}
}
