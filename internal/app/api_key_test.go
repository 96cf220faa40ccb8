package app_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// TestAPIKey_FromItsMakingToItsEnd makes a key by the API, uses it on one instance and
// ends it on another; nobody is shown its text a second time, and no key makes keys.
func TestAPIKey_FromItsMakingToItsEnd(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	here, there := api.NewServer(t, d, api.WithRedis(d)), api.NewServer(t, d, api.WithRedis(d))
	owner, admin := here.As(t, clinic, models.RoleOwner), here.As(t, clinic, models.RoleAdmin)
	const create = `mutation($role: Role!) { createApiKey(input: {name: "Site", role: $role}) @idempotent(key: "one") { apiKey { id lastFour role } secret userErrors { code field } } }`
	var made struct {
		CreateAPIKey struct {
			APIKey     *struct{ ID, LastFour string }
			Secret     string
			UserErrors []struct {
				Code  string
				Field []string
			}
		}
	}
	owner.Must(t, create, map[string]any{"role": "PARTNER"}, &made)
	secret, id := made.CreateAPIKey.Secret, made.CreateAPIKey.APIKey.ID
	require.Equal(t, secret[len(secret)-4:], made.CreateAPIKey.APIKey.LastFour)
	owner.Must(t, create, map[string]any{"role": "PARTNER"}, &made)
	require.Equal(t, secret, made.CreateAPIKey.Secret, "an answer that was lost is had again with its key")
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM api_keys"))

	admin.Must(t, create, map[string]any{"role": "OWNER"}, &made)
	require.Equal(t, "FORBIDDEN", made.CreateAPIKey.UserErrors[0].Code)
	require.Equal(t, []string{"role"}, made.CreateAPIKey.UserErrors[0].Field)

	for _, server := range []*api.Server{here, there} {
		partner := server.WithToken(clinic, secret)
		require.Equal(t, http.StatusOK, partner.Do(t, `{ viewer { subject } }`, nil).Status)
		refused := partner.Do(t, create, map[string]any{"role": "PARTNER"})
		require.Equal(t, "FORBIDDEN", refused.Errors[0].Extensions.Code)
	}
	list := owner.Do(t, `{ apiKeys { id name lastFour lastUsedAt revokedAt } }`, nil)
	require.Contains(t, string(list.Data), id)
	require.NotContains(t, string(list.Body), secret)

	revoked := there.As(t, clinic, models.RoleOwner).Do(t, `mutation($id: ID!) { revokeApiKey(input: {id: $id}) { apiKey { revokedAt } userErrors { code } } }`, map[string]any{"id": id})
	require.Contains(t, string(revoked.Data), `"userErrors":[]`)
	for _, server := range []*api.Server{here, there} {
		require.Equal(t, http.StatusUnauthorized, server.WithToken(clinic, secret).Do(t, `{ viewer { subject } }`, nil).Status)
	}
	require.NotContains(t, string(owner.Do(t, `{ apiKeys { id name lastFour lastUsedAt revokedAt } }`, nil).Data), `"revokedAt":null`)
	answer := owner.Do(t, `mutation { revokeApiKey(input: {id: "`+models.KindAPIKey.Global(models.NewID())+`"}) { apiKey { id } userErrors { code field } } }`, nil)
	require.Contains(t, string(answer.Data), "NOT_FOUND")
}
