package keyed_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/keyed"
)

func TestHash_IsTheHMACWithThePurposesKey(t *testing.T) {
	t.Parallel()
	secret := []byte("a secret")
	mac := hmac.New(sha256.New, keyed.Derive(secret, "one"))
	mac.Write([]byte("data"))
	h := keyed.New(secret, "one")
	for range 3 { // with what it used before, too
		sum := h.Sum([]byte("data"))
		require.Equal(t, mac.Sum(nil), sum[:])
		sum = h.SumOf(func(room []byte) []byte { return append(append(room, "da"...), "ta"...) })
		require.Equal(t, mac.Sum(nil), sum[:])
	}
	require.NotEqual(t, h.Sum([]byte("data")), keyed.New(secret, "two").Sum([]byte("data")))
	require.NotEqual(t, h.Sum([]byte("data")), keyed.New([]byte("another"), "one").Sum([]byte("data")))
}

func TestHash_ServesManyAtOnce(t *testing.T) {
	t.Parallel()
	h := keyed.New(nil, "many")
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			data := []byte{byte(n)}
			want := h.Sum(data)
			for range 1000 {
				assert.Equal(t, want, h.SumOf(func(room []byte) []byte { return append(room, data...) }))
			}
		})
	}
	group.Wait()
}
