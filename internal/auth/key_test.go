package auth_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

func makeKey(tb testing.TB, w *world, clinic *testkit.Clinic, role models.Role) (*models.APIKey, string) {
	tb.Helper()
	key, text, err := w.store.CreateKey(clinic.As(tb.Context(), models.RoleOwner), auth.NewKey{Name: "Agenda externa", Role: role})
	require.NoError(tb, err)
	return key, text
}

func TestKey_ActsInItsClinicWithItsRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, clinic := range []*testkit.Clinic{w.a, w.b} {
		key, text := makeKey(t, w, clinic, models.RoleReceptionist)
		require.Regexp(t, `^tm_[0-9a-hjkmnp-tv-z]{65}$`, text)
		ctx, counts := database.WithCounts(t.Context())
		grant, err := w.auth.Check(ctx, bearer(text))
		require.NoError(t, err)
		require.Equal(t, &tenant.Scope{
			Subject: "key:" + models.KindAPIKey.Global(key.ID), Name: "Agenda externa",
			ClinicID: clinic.ID, Role: models.RoleReceptionist,
		}, grant.Scope)
		require.Zero(t, grant.ExpiresAt)
		require.EqualValues(t, 1, counts.Statements.Load())
		_, err = w.auth.Check(t.Context(), inClinic(text, clinic))
		require.NoError(t, err)
	}
}

func TestKey_OnlyItsHashIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, text := makeKey(t, w, w.a, models.RolePartner)
	require.Equal(t, 1, w.Count(t, "SELECT count(*) FROM api_keys WHERE id = $1 AND key_hash = sha256($2::text::bytea) AND last_four = right($2, 4)", key.ID, text))
	require.Zero(t, w.Count(t, "SELECT count(*) FROM api_keys k WHERE strpos(k::text, $1) > 0", text[len("tm_")+26:]))
}

func TestKey_WorthlessOnesAreAllRefusedAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, goodText := makeKey(t, w, w.a, models.RolePartner)
	expiring := w.clock.Now().Add(time.Hour)
	w.Exec(t, "UPDATE api_keys SET expires_at = $1 WHERE id = $2", expiring, good.ID)
	revoked, revokedText := makeKey(t, w, w.a, models.RolePartner)
	_, err := w.auth.Check(t.Context(), bearer(revokedText))
	require.NoError(t, err)
	_, err = w.store.RevokeKey(w.a.As(t.Context(), models.RoleAdmin), revoked.ID)
	require.NoError(t, err)
	deleted, deletedText := makeKey(t, w, w.b, models.RolePartner)
	w.Exec(t, "DELETE FROM api_keys WHERE id = $1", deleted.ID)

	_, err = w.auth.Check(t.Context(), bearer("tm_"))
	words := refused(t, err, models.Unauthenticated)
	swapped := goodText[:29] + revokedText[29:]
	for name, text := range map[string]string{
		"revoked": revokedText, "unknown": deletedText, "upper case": strings.ToUpper(goodText[3:]),
		"cut off": goodText[:67], "too long": goodText + "0", "one letter off": flip(goodText, 40),
		"of another clinic": flip(goodText, 10), "two halves": swapped,
	} {
		if name == "upper case" {
			text = "tm_" + text
		}
		_, err := w.auth.Check(t.Context(), bearer(text))
		require.Equal(t, words, refused(t, err, models.Unauthenticated), name)
		require.NotContains(t, err.Error(), text, name)
	}
	grant, err := w.auth.Check(t.Context(), bearer(goodText))
	require.NoError(t, err)
	require.Equal(t, expiring, grant.ExpiresAt.UTC())
	w.clock.Advance(time.Hour)
	_, err = w.auth.Check(t.Context(), bearer(goodText))
	require.Equal(t, words, refused(t, err, models.Unauthenticated), "expired")
}

// flip changes one character of a key.
func flip(text string, at int) string {
	other := byte('0')
	if text[at] == other {
		other = '1'
	}
	return text[:at] + string(other) + text[at+1:]
}

func TestKey_OfAnotherClinicIsNotFoundUnderThisOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, _ := makeKey(t, w, w.b, models.RolePartner)
	_, err := w.store.RevokeKey(w.a.As(t.Context(), models.RoleOwner), key.ID)
	require.ErrorIs(t, err, models.ErrNotFound)
	_, err = w.store.RevokeKey(w.a.As(t.Context(), models.RoleOwner), models.NewID())
	require.ErrorIs(t, err, models.ErrNotFound)
	first, err := w.store.RevokeKey(w.b.As(t.Context(), models.RoleOwner), key.ID)
	require.NoError(t, err)
	require.NotNil(t, first.RevokedAt)
	again, err := w.store.RevokeKey(w.b.As(t.Context(), models.RoleOwner), key.ID)
	require.NoError(t, err)
	require.Equal(t, first.RevokedAt, again.RevokedAt, "it was revoked once")
}

