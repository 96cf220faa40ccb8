package answers_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/auth"
	door "github.com/taskmed/taskmed/internal/database" // the model has a database of its own
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// instance is a cache and the door to Postgres whose writes it tells of.
type instance struct {
	cache *answers.Cache
	db    *door.DB
	store *auth.Store
	loads atomic.Int64
}

func newInstance(t testing.TB, d *testkit.Database, config answers.Config, without answers.Protections) *instance {
	t.Helper()
	i := &instance{cache: newCacheWithout(t, config, without, nil)}
	var err error
	i.db, err = door.Open(t.Context(), door.Config{URL: d.AppURL, MaxConns: 4, AcquireTimeout: time.Minute, Coherence: i.cache})
	require.NoError(t, err)
	t.Cleanup(i.db.Close)
	i.store = auth.NewStore(i.db)
	return i
}

// of gives a subject's memberships, a word each: clinic, role and permissions.
func (i *instance) of(ctx context.Context, subject string) (string, error) {
	value, err := i.cache.Sessions.Get(ctx, answers.SessionRequest{
		Key: key("memberships", subject),
		Load: func(ctx context.Context) (*answers.Session, error) {
			i.loads.Add(1)
			all, err := i.store.Of(ctx, subject)
			if err != nil || len(all) == 0 {
				return nil, err
			}
			words := make([]string, len(all))
			tags := []touched.Tag{touched.On("membership", "subject", subject)}
			for n, one := range all {
				words[n] = fmt.Sprintf("%s/%s%v", one.ClinicName, one.Role, one.Permissions)
				tags = append(tags, touched.Entity(models.KindClinic, one.ClinicID))
			}
			return &answers.Session{Value: strings.Join(words, " "), Tags: tags, ExpiresAt: time.Now().Add(time.Hour), Bytes: 100}, nil
		},
	})
	text, _ := value.(string)
	return text, err
}

func (i *instance) know(t testing.TB, subject string) string {
	t.Helper()
	text, err := i.of(t.Context(), subject)
	require.NoError(t, err)
	return text
}

// kept asks until the answer comes from the process, and gives it.
func (i *instance) kept(t testing.TB, subject string) string {
	t.Helper()
	var text string
	require.Eventually(t, func() bool {
		before := i.loads.Load()
		text = i.know(t, subject)
		return i.loads.Load() == before
	}, 30*time.Second, time.Millisecond)
	return text
}

// write is a transaction of the API.
func (i *instance) write(ctx context.Context, clinic *testkit.Clinic, sql string, args ...any) error {
	return statement(clinic.As(ctx, models.RoleOwner), i.db.InTenant, sql, args...)
}

// statement runs one statement in a transaction of the API; where it fails, so does
// the commit. The transaction's type is its package's own matter.
func statement[T interface {
	Exec(sql string, args ...any) T
}](
	ctx context.Context, inTenant func(context.Context, func(T) error) error, sql string, args ...any,
) error {
	return inTenant(ctx, func(tx T) error {
		tx.Exec(sql, args...)
		return nil
	})
}

const ana = "ana@example.org"

func member(t testing.TB, d *testkit.Database, clinic *testkit.Clinic, subject string, role string) {
	t.Helper()
	d.LetMembersBeWritten(t)
	d.Exec(t, "INSERT INTO memberships (clinic_id, id, subject, role) VALUES ($1, $2, $3, $4)", clinic.ID, models.NewID(), subject, role)
}

// promotions are ways to change what Ana is, to be written by the application's
// role; each names a clinic and a number that the subject's memberships then show.
func promotion(n int) string {
	return fmt.Sprintf("UPDATE memberships SET permissions = '{p%d}' WHERE subject = '%s' AND clinic_id = app_clinic()", n, ana)
}

