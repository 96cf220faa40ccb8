package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/devstack"
	"github.com/taskmed/taskmed/internal/doctor"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

func TestDoctorCache_FindsAStaleAnswerAndFails(t *testing.T) {
	t.Parallel()
	d, redis := testkit.NewDatabase(t), testkit.NewRedis(t)
	clinic, home := d.NewClinic(t, "aurora"), t.TempDir()
	require.NoError(t, devFile{DatabaseURL: d.AppURL, RedisURL: redis.URL}.write(home))
	secret := strings.Repeat("c0ffee", 11)
	require.NoError(t, devstack.WriteFile(filepath.Join(home, "secret"), []byte(secret+"\n")))
	owner := api.NewServer(t, d, func(settings *config.Config, _ *app.Options) {
		settings.RedisURL, settings.RedisTimeout, settings.Secret = redis.URL, 5*time.Second, secret
	}).As(t, clinic, models.RoleOwner)
	const query = `query Page { contacts { nodes { name } pageInfo { endCursor } } }`
	kept := func() {
		require.Eventually(t, func() bool {
			return owner.Do(t, query, nil).Header.Get("Cache-Status") == "taskmed; hit"
		}, 30*time.Second, 5*time.Millisecond)
	}
	// On a busy machine what is kept may be dropped at any time: then once more.
	var clean outcome
	for range 10 {
		kept()
		clean = taskmed(t.Context(), "doctor", "cache", "--home", home, "--clinic", clinic.ID.String())
		require.Equal(t, exitOK, clean.status, clean.err)
		if strings.Contains(clean.out, "1 of 1") {
			break
		}
	}
	require.Equal(t, "cache: nothing to mend; looked at 1 of 1 answers: 1 are what Postgres says, 0 went or were renewed meanwhile\n", clean.out)

	var found outcome
	for n := range 10 {
		kept()
		d.Exec(t, fmt.Sprintf("SET session_replication_role = replica; UPDATE contacts SET name = 'Mallory %d' WHERE id = '%s'", n, clinic.Contacts[0]))
		if found = taskmed(t.Context(), "doctor", "cache", "--home", home); found.status == exitFailure {
			break
		}
	}
	require.Equal(t, exitFailure, found.status)
	require.Contains(t, found.out, "problem: not so: what is kept is what Postgres says\n  Page for OWNER in clinic "+clinic.ID.String())
	require.Contains(t, found.err, "to be mended: 1")
	require.NotContains(t, found.out, "Mallory")
	told := taskmed(t.Context(), "doctor", "cache", "--home", home, "--json", "--clinic", models.KindClinic.Global(clinic.ID))
	require.Equal(t, exitFailure, told.status)
	var report doctor.Report
	require.NoError(t, json.Unmarshal([]byte(told.out), &report))
	require.Len(t, report.Stale, 1)
	require.Equal(t, "Page", report.Stale[0].Operation)
	require.Contains(t, report.Stale[0].Paths, "contacts.nodes[0].name")

	require.Equal(t, exitFailure, taskmed(t.Context(), "doctor", "cache", "--home", home, "--clinic", "x").status)
	require.Contains(t, taskmed(t.Context(), "doctor", "cache", "--home", t.TempDir()).err, "no taskmed dev runs")
}
