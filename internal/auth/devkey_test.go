package auth_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

func newDevKey(tb testing.TB) *auth.DevKey {
	tb.Helper()
	key, err := auth.LoadOrCreateDevKey(filepath.Join(tb.TempDir(), "home", "dev-key.pem"))
	require.NoError(tb, err)
	return key
}

func TestDevKey_IsBelievedOnlyWhereTheConfigurationHoldsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := newDevKey(t)
	dev := w.open(t, func(c *auth.Config) { c.DevKey = key })
	claims := auth.DevClaims{
		Subject: testkit.Subject("aurora", models.RoleAdmin), Name: "Ana", IssuedAt: w.clock.Now(), TTL: time.Hour,
	}
	token, err := key.Sign(claims)
	require.NoError(t, err)

	grant, err := dev.Check(t.Context(), bearer(token))
	require.NoError(t, err)
	require.Equal(t, models.RoleAdmin, grant.Scope.Role)
	require.Equal(t, w.clock.Now().Add(time.Hour), grant.ExpiresAt.UTC())
	_, err = w.auth.Check(t.Context(), bearer(token))
	refused(t, err, models.Unauthenticated)
	_, err = dev.Check(t.Context(), bearer(w.tokenOf(t, w.a, models.RoleAdmin)))
	require.NoError(t, err, "a provider's token beside it")

	other, err := newDevKey(t).Sign(claims)
	require.NoError(t, err)
	_, err = dev.Check(t.Context(), bearer(other))
	refused(t, err, models.Unauthenticated)

	w.clock.Advance(time.Hour)
	_, err = dev.Check(t.Context(), bearer(token))
	refused(t, err, models.Unauthenticated)
}

func TestDevKey_SignsNoTokenThatWouldBeRefused(t *testing.T) {
	t.Parallel()
	key := newDevKey(t)
	for name, claims := range map[string]auth.DevClaims{
		"no subject":      {TTL: time.Hour},
		"a key's subject": {Subject: "key:x", TTL: time.Hour},
		"no life":         {Subject: "ana"},
		"a past life":     {Subject: "ana", TTL: -time.Hour},
	} {
		_, err := key.Sign(claims)
		require.Error(t, err, name)
	}
	_, err := key.Sign(auth.DevClaims{Subject: "ana", TTL: time.Hour})
	require.NoError(t, err)
}

func TestDevKey_StaysTheSameAndPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "home", "dev-key.pem")
	claims := auth.DevClaims{Subject: "ana", IssuedAt: time.Unix(1_800_000_000, 0), TTL: time.Hour}
	tokens := make([]string, 8)
	var started sync.WaitGroup
	for i := range tokens { // as several processes at their first start
		started.Go(func() {
			if key, err := auth.LoadOrCreateDevKey(path); err == nil {
				tokens[i], _ = key.Sign(claims) // an empty one fails below
			}
		})
	}
	started.Wait()
	for _, token := range tokens {
		require.NotEmpty(t, token)
		require.Equal(t, tokens[0], token)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing but the key is left behind")

	require.NoError(t, os.Chmod(path, 0o644))
	_, err = auth.LoadOrCreateDevKey(path)
	require.ErrorContains(t, err, "chmod 600")
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, []byte("not a key"), 0o600))
	_, err = auth.LoadOrCreateDevKey(path)
	require.ErrorContains(t, err, "remove it")
}
