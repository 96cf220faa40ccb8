package app_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// TestBadValues_AreMissesOverTheWholeServer puts into Redis, in the places of
// answers, what a broken program or somebody else might: another server answers
// as if nothing were there, counts each, and puts the right ones in their places.
func TestBadValues_AreMissesOverTheWholeServer(t *testing.T) {
	t.Parallel()
	d, shared := testkit.NewDatabase(t), testkit.NewRedis(t)
	clinic, other := d.NewClinic(t, "aurora"), d.NewClinic(t, "horizonte")
	d.Exec(t, "UPDATE contacts SET name = 'Horizonte ' || name WHERE clinic_id = $1", other.ID)
	first, second := api.NewServer(t, d, withOwnRedis(shared)), api.NewServer(t, d, withOwnRedis(shared))
	plain := api.NewServer(t, d, api.WithoutCache()).As(t, clinic, models.RoleOwner)
	again := func(value []byte) []byte { return sealed(secret(t), value) }
	kinds := map[string]func(own, foreign, another []byte) []byte{
		"cut off":          func(own, _, _ []byte) []byte { return own[:len(own)/2] },
		"a byte short":     func(own, _, _ []byte) []byte { return own[:len(own)-1] },
		"a byte":           func([]byte, []byte, []byte) []byte { return []byte{0} },
		"a bit":            func(own, _, _ []byte) []byte { own[len(own)-20] ^= 4; return own },
		"another version":  func(own, _, _ []byte) []byte { own[4]++; return again(own[:len(own)-sealBytes]) },
		"JSON":             func([]byte, []byte, []byte) []byte { return []byte(`{"contacts":{"nodes":[{"name":"Mallory"}]}}`) },
		"too long":         func(own, _, _ []byte) []byte { return append(own, make([]byte, 1<<20)...) },
		"huge":             func([]byte, []byte, []byte) []byte { return bytes.Repeat([]byte("x"), 64<<20) },
		"another clinic's": func(_, foreign, _ []byte) []byte { return foreign },
		// As whoever can write to Redis, but does not know the secret, would put it there.
		"poisoned": func(own, _, _ []byte) []byte {
			return sealed([]byte("a guess"), bytes.ReplaceAll(own[:len(own)-sealBytes], []byte("Ana Souza"), []byte("Eva Souza")))
		},
		"another question's": func(_, _, another []byte) []byte { return another },
		// After magic, clinic and key: lengths that no value has.
		"odd lengths": func(own, _, _ []byte) []byte {
			return again(append(own[:5+16+32], bytes.Repeat([]byte{0xff, 0xff, 0xff, 0xff, 0x7f}, 40)...))
		},
		"endless numbers": func(own, _, _ []byte) []byte {
			return again(append(own[:5+16+32], bytes.Repeat([]byte{0xff}, 200)...))
		},
	}
	query := func(name string) string { return "query " + name + " { contacts { nodes { id name } } }" }
	mine, theirs := first.As(t, clinic, models.RoleOwner), first.As(t, other, models.RoleOwner)
	asked := second.As(t, clinic, models.RoleOwner)
	want := string(plain.Do(t, query("Any"), nil).Body)
	require.Contains(t, want, "Ana Souza")

	// Both servers must serve the same; on a busy machine one may begin anew.
	round := func() bool {
		round := strconv.FormatInt(time.Now().UnixNano(), 36)
		untilHit(t, mine, query("Control"+round), nil)
		if status(asked.Do(t, query("Control"+round), nil)) != "taskmed; hit" {
			return false
		}
		before, refused, n := badValues(t, second), 0, 0
		untilHit(t, mine, query("Another"+round), nil)
		for kind, spoil := range kinds {
			n++
			name := fmt.Sprintf("Spoilt%dx%s", n, round)
			untilHit(t, mine, query(name), nil)
			untilHit(t, theirs, query(name), nil)
			own, foreign := valueOf(t, shared, clinic, name), valueOf(t, shared, other, name)
			another := valueOf(t, shared, clinic, "Another"+round)
			if own.value == nil || foreign.value == nil || another.value == nil {
				return false
			}
			spoilt := spoil(bytes.Clone(own.value), foreign.value, another.value)
			require.NoError(t, shared.Client.SetArgs(t.Context(), own.key, spoilt, keepTTL()).Err())
			answer := asked.Do(t, query(name), nil)
			require.Equal(t, want, string(answer.Body), kind)
			if strings.Contains(status(answer), "the kept answer cannot be read") {
				refused++
			}
			if healed := untilHit(t, asked, query(name), nil); string(healed.Body) != want {
				t.Fatalf("%s: %s", kind, healed.Body)
			}
		}
		return refused == len(kinds) && badValues(t, second)-before == len(kinds)
	}
	for began := time.Now(); time.Since(began) < 2*time.Minute; pause(t.Context(), 50*time.Millisecond) {
		if round() {
			return
		}
	}
	t.Fatal("not every one was refused and counted")
}

