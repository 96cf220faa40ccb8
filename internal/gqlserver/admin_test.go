package gqlserver_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/gqlserver"
)

// A dashboard that is open listens for ever: the server stops all the same, and
// does not call it a request that was cut.
func TestStop_DoesNotWaitForAnOpenDashboard(t *testing.T) {
	t.Parallel()
	listening, left := make(chan struct{}), make(chan error, 1)
	f := newFixture(t, func(c *gqlserver.Config) {
		c.Limits.Drain = time.Millisecond
		c.AdminRoutes = map[string]http.Handler{"GET /dashboard/events": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(listening)
			<-r.Context().Done()
			left <- r.Context().Err()
		})}
	})
	r := serve(t, f)
	go func() {
		// It has no answer to wait for.
		request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "http://"+r.admin+"/dashboard/events", nil)
		if err == nil {
			_, _, _ = read1(client(t).Do(request))
		}
	}()
	<-listening
	r.stop()
	require.NoError(t, <-r.ended)
	require.ErrorIs(t, <-left, context.Canceled)
}
