package app_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// ownRedis is a part of the tests' Redis that a test has for itself, and may empty.
func ownRedis(t *testing.T, d *testkit.Database, number string) (api.Option, *redis.Client) {
	t.Helper()
	base, _, _ := strings.Cut(strings.TrimPrefix(d.RedisURL, "redis://"), "/")
	url := "redis://" + base + "/" + number
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	require.NoError(t, client.FlushDB(t.Context()).Err())
	return func(settings *config.Config, _ *app.Options) {
		settings.RedisURL, settings.RedisTimeout = url, 5*time.Second
	}, client
}

// warmed waits until a server has warmed up with so many questions of an outcome.
func warmed(t *testing.T, server *api.Server, outcome string, least int) {
	t.Helper()
	line := regexp.MustCompile(`taskmed_respcache_warmed_total\{outcome="(?:` + outcome + `)"\} (\d+)`)
	require.Eventually(t, func() bool {
		match := line.FindStringSubmatch(operator(t, server, "/metrics"))
		if match == nil {
			return false
		}
		n, err := strconv.Atoi(match[1])
		return err == nil && n >= least
	}, 60*time.Second, 10*time.Millisecond, outcome)
}

// often is how often something is asked so that it is counted: one in eight is.
const often = 200

const listQuery = `query List($first: Int, $filter: ContactFilter) { contacts(first: $first, filter: $filter) { nodes { id name } } }`

// askedFirst is a first question: it must find its answer in the process.
func askedFirst(t *testing.T, server *api.Server, clinic *testkit.Clinic, variables any) {
	t.Helper()
	answer := looked(t, func() *api.Response { return server.As(t, clinic, models.RoleOwner).Do(t, listQuery, variables) })
	require.Equal(t, true, answer.Extensions.TaskMed.Cache["hit"], "%s", status(answer))
	require.Equal(t, "process", answer.Extensions.TaskMed.Cache["tier"])
}

func TestWarm_AnInstanceThatStartsFindsWhatIsAskedMost(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	d.Exec(t, "UPDATE memberships SET permissions = '{developer}' WHERE clinic_id = $1", clinic.ID)
	ours, keys := ownRedis(t, d, "9")
	variables := map[string]any{"first": 20, "filter": map[string]any{"status": []string{"ACTIVE"}}}
	// It stays, and vouches for what is in Redis while the other is restarted.
	api.NewServer(t, d, ours)
	t.Run("before", func(t *testing.T) {
		owner := api.NewServer(t, d, ours).As(t, clinic, models.RoleOwner)
		untilHit(t, owner, listQuery, variables)
		for range often {
			owner.Do(t, listQuery, variables)
			owner.Do(t, `{ viewer { subject } }`, nil)
			owner.Do(t, `query($q: String!) { searchContacts(query: $q, first: 3) { nodes { id } } }`, map[string]any{"q": "joao silva"})
			owner.Do(t, `{ searchContacts(query: "maria souza", first: 3) { nodes { id } } }`, nil)
		}
	})
	lists := keys.Keys(t.Context(), "tm:{popular *}:questions").Val()
	require.Len(t, lists, 1, "one database's")
	asked := strings.Join(keys.HVals(t.Context(), lists[0]).Val(), "\n")
	require.Contains(t, asked, "query List")
	for _, never := range []string{"joao", "maria", "viewer"} {
		require.NotContains(t, asked, never, "what somebody typed, or is one's own, is not written down")
	}
	// On a busy machine nobody may vouch in time, and it is computed instead.
	kept := false
	for n := 0; n < 5 && !kept; n++ {
		// One that begins where nobody vouches begins an epoch, which the one that
		// stays has to take over before it can vouch for the next.
		pause(t.Context(), time.Second)
		t.Run("restarted", func(t *testing.T) {
			server := api.NewServer(t, d, ours)
			warmed(t, server, "kept|computed", 1)
			askedFirst(t, server, clinic, variables)
			kept = strings.Contains(operator(t, server, "/metrics"), `taskmed_respcache_warmed_total{outcome="kept"}`)
		})
	}
	require.True(t, kept, "what is in Redis is not computed again")
}

func TestWarm_AnInstanceWhoseRedisWasEmptiedAsksWhatItWasAsked(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	d.Exec(t, "UPDATE memberships SET permissions = '{developer}' WHERE clinic_id = $1", clinic.ID)
	ours, keys := ownRedis(t, d, "11")
	server := api.NewServer(t, d, ours)
	owner := server.As(t, clinic, models.RoleOwner)
	untilHit(t, owner, listQuery, nil)
	for range often {
		owner.Do(t, listQuery, nil)
	}
	// On a busy machine what was just made warm may be given up once more: Redis is
	// found empty by several at once.
	found := false
	for n := 1; n <= 5 && !found; n++ {
		require.NoError(t, keys.FlushDB(t.Context()).Err())
		warmed(t, server, "computed", n)
		answer := looked(t, func() *api.Response { return owner.Do(t, listQuery, nil) })
		found = answer.Extensions.TaskMed.Cache["hit"] == true
	}
	require.True(t, found, "it is there before anybody asks")
}

func TestWarm_WhoHasNoRightsAnyMoreIsNotAskedFor(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	ours, _ := ownRedis(t, d, "10")
	t.Run("before", func(t *testing.T) {
		server := api.NewServer(t, d, ours)
		for _, role := range []models.Role{models.RoleOwner, models.RoleFinance} {
			client := server.As(t, clinic, role)
			untilHit(t, client, listQuery, nil)
			for range often {
				client.Do(t, listQuery, nil)
			}
		}
	})
	d.Exec(t, "UPDATE memberships SET revoked_at = now() WHERE clinic_id = $1 AND role = 'finance'", clinic.ID)
	// Nobody vouches for what is in Redis, so everything is computed.
	server := api.NewServer(t, d, ours)
	warmed(t, server, "computed", 1)
	warmed(t, server, "refused", 1)
	require.Equal(t, "taskmed; hit", status(looked(t, func() *api.Response { return server.As(t, clinic, models.RoleOwner).Do(t, listQuery, nil) })))
	d.Exec(t, "UPDATE memberships SET revoked_at = NULL WHERE clinic_id = $1 AND role = 'finance'", clinic.ID)
	finance := server.As(t, clinic, models.RoleFinance)
	var answer *api.Response
	require.Eventually(t, func() bool {
		answer = looked(t, func() *api.Response { return finance.Do(t, listQuery, nil) })
		return len(answer.Errors) == 0
	}, 30*time.Second, 5*time.Millisecond)
	require.Equal(t, `taskmed; fwd=miss; detail="first seen"`, status(answer), "nothing was asked for who had been revoked")
}