// badValues is the server's count of values that were refused.
func badValues(t *testing.T, server *api.Server) int {
	t.Helper()
	for line := range strings.Lines(operator(t, server, "/metrics")) {
		if text, found := strings.CutPrefix(line, "taskmed_respcache_bad_values_total "); found {
			n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			require.NoError(t, err)
			return int(n)
		}
	}
	t.Fatal("nobody counts bad values")
	return 0
}

type valueIn struct {
	key   string
	value []byte
}

// valueOf is what is kept of a clinic's answer to the operation of a name; the
// latest where there are several.
func valueOf(t *testing.T, shared *testkit.Redis, clinic *testkit.Clinic, name string) (found valueIn) {
	t.Helper()
	for key, value := range shared.Values(t) {
		if strings.Contains(key, "{"+clinic.ID.String()+"}") && bytes.Contains(value, []byte(`"n":"`+name+`"`)) && key > found.key {
			found = valueIn{key, value}
		}
	}
	return found
}

// TestBadValues_InTheJournalStopNobody puts nonsense into everything else that
// the cache has in Redis: answers stay right and current, whatever is lost.
func TestBadValues_InTheJournalStopNobody(t *testing.T) {
	t.Parallel()
	d, shared := testkit.NewDatabase(t), testkit.NewRedis(t)
	clinic := d.NewClinic(t, "aurora")
	server := api.NewServer(t, d, withOwnRedis(shared))
	owner := server.As(t, clinic, models.RoleOwner)
	variables := map[string]any{"id": contactID(clinic, 0)}
	untilHit(t, owner, contactQuery, variables)
	owner.Must(t, updateContact, map[string]any{"input": map[string]any{"id": contactID(clinic, 0), "name": "Ana"}}, nil)
	var keys []string
	for key := range everythingIn(t, shared) {
		if !strings.Contains(key, ":value:") {
			keys = append(keys, key)
		}
	}
	require.GreaterOrEqual(t, len(keys), 4)
	ctx, n := t.Context(), 0
	for _, key := range keys {
		for nonsense, put := range map[string]func() error{
			"text": func() error { return shared.Client.Set(ctx, key, "nonsense", 0).Err() },
			"a hash": func() error {
				return shared.Client.HSet(ctx, key, "seq", "x", "born", "-1", "open", "1e9", "floor", "?").Err()
			},
			"a list":  func() error { return shared.Client.LPush(ctx, key, "x").Err() },
			"nothing": func() error { return nil },
		} {
			require.NoError(t, shared.Client.Del(ctx, key).Err())
			require.NoError(t, put())
			n++
			name := fmt.Sprintf("Ana Souza %d", n)
			written := owner.Do(t, updateContact, map[string]any{"input": map[string]any{"id": contactID(clinic, 0), "name": name}})
			require.Empty(t, written.Errors, "%s in %s: %s", nonsense, key, written.Body)
			for range 2 {
				answer := owner.Do(t, contactQuery, variables)
				require.Empty(t, answer.Errors, "%s in %s: %s", nonsense, key, answer.Body)
				require.Contains(t, string(answer.Body), `"`+name+`"`, "%s in %s", nonsense, key)
			}
		}
		require.NoError(t, shared.Client.Del(ctx, key).Err())
	}
	// Once it is gone everything is as before.
	require.NoError(t, shared.Client.FlushAll(ctx).Err())
	untilHit(t, owner, contactQuery, variables)
}
