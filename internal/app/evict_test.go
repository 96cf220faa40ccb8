package app_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// figure reads one number of INFO.
func figure(t *testing.T, r *testkit.Redis, name string) int {
	t.Helper()
	info, err := r.Client.Info(t.Context()).Result()
	require.NoError(t, err)
	match := regexp.MustCompile(`(?m)^` + name + `:(\d+)`).FindStringSubmatch(info)
	require.NotNil(t, match, name)
	n, err := strconv.Atoi(match[1])
	require.NoError(t, err)
	return n
}

// evict has a Redis evict keys, whatever they are, as one does whose policy somebody
// has changed while it runs and whose memory is full.
func evict(t *testing.T, r *testkit.Redis) {
	t.Helper()
	set := func(name, value string) { require.NoError(t, r.Client.ConfigSet(t.Context(), name, value).Err()) }
	set("maxmemory-policy", "allkeys-random")
	set("maxmemory", strconv.Itoa(figure(t, r, "used_memory")-(1+rand.IntN(4))<<10))
	// It is before a command that keys are evicted; that it refuses one, too, if there
	// is nothing to evict, does not matter.
	_ = r.Client.Set(t.Context(), "filling", "x", 0).Err()
	set("maxmemory", "0")
	set("maxmemory-policy", "noeviction")
}

// readings is what reading what was just written came to.
type readings struct {
	reads, hits, stale int
	first              string
}

// spellsOf has one server keep answers, another one write, Redis lose something now
// and then, and the first asked again, until enough: what was acknowledged must be shown.
func spellsOf(t *testing.T, writes, reads *api.Client, clinic *testkit.Clinic, lose func(), enough func(readings) bool) readings {
	t.Helper()
	const update = `mutation($input: UpdateContactInput!) { updateContact(input: $input) { contact { name } userErrors { message } } }`
	var r readings
	names := map[int]string{}
	ask := func() {
		for which := range clinic.Contacts {
			answer := reads.Do(t, contactQuery, map[string]any{"id": contactID(clinic, which)})
			require.Empty(t, answer.Errors)
			var data struct{ Contact struct{ Name string } }
			require.NoError(t, json.Unmarshal(answer.Data, &data))
			r.reads++
			if status(answer) == "taskmed; hit" {
				r.hits++
			}
			if wanted := names[which]; wanted != "" && data.Contact.Name != wanted {
				r.stale++
				r.first = fmt.Sprintf("%q after %q was acknowledged (%s)", data.Contact.Name, wanted, status(answer))
			}
		}
	}
	for n := 0; !enough(r) && n < 5000; n++ {
		ask()
		ask()
		for range 1 + rand.IntN(2) {
			which, name := rand.IntN(len(clinic.Contacts)), fmt.Sprintf("Contact %d", n)
			writes.Must(t, update, map[string]any{"input": map[string]any{"id": contactID(clinic, which), "name": name}}, nil)
			names[which] = name
		}
		if n%3 == 0 {
			lose()
		}
		ask()
	}
	return r
}

func TestCache_NoReadIsStaleWhileRedisEvictsKeys(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	shared := testkit.NewRedis(t)
	one, two := api.NewServer(t, d, withOwnRedis(shared)), api.NewServer(t, d, withOwnRedis(shared))
	writes, reads := one.As(t, clinic, models.RoleOwner), two.As(t, clinic, models.RoleOwner)
	untilHit(t, reads, contactQuery, map[string]any{"id": contactID(clinic, 0)})

	found := spellsOf(t, writes, reads, clinic, func() { evict(t, shared) }, func(r readings) bool { return r.reads >= 2000 && r.hits > 100 })
	evicted := figure(t, shared, "evicted_keys")
	t.Logf("%d reads, %d hits, %d stale, %d keys evicted", found.reads, found.hits, found.stale, evicted)
	require.GreaterOrEqual(t, found.reads, 2000)
	require.Greater(t, found.hits, 100)
	require.Greater(t, evicted, 100)
	require.Zero(t, found.stale, found.first)

	// The control: where what is lost passes for whole, the same run notices.
	set := `for _, key in ipairs(redis.call('KEYS', '*}:last')) do
		local born = redis.call('HGET', key, '=')
		redis.call('DEL', key, (string.gsub(key, 'last$', 'steps')))
		if born then redis.call('HSET', key, '=', born) end
	end`
	lose := func() { _ = shared.Client.Eval(t.Context(), set, nil).Err() }
	found = spellsOf(t, writes, reads, clinic, lose, func(r readings) bool { return r.stale > 0 })
	t.Logf("control: stale after %d reads: %s", found.reads, found.first)
	require.Positive(t, found.stale)
}