func TestCreateKey_GivesNobodyMoreThanTheyHave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, maker := range models.AllRole {
		for _, role := range models.AllRole {
			_, _, err := w.store.CreateKey(w.a.As(t.Context(), maker), auth.NewKey{Name: "k", Role: role})
			if maker == models.RoleOwner || maker == models.RoleAdmin && role != models.RoleOwner {
				require.NoError(t, err, "%s makes %s", maker, role)
			} else {
				forbidden(t, err)
			}
		}
	}
	key, _ := makeKey(t, w, w.a, models.RoleOwner)
	asKey := tenant.With(t.Context(), &tenant.Scope{Subject: key.Actor(), ClinicID: w.a.ID, Role: models.RoleOwner})
	_, _, err := w.store.CreateKey(asKey, auth.NewKey{Name: "k", Role: models.RolePartner})
	forbidden(t, err)
	_, err = w.store.RevokeKey(w.a.As(t.Context(), models.RoleFinance), key.ID)
	forbidden(t, err)
	_, _, err = w.store.CreateKey(t.Context(), auth.NewKey{Name: "k", Role: models.RolePartner})
	require.ErrorIs(t, err, tenant.ErrNoScope)
}

func forbidden(t *testing.T, err error) {
	t.Helper()
	var invalid models.Invalid
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, models.UserErrorCodeForbidden, invalid[0].Code)
}

func TestCreateKey_StopsAtTheClinicsLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Exec(t, `INSERT INTO api_keys (clinic_id, id, name, role, key_hash, last_four, expires_at)
		SELECT $1, gen_random_uuid(), 'k', 'partner', sha256(n::text::bytea), '0000', CASE WHEN n > 199 THEN now() - interval '1 day' END FROM generate_series(1, 210) n`, w.a.ID)
	owner := w.a.As(t.Context(), models.RoleOwner)
	_, _, err := w.store.CreateKey(owner, auth.NewKey{Name: "the last", Role: models.RolePartner})
	require.NoError(t, err)
	_, _, err = w.store.CreateKey(owner, auth.NewKey{Name: "one more", Role: models.RolePartner})
	var invalid models.Invalid
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, models.UserErrorCodeLimit, invalid[0].Code)
}

func TestCreateKey_NamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	past, owner := time.Now().Add(-time.Second), w.a.As(t.Context(), models.RoleOwner)
	for field, wanted := range map[string][]auth.NewKey{
		"name": {
			{Role: models.RolePartner},
			{Name: " \t", Role: models.RolePartner},
			{Name: strings.Repeat("ç", 101), Role: models.RolePartner},
			{Name: "a\x00b", Role: models.RolePartner},
			{Name: "a\xffb", Role: models.RolePartner},
		},
		"role":      {{Name: "k", Role: "ROOT"}},
		"expiresAt": {{Name: "k", Role: models.RolePartner, ExpiresAt: &past}},
	} {
		for _, n := range wanted {
			_, _, err := w.store.CreateKey(owner, n)
			var invalid models.Invalid
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, []string{field}, invalid[0].Field)
		}
	}
	require.Zero(t, w.Count(t, "SELECT count(*) FROM api_keys"))
	key, _, err := w.store.CreateKey(owner, auth.NewKey{Name: strings.Repeat("ç", 100), Role: models.RolePartner})
	require.NoError(t, err)
	require.NotEqual(t, uuid.Nil, key.ID)
}

func TestKey_LastUseIsNotedAtMostOnceAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ahead atomic.Int64
	live := w.open(t, func(c *auth.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	key, text := makeKey(t, w, w.a, models.RolePartner)
	writes := func() int { return w.Count(t, "SELECT version - 1 FROM api_keys WHERE id = $1", key.ID) }
	for range 20 {
		_, err := live.Check(t.Context(), bearer(text))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return writes() == 1 }, 10*time.Second, 5*time.Millisecond)
	found, err := live.Check(t.Context(), bearer(text))
	require.NoError(t, err)
	require.NotNil(t, found)
	require.NoError(t, w.store.Used(t.Context(), key), "another instance, a moment later")
	require.Equal(t, 1, writes())

	w.Exec(t, "UPDATE api_keys SET last_used_at = now() - interval '61 seconds' WHERE id = $1", key.ID)
	require.Equal(t, 2, writes())
	ahead.Store(int64(61 * time.Second))
	_, err = live.Check(t.Context(), bearer(text))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return writes() == 3 }, 10*time.Second, 5*time.Millisecond)
}
