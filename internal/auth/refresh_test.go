package auth

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

const oneKey = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

func fitting(set *keySet) []jwt.VerificationKey {
	keys, _ := set.fitting("a", "EdDSA")
	return keys
}

// The hours of this test pass in no time: inside the bubble the clock runs
// ahead whenever everybody waits.
func TestKeySet_IsFetchedAgainByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set, err := newKeySet("https://id.example/jwks", false, slog.New(slog.DiscardHandler), time.Now)
		require.NoError(t, err)
		var fetches atomic.Int64
		var broken, hung atomic.Bool
		set.client.Transport = transport(func(r *http.Request) (*http.Response, error) {
			fetches.Add(1)
			if hung.Load() {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			if broken.Load() {
				return nil, errors.New("connection refused")
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(oneKey)), Request: r}, nil
		})
		ctx, stop := context.WithCancel(t.Context())
		go set.run(ctx)
		after := func(d time.Duration) int64 {
			<-time.After(d) // by the bubble's clock
			synctest.Wait()
			return fetches.Load()
		}
		require.EqualValues(t, 1, after(0), "at once")
		require.Len(t, fitting(set), 1)
		require.EqualValues(t, 1, after(refreshEvery-time.Second))
		require.EqualValues(t, 2, after(2*time.Second))

		broken.Store(true)
		require.EqualValues(t, 3, after(refreshEvery))
		require.EqualValues(t, 5, after(2*retryEvery), "soon again while it fails")
		require.Len(t, fitting(set), 1, "the last good keys stay")

		hung.Store(true)
		require.EqualValues(t, 6, after(retryEvery))
		require.EqualValues(t, 6, after(fetchTimeout-time.Second), "one fetch at a time")
		begun := time.Now()
		asking, cancel := context.WithTimeout(ctx, time.Second/2)
		_, _, err = set.find(asking, "b", "EdDSA")
		cancel()
		require.ErrorIs(t, err, errNoKeySet)
		require.Equal(t, time.Second/2, time.Since(begun), "a request waits no longer than it wants to")
		begun = time.Now()
		_, _, err = set.find(ctx, "b", "EdDSA")
		require.ErrorIs(t, err, errNoKeySet)
		require.LessOrEqual(t, time.Since(begun), 2*fetchTimeout, "nor longer than the fetch under way and its own")

		stop()
		<-set.ended
		_, _, err = set.find(t.Context(), "b", "EdDSA")
		require.ErrorIs(t, err, errNoKeySet)
	})
}
