package app_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// viewerQueries ask who asks, in every way in which that is told.
var viewerQueries = []string{ //nolint:gochecknoglobals // nobody changes it
	`{ viewer { name } }`,
	`{ viewer { subject name role } }`,
	`{ viewer { name clinic { name } } }`,
	`{ viewer { name memberships { role clinic { name } } } }`,
	`{ clinics(first: 5) { nodes { name } } viewer { name role } }`,
}

type viewerAnswer struct {
	Viewer struct {
		Name, Role  string
		Clinic      *struct{ Name string }
		Memberships []struct {
			Role   string
			Clinic struct{ Name string }
		}
	}
	Clinics *struct{ Nodes []struct{ Name string } }
}

// told asks everything that tells of the viewer, of each client.
func told(t *testing.T, clients []*api.Client) (all []viewerAnswer) {
	t.Helper()
	for _, client := range clients {
		for _, query := range viewerQueries {
			var answer viewerAnswer
			client.Must(t, query, nil, &answer)
			all = append(all, answer)
		}
	}
	return all
}

// warmViewer asks until everything is kept that can be.
func warmViewer(t *testing.T, clients []*api.Client) {
	t.Helper()
	for _, client := range clients {
		untilHit(t, client, viewerQueries[2], nil)
		for range 3 {
			told(t, []*api.Client{client})
		}
	}
}

func TestViewer_WhatIsToldOfWhoAsksFollowsAChangeBySQL(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	one, two := api.NewServer(t, d, api.WithRedis(d)), api.NewServer(t, d, api.WithRedis(d))
	subject := testkit.Subject("aurora", models.RoleFinance)
	members := []*api.Client{one.AsSubject(t, clinic, subject), two.AsSubject(t, clinic, subject)}

	store := auth.NewStore(one.App.Database())
	key, text, err := store.CreateKey(clinic.As(t.Context(), models.RoleOwner), auth.NewKey{Name: "Agenda externa", Role: models.RoleReceptionist})
	require.NoError(t, err)
	partners := []*api.Client{one.WithToken(clinic, text), two.WithToken(clinic, text)}

	// follows changes something, and wants every answer to show it within 100 ms.
	follows := func(clients []*api.Client, right func(viewerAnswer) bool, sql string, args ...any) {
		t.Helper()
		warmViewer(t, clients)
		d.Exec(t, sql, args...)
		changed := time.Now()
		var late []viewerAnswer
		require.Eventually(t, func() bool {
			late = nil
			for _, answer := range told(t, clients) {
				if !right(answer) {
					late = append(late, answer)
				}
			}
			return len(late) == 0
		}, 10*time.Second, time.Millisecond, "%s: %d answers of %d are not right: %+v", sql, len(late), len(clients)*len(viewerQueries), late)
		// The machine may be busy: what the promise is about takes a few of them.
		t.Logf("shown after %v: %s", time.Since(changed).Round(time.Millisecond), sql)
		for range 3 {
			for _, answer := range told(t, clients) {
				require.True(t, right(answer), "%s: %+v", sql, answer)
			}
		}
	}
	for _, name := range []string{"Renata Alves", "Renata Prado"} {
		follows(members, func(a viewerAnswer) bool { return a.Viewer.Name == name },
			"UPDATE memberships SET name = $1 WHERE clinic_id = $2 AND subject = $3", name, clinic.ID, subject)
		follows(partners, func(a viewerAnswer) bool { return a.Viewer.Name == name },
			"UPDATE api_keys SET name = $1 WHERE clinic_id = $2 AND id = $3", name, clinic.ID, key.ID)
	}
	role := func(wanted string) func(viewerAnswer) bool {
		return func(a viewerAnswer) bool {
			for _, membership := range a.Viewer.Memberships {
				if membership.Role != wanted {
					return false
				}
			}
			return a.Viewer.Role == wanted || a.Viewer.Role == ""
		}
	}
	follows(members, role("RECEPTIONIST"), "UPDATE memberships SET role = 'receptionist' WHERE clinic_id = $1 AND subject = $2", clinic.ID, subject)
	follows(partners, role("FINANCE"), "UPDATE api_keys SET role = 'finance' WHERE clinic_id = $1 AND id = $2", clinic.ID, key.ID)
	follows(append(members, partners...), func(a viewerAnswer) bool {
		for _, membership := range a.Viewer.Memberships {
			if membership.Clinic.Name != "Clínica nova" {
				return false
			}
		}
		if a.Clinics != nil && a.Clinics.Nodes[0].Name != "Clínica nova" {
			return false
		}
		return a.Viewer.Clinic == nil || a.Viewer.Clinic.Name == "Clínica nova"
	}, "UPDATE clinics SET name = 'Clínica nova' WHERE id = $1", clinic.ID)
}

// Two tokens of one subject may tell different names.
func TestViewer_TheNameIsThatOfTheTokenThatAsks(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	one, two := api.NewServer(t, d, api.WithRedis(d)), api.NewServer(t, d, api.WithRedis(d))
	subject := testkit.Subject("aurora", models.RoleOwner)
	for _, server := range []*api.Server{one, two} {
		for _, name := range []string{"Ana", "Beatriz", "", "Ana"} {
			client := server.AsNamed(t, clinic, subject, name)
			wanted := name
			if wanted == "" {
				wanted = "OWNER" // what the clinic calls the subject
			}
			warmViewer(t, []*api.Client{client})
			for _, answer := range told(t, []*api.Client{client}) {
				assert.Equal(t, wanted, answer.Viewer.Name)
			}
		}
	}
}

// An answer of which nobody can say what it depends on would stand for ever.
func TestCache_AnAnswerThatDependsOnNothingIsNeverKept(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	d.Exec(t, "UPDATE memberships SET permissions = '{developer}' WHERE clinic_id = $1 AND role = 'owner'", clinic.ID)
	for name, options := range map[string][]api.Option{"Redis": {api.WithRedis(d)}, "the process": nil} {
		options = append(options, func(_ *config.Config, o *app.Options) {
			o.Extensions = []graphql.HandlerExtension{unread{}}
		})
		server := api.NewServer(t, d, options...)
		admin, owner := server.As(t, clinic, models.RoleAdmin), server.As(t, clinic, models.RoleOwner)
		untilHit(t, admin, contactQuery, map[string]any{"id": contactID(clinic, 0)})
		for _, query := range []string{`{ __typename }`, `{ __schema { queryType { name } } }`, `{ clinic { name } }`, `{ clinic { __typename } }`} {
			for range 5 {
				answer := admin.Do(t, query, nil)
				require.Equal(t, http.StatusOK, answer.Status)
				require.NotEqual(t, "taskmed; hit", status(answer), "%s: %s", name, query)
			}
		}
		answer := looked(t, func() *api.Response { return owner.Do(t, `{ clinic { name } }`, nil) })
		require.Contains(t, answer.Extensions.TaskMed.Cache["reason"], "depends on nothing", name)
	}
}

// unread has a server answer for the clinic without having read it.
type unread struct{}

var _ graphql.FieldInterceptor = unread{}

// ExtensionName implements graphql.HandlerExtension.
func (unread) ExtensionName() string { return "Unread" }

// Validate implements graphql.HandlerExtension.
func (unread) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptField implements graphql.FieldInterceptor.
func (unread) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	if at := graphql.GetFieldContext(ctx); at.Object+"."+at.Field.Name == "Query.clinic" {
		return &models.Clinic{Name: "Clínica aurora"}, nil
	}
	return next(ctx)
}
