package auth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
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

func TestAuthenticate_GivesEachRoleItsScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, role := range models.AllRole {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", nil)
		r.Header.Set("Authorization", "Bearer "+w.tokenOf(t, w.b, role))
		scope, err := w.auth.Authenticate(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, &tenant.Scope{
			Subject: testkit.Subject("horizonte", role), Name: "Ana Prado", ClinicID: w.b.ID, Role: role, Permissions: []string{},
		}, scope)
	}
}

func TestAuthenticate_TakesNameAndPermissionsFromTheMembershipIfTheTokenHasNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	subject := testkit.Subject("aurora", models.RoleAdmin)
	w.Exec(t, "UPDATE memberships SET permissions = '{export,developer,export}', name = 'Bia' WHERE subject = $1", subject)
	claims := w.claims(subject)
	delete(claims, "name")
	grant, err := w.auth.Check(t.Context(), bearer(w.signer.token(t, claims, nil)))
	require.NoError(t, err)
	require.Equal(t, "Bia", grant.Scope.Name)
	require.Equal(t, []string{"developer", "export"}, grant.Scope.Permissions)
	require.True(t, grant.Scope.May(tenant.PermissionDeveloper))
	require.Equal(t, w.clock.Now().Add(time.Hour), grant.ExpiresAt.UTC())
}

func TestAuthenticate_RefusesWithoutCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.tokenOf(t, w.a, models.RoleOwner)
	request := func(header http.Header) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/graphql?access_token="+token+"&token="+token, nil)
		r.Header = header
		return r
	}
	for name, header := range map[string]http.Header{
		"token in the URL alone": {},
		"empty":                  {"Authorization": {""}},
		"no token":               {"Authorization": {"Bearer "}},
		"another scheme":         {"Authorization": {"Basic " + token}},
		"no scheme":              {"Authorization": {token}},
		"twice":                  {"Authorization": {"Bearer " + token, "Bearer " + token}},
		"joined by a proxy":      {"Authorization": {"Bearer " + token + ", Bearer " + token}},
		"two words":              {"Authorization": {"Bearer " + token + " " + token}},
	} {
		_, err := w.auth.Authenticate(t.Context(), request(header))
		refused(t, err, models.Unauthenticated)
		require.NotContains(t, err.Error(), token, name)
	}
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER  "} {
		_, err := w.auth.Authenticate(t.Context(), request(http.Header{"Authorization": {scheme + token}}))
		require.NoError(t, err, scheme)
	}
}

func TestClinicID_PicksAMembership(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	subject := testkit.Subject("aurora", models.RoleOwner)
	w.Exec(t, "INSERT INTO memberships (clinic_id, id, subject, role) VALUES ($1, $2, $3, 'finance')", w.b.ID, models.NewID(), subject)
	token := w.signer.token(t, w.claims(subject), nil)

	first, err := w.auth.Check(t.Context(), bearer(token))
	require.NoError(t, err)
	require.Equal(t, w.a.ID, first.Scope.ClinicID, "the oldest membership")
	require.Equal(t, models.RoleOwner, first.Scope.Role)

	other, err := w.auth.Check(t.Context(), inClinic(token, w.b))
	require.NoError(t, err)
	require.Equal(t, w.b.ID, other.Scope.ClinicID)
	require.Equal(t, models.RoleFinance, other.Scope.Role, "the role in one clinic is nothing in another")
}

func TestClinicID_AForeignClinicAndOneThatNeverWasAreTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, theirs := w.tokenOf(t, w.a, models.RoleOwner), w.tokenOf(t, w.b, models.RoleOwner)
	nobody := &testkit.Clinic{ID: models.NewID()}
	key, keyText := makeKey(t, w, w.a, models.RolePartner)
	require.Equal(t, w.a.ID, key.ClinicID)

	_, err := w.auth.Check(t.Context(), inClinic(theirs, w.b))
	require.NoError(t, err, "who belongs to it may")
	for name, credential := range map[string]string{"token": mine, "key": keyText} {
		_, foreign := w.auth.Check(t.Context(), inClinic(credential, w.b))
		_, unknown := w.auth.Check(t.Context(), inClinic(credential, nobody))
		require.Equal(t, refused(t, unknown, models.Forbidden), refused(t, foreign, models.Forbidden), name)
		require.Equal(t, unknown, foreign, "%s: the hidden cause as well", name)
	}
	for _, malformed := range []string{
		"aurora", w.b.ID.String(), models.KindContact.Global(w.b.ID), models.KindClinic.Global(uuid.Nil), "clinic_", "clinic_\x00",
	} {
		_, err := w.auth.Check(t.Context(), auth.Credentials{Authorization: "Bearer " + mine, ClinicID: malformed})
		refused(t, err, models.BadUserInput)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", nil)
	r.Header = http.Header{"Authorization": {"Bearer " + mine}, "X-Clinic-Id": {models.KindClinic.Global(w.a.ID), models.KindClinic.Global(w.b.ID)}}
	_, err = w.auth.Authenticate(t.Context(), r)
	refused(t, err, models.BadUserInput)
}

