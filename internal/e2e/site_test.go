package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
	"github.com/taskmed/taskmed/web"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// site is a server with two clinics that the playground may act in, as under
// `taskmed dev`. Ana Souza comes to the first of them today and tomorrow, so
// that a test which runs over midnight still finds her.
type site struct {
	database *testkit.Database
	server   *api.Server
	clinic   *testkit.Clinic
	// other is the second clinic as the playground's list has it.
	other web.DemoClinic
}

func startSite(t *testing.T) site {
	t.Helper()
	return startSiteAt(t, time.Now)
}

// startSiteAt is startSite under another clock.
func startSiteAt(t *testing.T, clock func() time.Time) site {
	t.Helper()
	d := testkit.NewDatabase(t)
	aurora, boaVista := d.NewClinic(t, "aurora"), d.NewClinic(t, "boa-vista")
	d.Exec(t, "UPDATE contacts SET phone = '+5511987654321' WHERE id = $1", aurora.Contacts[0])
	zone, err := time.LoadLocation("America/Sao_Paulo")
	require.NoError(t, err)
	now := clock().In(zone)
	for day := range 2 {
		start := time.Date(now.Year(), now.Month(), now.Day()+day, 9, 0, 0, 0, zone)
		d.Appointment(t, aurora, 0, 0, start, 30*time.Minute)
	}

	var demo []web.DemoClinic
	server := api.NewServer(t, d, api.Clock(clock), func(settings *config.Config, options *app.Options) {
		settings.Outbox = true
		demo = []web.DemoClinic{demoClinic(t, options.DevKey, aurora), demoClinic(t, options.DevKey, boaVista)}
		options.Demo = demo
	})
	return site{database: d, server: server, clinic: aurora, other: demo[1]}
}

// subscribe runs an example that subscribes, has something happen, and gives what is told.
func (s site) subscribe(t *testing.T, client *api.Client, query string, variables json.RawMessage, happens, told string) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	require.NoError(t, err)
	ctx, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.server.URL+"/graphql", bytes.NewReader(text))
	require.NoError(t, err)
	client.Authorize(r)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, http.StatusOK, response.StatusCode)
	s.database.Exec(t, happens, s.clinic.ID, models.NewID())
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), told) {
			return lines.Text()
		}
	}
	t.Fatalf("nothing is told: %v", lines.Err())
	return ""
}

func demoClinic(t *testing.T, key *auth.DevKey, clinic *testkit.Clinic) web.DemoClinic {
	t.Helper()
	tokens := map[string]string{}
	for _, role := range models.AllRole {
		token, err := key.Sign(auth.DevClaims{Subject: testkit.Subject(clinic.Slug, role), TTL: time.Hour})
		require.NoError(t, err)
		tokens[string(role)] = token
	}
	return web.DemoClinic{ID: models.KindClinic.Global(clinic.ID), Name: "Clínica " + clinic.Slug, Slug: clinic.Slug, Tokens: tokens}
}
