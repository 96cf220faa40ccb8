package app_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/persisted"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

func TestOperations_OnlyWhatIsPublishedRunsWhereThatIsAsked(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	const (
		published = "query Name { clinic { name } }"
		other     = "query Other { clinic { name } }"
	)
	operation := &persisted.Operation{ID: persisted.Hash(published), Name: "Name", Kind: "query", Body: published}
	_, err := persisted.Publish(t.Context(), d.Connect(t, d.OwnerURL), []*persisted.Operation{operation})
	require.NoError(t, err)

	server := api.NewServer(t, d, func(settings *config.Config, _ *app.Options) { settings.Operations = config.RegisteredOperations })
	require.Eventually(t, func() bool {
		out := httptest.NewRecorder()
		server.App.Handler().ServeHTTP(out, httptest.NewRequest(http.MethodGet, "/readyz", http.NoBody))
		return out.Code == http.StatusOK
	}, 10*time.Second, time.Millisecond, "ready once it knows what may run")
	owner := server.As(t, clinic, models.RoleOwner)

	require.Contains(t, string(owner.Do(t, published, nil).Data), "Clínica aurora")
	refused := owner.Do(t, other, nil)
	require.Equal(t, "FORBIDDEN", refused.Errors[0].Extensions.Code)
	require.Empty(t, refused.Data)
	require.Contains(t, string(api.NewServer(t, d).As(t, clinic, models.RoleOwner).Do(t, other, nil).Data), "Clínica aurora", "elsewhere it runs")

	// Publishing needs no restart.
	operation = &persisted.Operation{ID: persisted.Hash(other), Name: "Other", Kind: "query", Body: other}
	_, err = persisted.Publish(t.Context(), d.Connect(t, d.OwnerURL), []*persisted.Operation{operation})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return len(owner.Do(t, other, nil).Errors) == 0
	}, 10*time.Second, 20*time.Millisecond)
}