func TestMembership_RevokedIsRefusedAtTheNextRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, other := w.tokenOf(t, w.a, models.RoleFinance), w.tokenOf(t, w.a, models.RoleAdmin)
	_, err := w.auth.Check(t.Context(), bearer(token))
	require.NoError(t, err)

	w.Exec(t, "UPDATE memberships SET revoked_at = now() WHERE subject = $1", testkit.Subject("aurora", models.RoleFinance))
	_, err = w.auth.Check(t.Context(), bearer(token))
	refused(t, err, models.Forbidden)
	_, named := w.auth.Check(t.Context(), inClinic(token, w.a))
	_, never := w.auth.Check(t.Context(), inClinic(token, &testkit.Clinic{ID: models.NewID()}))
	require.Equal(t, never, named, "a former clinic is like one that never was")
	_, err = w.auth.Check(t.Context(), bearer(other))
	require.NoError(t, err, "the others stay")

	w.Exec(t, "UPDATE memberships SET role = 'partner' WHERE subject = $1", testkit.Subject("aurora", models.RoleAdmin))
	grant, err := w.auth.Check(t.Context(), bearer(other))
	require.NoError(t, err)
	require.Equal(t, models.RolePartner, grant.Scope.Role, "a role that was taken away is gone at once")
}

func TestMembership_UnknownSubjectBelongsNowhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.auth.Check(t.Context(), bearer(w.signer.token(t, w.claims("nobody@example"), nil)))
	refused(t, err, models.Forbidden)
	_, err = w.auth.Check(t.Context(), bearer(w.tokenOf(t, w.a, models.RoleOwner)))
	require.NoError(t, err)
}

func TestMembershipsOf_PaysNoHeedToAScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	subject := testkit.Subject("horizonte", models.RoleAdmin)
	ctx, counts := database.WithCounts(w.a.As(t.Context(), models.RoleOwner))
	all, err := w.store.Of(ctx, subject)
	require.NoError(t, err)
	require.Equal(t, []auth.Membership{{
		ClinicID: w.b.ID, Slug: "horizonte", ClinicName: "Clínica horizonte", Role: models.RoleAdmin,
		Permissions: []string{}, SubjectName: "ADMIN",
	}}, all)
	require.EqualValues(t, 1, counts.Statements.Load())

	none, err := w.store.Of(t.Context(), "nobody")
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestAuthenticate_CannotTellWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, keyText := makeKey(t, w, w.a, models.RolePartner)
	token := w.tokenOf(t, w.a, models.RoleOwner)
	_, err := w.auth.Check(t.Context(), bearer(token))
	require.NoError(t, err)

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, credential := range []string{token, keyText} {
		_, err := w.auth.Check(gone, bearer(credential))
		refused(t, err, models.Unavailable)
	}
}

func TestNew_RefusesAConfigurationThatBelievesTooMuch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	devKey := newDevKey(t)
	for name, change := range map[string]func(*auth.Config){
		"nobody could sign in":   func(c *auth.Config) { c.JWKSURL = "" },
		"any issuer":             func(c *auth.Config) { c.Issuer = "" },
		"any audience":           func(c *auth.Config) { c.Audience = "" },
		"plain http":             func(c *auth.Config) { c.JWKSURL = "http://id.example/jwks" },
		"plain http, with dev":   func(c *auth.Config) { c.JWKSURL, c.DevKey = "http://id.example/jwks", devKey },
		"no URL":                 func(c *auth.Config) { c.JWKSURL = "id.example/jwks" },
		"no host":                func(c *auth.Config) { c.JWKSURL = "https://" },
		"a file":                 func(c *auth.Config) { c.JWKSURL = "file:///etc/passwd" },
		"nowhere to look rights": func(c *auth.Config) { c.Memberships = nil },
	} {
		config := auth.Config{Memberships: w.store, Keys: w.store, JWKSURL: w.provider.URL, Issuer: issuer, Audience: audience}
		change(&config)
		_, err := auth.New(config)
		require.Error(t, err, name)
	}
	w.open(t, func(c *auth.Config) { c.JWKSURL, c.AllowPlainHTTP = "http://127.0.0.1:1/jwks", true })
	w.open(t, func(c *auth.Config) { c.JWKSURL, c.DevKey = "", devKey })
}
