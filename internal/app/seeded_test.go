package app_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
)

// today is the day that the seeded clinics' data lie around, a Monday.
func today() time.Time { return time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC) }

// noon is the server's clock in tests over seeded data: 12:00 in São Paulo.
func noon() time.Time { return time.Date(2026, time.November, 23, 15, 0, 0, 0, time.UTC) }

// seeded is a small world with the same rows, ids included, on every machine.
type seeded struct {
	database *testkit.Database
	server   *api.Server
	// Aurora and Horizonte are the two clinics.
	aurora, horizonte *testkit.Clinic
}

// seededWorld is seeded once, for all tests that look at the seeded clinics.
var seededWorld = testkit.Made[seed.Result]{Fill: func(t testing.TB, d *testkit.Database) seed.Result { //nolint:gochecknoglobals // per test binary
	t.Helper()
	result, err := seed.Run(t.Context(), d.OwnerURL, seed.Options{
		Clinics: 2, Contacts: 150, Practitioners: 4, Appointments: 1600, Records: 400, Seed: 7, Today: today(),
	}, nil)
	require.NoError(t, err)
	return result
}}

// newSeeded is a database of a test's own with the seeded clinics.
func newSeeded(t testing.TB, options ...api.Option) *seeded {
	t.Helper()
	d, made := seededWorld.New(t)
	s := &seeded{database: d, aurora: clinicOf(made, 0), horizonte: clinicOf(made, 1)}
	for _, clinic := range []*testkit.Clinic{s.aurora, s.horizonte} {
		d.Holds(t, clinic.ID, today())
	}
	s.server = api.NewServer(t, s.database, append([]api.Option{api.At(noon())}, options...)...)
	return s
}

func clinicOf(made seed.Result, n int) *testkit.Clinic {
	return &testkit.Clinic{ID: made.Clinics[n].ID, Slug: made.Clinics[n].Slug}
}

// as is a client of a seeded clinic's member who has a role, in lower case.
func (s *seeded) as(t testing.TB, clinic *testkit.Clinic, role string) *api.Client {
	t.Helper()
	return s.server.AsSubject(t, clinic, seed.Subject(clinic.Slug, role))
}