func TestSession_FallsOnAllInstancesOnceAWriteIsAcknowledged(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	aurora, horizonte := d.NewClinic(t, "aurora"), d.NewClinic(t, "horizonte")
	member(t, d, aurora, ana, "owner")
	config := answers.Config{RedisURL: d.RedisURL, Prefix: prefix(t), ListenURL: d.AppURL}
	// The one who knows nothing of the mirror writes as well as the others.
	blind := newInstance(t, d, answers.Config{RedisURL: d.RedisURL, Prefix: config.Prefix, ListenURL: d.AppURL}, answers.Protections{Mirror: true})
	one, two := newInstance(t, d, config, answers.Protections{}), newInstance(t, d, config, answers.Protections{})
	other := testkit.Subject("aurora", models.RoleFinance)

	t.Run("written by the API", func(t *testing.T) {
		for _, i := range []*instance{one, two} {
			require.Equal(t, "Clínica aurora/OWNER[]", i.kept(t, ana))
			i.kept(t, other)
		}
		const writes = 20
		stayed := 0
		for n := range writes {
			require.NoError(t, one.write(t.Context(), aurora, promotion(n)))
			for _, i := range []*instance{two, one} {
				want := fmt.Sprintf("Clínica aurora/OWNER[p%d]", n)
				require.Equal(t, want, i.know(t, ana), "right after the write")
				require.Equal(t, want, i.kept(t, ana))
				before := i.loads.Load()
				i.know(t, other)
				if i.loads.Load() == before {
					stayed++
				}
			}
		}
		// But for moments in which a busy Postgres is late with its signs of life.
		require.Greater(t, stayed, 2*writes*3/4, "what others may is kept")
		require.NoError(t, two.write(t.Context(), aurora, "UPDATE memberships SET role = 'finance', permissions = '{}' WHERE subject = ? AND clinic_id = app_clinic()", ana))
		require.Equal(t, "Clínica aurora/FINANCE[]", one.know(t, ana))
		one.kept(t, ana)
		// In another clinic, of which what is kept says nothing yet.
		require.NoError(t, two.write(t.Context(), horizonte, "INSERT INTO memberships (clinic_id, id, subject, role) VALUES (?, ?, ?, 'partner')",
			horizonte.ID, models.NewID(), ana))
		require.Equal(t, "Clínica aurora/FINANCE[] Clínica horizonte/PARTNER[]", one.know(t, ana))
		one.kept(t, ana)
		require.NoError(t, two.write(t.Context(), aurora, "UPDATE memberships SET revoked_at = now() WHERE subject = ? AND clinic_id = app_clinic()", ana))
		require.Equal(t, "Clínica horizonte/PARTNER[]", one.know(t, ana))
		one.kept(t, ana)
		// What was written in bulk is not named: everybody's session falls.
		one.kept(t, other)
		settle, err := two.cache.Raise(t.Context(), uuid.New(), []touched.Tag{touched.Everything})
		require.NoError(t, err)
		settle(t.Context(), touched.Committed)
		before := one.loads.Load()
		one.know(t, other)
		require.Equal(t, before+1, one.loads.Load())

		// An ordinary write does not touch sessions.
		one.kept(t, other)
		require.NoError(t, two.write(t.Context(), aurora, "UPDATE contacts SET name = 'Rita' WHERE id = ? AND clinic_id = app_clinic()", aurora.Contacts[0]))
		before = one.loads.Load()
		one.know(t, other)
		require.Equal(t, before, one.loads.Load())
	})

	t.Run("written by psql", func(t *testing.T) {
		for n, sql := range []string{
			"UPDATE memberships SET permissions = '{p1}' WHERE subject = $1 AND revoked_at IS NULL",
			"UPDATE clinics SET name = 'Novo Horizonte' WHERE id IN (SELECT clinic_id FROM memberships WHERE subject = $1)",
			"UPDATE memberships SET revoked_at = NULL WHERE subject = $1",
			"UPDATE memberships SET subject = 'bia' WHERE subject = $1 AND role = 'finance'",
			"DELETE FROM memberships WHERE subject = $1",
		} {
			for _, i := range []*instance{one, two} {
				i.kept(t, ana)
			}
			d.Exec(t, sql, ana)
			want, err := one.store.Of(t.Context(), ana)
			require.NoError(t, err)
			for _, i := range []*instance{one, two} {
				require.Eventually(t, func() bool {
					before := i.loads.Load()
					i.know(t, ana)
					return i.loads.Load() > before
				}, 20*time.Second, time.Millisecond, sql)
				text := i.know(t, ana)
				require.Equal(t, len(want), strings.Count(text, "/"), "%d: %s", n, text)
			}
		}
		before := one.loads.Load()
		for range 3 {
			require.Empty(t, one.know(t, ana))
		}
		require.Equal(t, before+3, one.loads.Load(), "that there is none is not kept")
	})

	// The same test notices where nobody mirrors.
	noticed := false
	for n := 0; n < 20 && !noticed; n++ {
		// The notification of who is made a member may be late, and his session falls
		// with that.
		rui := fmt.Sprint("rui", n)
		member(t, d, aurora, rui, "owner")
		require.Contains(t, one.kept(t, rui), "OWNER")
		require.NoError(t, blind.write(t.Context(), aurora, "UPDATE memberships SET revoked_at = now() WHERE subject = ? AND clinic_id = app_clinic()", rui))
		noticed = one.know(t, rui) != ""
	}
	require.True(t, noticed, "a writer who does not mirror leaves rights standing")
}

