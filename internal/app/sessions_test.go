package app_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// sessionHits is how often a server did not have to ask Postgres who asks.
func sessionHits(t *testing.T, server *api.Server) string {
	t.Helper()
	for line := range strings.Lines(operator(t, server, "/metrics")) {
		if strings.HasPrefix(line, `taskmed_session_lookups_total{outcome="process"}`) {
			return strings.Fields(line)[1]
		}
	}
	return "0"
}

func TestSessions_AreKeptUntilARightChangesOnAnyInstance(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	d.LetMembersBeWritten(t)
	clinic := d.NewClinic(t, "aurora")
	one, two := api.NewServer(t, d, api.WithRedis(d)), api.NewServer(t, d, api.WithRedis(d))
	variables := map[string]any{"id": contactID(clinic, 0)}
	servers := []*api.Server{one, two}
	clients := func(role models.Role) []*api.Client {
		return []*api.Client{one.As(t, clinic, role), two.As(t, clinic, role)}
	}
	owner := one.As(t, clinic, models.RoleOwner)
	change := func(mutation string, input map[string]any) {
		t.Helper()
		var done struct {
			Answer struct {
				Member     *struct{ ID string }
				UserErrors []struct{ Message string }
			}
		}
		name := strings.ToUpper(mutation[:1]) + mutation[1:]
		owner.Must(t, "mutation ($input: "+name+"Input!) { answer: "+mutation+"(input: $input) { member { id } userErrors { message } } }", map[string]any{"input": input}, &done)
		require.NotNil(t, done.Answer.Member, "%v", done.Answer.UserErrors)
	}
	subject := testkit.Subject("aurora", models.RoleFinance)
	member := models.KindMember.Global(column[uuid.UUID](t, d.Connect(t, d.SuperuserURL), "SELECT id FROM memberships WHERE clinic_id = $1 AND subject = $2", clinic.ID, subject)[0])

	finance := clients(models.RoleFinance)
	for i, client := range finance {
		untilHit(t, client, contactQuery, variables)
		require.Eventually(t, func() bool {
			before := sessionHits(t, servers[i])
			client.Do(t, contactQuery, variables)
			return sessionHits(t, servers[i]) != before
		}, 30*time.Second, time.Millisecond, "the session is kept")
	}

	// Another role: another's answers.
	change("updateMember", map[string]any{"id": member, "role": "RECEPTIONIST"})
	for _, client := range finance {
		var seen struct{ Viewer struct{ Role string } }
		client.Must(t, `{ viewer { role } }`, nil, &seen)
		require.Equal(t, "RECEPTIONIST", seen.Viewer.Role, "right after the write")
	}
	for _, client := range finance {
		untilHit(t, client, contactQuery, variables)
	}
	// Revoked: nothing more, cached or not.
	change("revokeMember", map[string]any{"id": member})
	for range 3 {
		for _, client := range finance {
			answer := client.Do(t, contactQuery, variables)
			require.Equal(t, http.StatusForbidden, answer.Status, "right after the write")
			require.NotContains(t, string(answer.Body), "Ana Souza")
		}
	}
	// Given back: at once as well.
	change("addMember", map[string]any{"subject": subject, "role": "RECEPTIONIST"})
	for _, client := range finance {
		client.Must(t, contactQuery, variables, nil)
	}
	for _, client := range finance {
		untilHit(t, client, contactQuery, variables)
	}
	// With psql: as soon as it is heard.
	d.Exec(t, "UPDATE memberships SET revoked_at = now() WHERE clinic_id = $1 AND subject = $2", clinic.ID, testkit.Subject("aurora", models.RoleFinance))
	for _, client := range finance {
		require.Eventually(t, func() bool {
			return client.Do(t, contactQuery, variables).Status == http.StatusForbidden
		}, 20*time.Second, time.Millisecond)
		require.Equal(t, http.StatusForbidden, client.Do(t, contactQuery, variables).Status)
	}
}

func TestSessions_AKeyEndsWhenItIsRevokedOrExpires(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	var ahead atomic.Int64
	moving := func(_ *config.Config, options *app.Options) {
		options.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	}
	one, two := api.NewServer(t, d, api.WithRedis(d), moving), api.NewServer(t, d, api.WithRedis(d), moving)
	store := auth.NewStore(one.App.Database())
	owner := clinic.As(t.Context(), models.RoleOwner)
	makeKey := func(expires *time.Time) (*models.APIKey, []*api.Client) {
		key, text, err := store.CreateKey(owner, auth.NewKey{Name: "Agenda externa", Role: models.RoleReceptionist, ExpiresAt: expires})
		require.NoError(t, err)
		clients := []*api.Client{one.WithToken(clinic, text), two.WithToken(clinic, text)}
		for _, client := range clients {
			untilHit(t, client, `{ clinic { name } }`, nil)
		}
		return key, clients
	}
	key, clients := makeKey(nil)
	_, err := store.RevokeKey(owner, key.ID)
	require.NoError(t, err)
	for _, client := range clients {
		require.Equal(t, http.StatusUnauthorized, client.Do(t, `{ clinic { name } }`, nil).Status, "right after the write")
	}

	expires := time.Now().Add(time.Hour)
	_, clients = makeKey(&expires)
	ahead.Store(int64(time.Hour + time.Minute))
	for _, client := range clients {
		require.Equal(t, http.StatusUnauthorized, client.Do(t, `{ clinic { name } }`, nil).Status, "at its time, though kept")
	}
}

// A scope is made of what is kept: whoever has one must not be able to change it.
func TestSessions_AreNotChangedByWhoUsesThem(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	d.Exec(t, "UPDATE memberships SET permissions = '{developer,export}' WHERE clinic_id = $1", clinic.ID)
	server := api.NewServer(t, d)
	client := server.As(t, clinic, models.RoleOwner)
	untilHit(t, client, `{ clinic { name } }`, nil)
	request := client.Request(t, "")
	scope, err := server.App.Authenticate(t.Context(), request)
	require.NoError(t, err)
	scope.Role, scope.Permissions = models.RolePartner, append(scope.Permissions, "root")
	again, err := server.App.Authenticate(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, models.RoleOwner, again.Role)
	require.Equal(t, []string{tenant.PermissionDeveloper, "export"}, again.Permissions)
}
