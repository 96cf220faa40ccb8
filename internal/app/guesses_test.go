package app_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/people/guesses"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// counting has a server count guesses in a Redis, which it waits for no longer than so.
func counting(redis *testkit.Redis, patience time.Duration) api.Option {
	return func(settings *config.Config, _ *app.Options) {
		settings.RedisURL, settings.RedisTimeout = redis.URL, patience
	}
}

// guesser tries a whole CPF, in one way or the other, and tells whether that was let.
type guesser struct {
	clinic *testkit.Clinic
	tried  int
}

func (g *guesser) try(t *testing.T, server *api.Server) bool {
	t.Helper()
	client := server.As(t, g.clinic, models.RolePractitioner)
	g.tried++
	number := fmt.Sprintf("529982247%02d", g.tried%100)
	var answer *api.Response
	if g.tried%2 == 0 {
		// What a dry run does is taken back, but not that it was tried.
		answer = client.Do(t, `mutation ($taxId: String) { createContact(input: {name: "Iris", taxId: $taxId}) @dryRun { userErrors { code } } }`, map[string]any{"taxId": number})
	} else {
		answer = client.Do(t, `query ($text: String!) { searchContacts(query: $text) { nodes { id } } }`, map[string]any{"text": number})
	}
	if len(answer.Errors) == 0 {
		return true
	}
	require.Equal(t, "RATE_LIMITED", answer.Errors[0].Extensions.Code, "%s", answer.Body)
	return false
}

// until tries at the servers in turn until each of them refuses, and gives how often it
// was let.
func (g *guesser) until(t *testing.T, servers ...*api.Server) (let int) {
	t.Helper()
	for refused := 0; refused < len(servers); {
		refused = 0
		for _, server := range servers {
			if g.try(t, server) {
				let++
			} else {
				refused++
			}
		}
		require.Less(t, let, 10*guesses.Most, "somebody is let try for ever")
	}
	return let
}

// Promise I8, for as many instances as there are: they count together, a new one knows
// what was counted before it, and an hour later all is given back.
func TestGuesses_AreCountedOverAllInstances(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic, other := d.NewClinic(t, "aurora"), d.NewClinic(t, "bem-viver")
	redis := testkit.NewRedis(t)
	began := time.Now()
	var ahead atomic.Int64
	clock := api.Clock(func() time.Time { return began.Add(time.Duration(ahead.Load())) })
	serve := func(options ...api.Option) *api.Server {
		return api.NewServer(t, d, append(options, api.WithoutCache(), clock)...)
	}

	// The control: who does not share what is counted lets so many try at each instance,
	// and again at one that begins.
	apart := []*api.Server{serve(), serve()}
	alone := &guesser{clinic: clinic}
	require.Equal(t, 2*guesses.Most, alone.until(t, apart...))
	require.Equal(t, guesses.Most, alone.until(t, serve()))

	shared := counting(redis, 5*time.Second)
	one, two := serve(shared), serve(shared)
	someone := &guesser{clinic: clinic}
	require.Equal(t, guesses.Most, someone.until(t, one, two))
	require.Zero(t, someone.until(t, serve(shared)), "one that begins knows what was tried")
	require.Equal(t, guesses.Most, (&guesser{clinic: other}).until(t, two), "somebody else's tries are theirs")

	keys, err := redis.Client.Keys(t.Context(), "*guess*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 2)
	for _, key := range keys {
		require.Regexp(t, `^tm:guesses:[\w-]{22}$`, key, "it tells neither who nor what")
		left, err := redis.Client.TTL(t.Context(), key).Result()
		require.NoError(t, err)
		require.InDelta(t, guesses.Window, left, float64(guesses.Window/2))
	}

	ahead.Store(int64(guesses.Window - time.Minute))
	require.Zero(t, someone.until(t, one, two))
	ahead.Store(int64(guesses.Window + time.Second))
	require.Equal(t, guesses.Most, someone.until(t, two, one))
}

// A Redis that is gone, hangs, or comes back empty gives nobody their tries back: what
// each instance knows decides.
func TestGuesses_AreBoundedWithoutRedis(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	redis := testkit.NewRedis(t)
	// On a busy machine a Redis that is well may take its time.
	patience := counting(redis, 2*time.Second)
	one, two := api.NewServer(t, d, api.WithoutCache(), patience), api.NewServer(t, d, api.WithoutCache(), patience)
	someone := &guesser{clinic: clinic}
	const before = 8
	for range before / 2 {
		require.True(t, someone.try(t, one))
		require.True(t, someone.try(t, two))
	}

	redis.Kill(t)
	// The one that asked last knows of all, the other of all but one.
	require.Equal(t, 2*(guesses.Most-before)+1, someone.until(t, one, two))

	redis.Start(t)
	require.Zero(t, someone.until(t, one, two), "it comes back empty, and they do not forget")
	later := api.NewServer(t, d, api.WithoutCache(), patience)
	require.LessOrEqual(t, someone.until(t, later), guesses.Most)

	// Hung in the middle: the request goes on, and what was tried meanwhile is told once
	// Redis answers again.
	redis.Kill(t)
	redis.Start(t)
	someone = &guesser{clinic: d.NewClinic(t, "bem-viver")}
	told := func() bool {
		require.Less(t, someone.tried, guesses.Most)
		require.True(t, someone.try(t, one))
		keys, err := redis.Client.Keys(t.Context(), "tm:guesses:*").Result()
		require.NoError(t, err)
		if len(keys) == 0 {
			return false
		}
		made, err := redis.Client.HGet(t.Context(), keys[0], "made").Int()
		require.NoError(t, err)
		return made >= someone.tried
	}
	require.Eventually(t, told, 30*time.Second, 2*coherence.Pause, "it is asked again")
	redis.Hang(t)
	asked := time.Now()
	for range 3 {
		require.True(t, someone.try(t, one))
	}
	require.Less(t, time.Since(asked), 20*time.Second, "nobody waits for a Redis that hangs")
	redis.Resume(t)
	require.Eventually(t, told, 30*time.Second, 2*coherence.Pause)
	// What nobody waited for may be counted twice.
	tried := someone.tried
	require.LessOrEqual(t, tried+someone.until(t, one, two), guesses.Most)
}