func session(value any, bytes int, tags ...touched.Tag) func(context.Context) (*answers.Session, error) {
	return func(context.Context) (*answers.Session, error) {
		return &answers.Session{Value: value, Tags: tags, ExpiresAt: time.Now().Add(time.Hour), Bytes: bytes}, nil
	}
}

func TestSession_IsBoundedAndStaysInTheProcess(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	cache := newCache(t, answers.Config{RedisURL: server.url(), Bytes: 1 << 20, ClinicBytes: 256 << 10})
	ask := func(n int, load func(context.Context) (*answers.Session, error)) any {
		value, err := cache.Sessions.Get(t.Context(), answers.SessionRequest{Key: key(n), Load: load})
		require.NoError(t, err)
		return value
	}
	require.Eventually(t, func() bool {
		ask(0, session("first", 100))
		second := ask(0, session("second", 100))
		return ask(0, session("third", 100)) == second
	}, 20*time.Second, time.Millisecond)
	for n := range 2000 {
		require.NotNil(t, ask(n, session(n, 1000, "membership/subject=x")))
	}
	require.LessOrEqual(t, cache.ClinicBytes(uuid.Nil), int64(256<<10))
	require.Positive(t, cache.ClinicBytes(uuid.Nil))
	keys, err := server.client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	for _, name := range keys {
		require.NotContains(t, name, ":value:", "rights are not read from Redis")
	}
	require.NotEmpty(t, keys)
}

func TestSession_ExpiresAndIsNotKeptAfterAnError(t *testing.T) {
	t.Parallel()
	cache := newCache(t, answers.Config{})
	failing := func(context.Context) (*answers.Session, error) { return nil, models.ErrNotFound }
	for range 2 {
		_, err := cache.Sessions.Get(t.Context(), answers.SessionRequest{Key: key("a"), Load: failing})
		require.ErrorIs(t, err, models.ErrNotFound)
	}
	loads := 0
	ask := func() int {
		value, err := cache.Sessions.Get(t.Context(), answers.SessionRequest{Key: key("b"), Load: func(context.Context) (*answers.Session, error) {
			loads++
			return &answers.Session{Value: loads, ExpiresAt: time.Now().Add(time.Second)}, nil
		}})
		require.NoError(t, err)
		require.Equal(t, loads, value, "the latest that was loaded")
		return loads
	}
	require.Eventually(t, func() bool {
		latest := ask()
		return ask() == latest
	}, 30*time.Second, time.Millisecond, "it is kept")
	kept := loads
	require.Eventually(t, func() bool { return ask() > kept }, 30*time.Second, time.Millisecond, "and not for ever")
}
