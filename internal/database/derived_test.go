package database_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// wrongDays counts the appointments whose day is not that of their beginning in
// their clinic's zone.
func wrongDays(t *testing.T, d *testkit.Database) int {
	t.Helper()
	return d.Count(t, `SELECT count(*) FROM appointments a JOIN clinics c ON c.id = a.clinic_id
		WHERE a.scheduled_date IS DISTINCT FROM (a.starts_at AT TIME ZONE c.time_zone)::date`)
}

// book makes appointments at every hour of some days, those around midnight among
// them.
func book(t *testing.T, d *testkit.Database, clinic *testkit.Clinic, hours int) {
	t.Helper()
	d.Exec(t, `INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at)
		SELECT $1, gen_random_uuid(), $2, $3, at, at + interval '30 minutes'
		FROM generate_series(timestamptz '2099-10-20 00:00Z', timestamptz '2099-10-20 00:00Z' + ($4 - 1) * interval '1 hour', interval '1 hour') AS at`,
		clinic.ID, clinic.Contacts[0], clinic.Practitioners[0], hours)
}

func TestDerived_AnAppointmentsDayFollowsItsClinicsZone(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic, other := d.NewClinic(t, "aurora"), d.NewClinic(t, "boreal")
	book(t, d, clinic, 500)
	book(t, d, other, 100)
	require.Zero(t, wrongDays(t, d))
	unchanged := d.Count(t, "SELECT sum(version) FROM appointments WHERE clinic_id = $1", other.ID)
	for _, zone := range []string{"Asia/Tokyo", "Pacific/Kiritimati", "America/Los_Angeles", "UTC", "America/Sao_Paulo"} {
		d.Exec(t, "UPDATE clinics SET time_zone = $1 WHERE id = $2", zone, clinic.ID)
		require.Zero(t, wrongDays(t, d), zone)
	}
	require.Equal(t, unchanged, d.Count(t, "SELECT sum(version) FROM appointments WHERE clinic_id = $1", other.ID), "another clinic's are left alone")

	// Nobody can set another day.
	d.Exec(t, "UPDATE appointments SET scheduled_date = '2001-01-01' WHERE clinic_id = $1", clinic.ID)
	require.Zero(t, wrongDays(t, d))
	d.Exec(t, "UPDATE appointments SET starts_at = starts_at + interval '5 days', ends_at = ends_at + interval '5 days' WHERE clinic_id = $1 AND starts_at > '2099-11-09'", clinic.ID)
	require.Zero(t, wrongDays(t, d))

	// The control: without the trigger the comparison sees it.
	d.Exec(t, "ALTER TABLE clinics DISABLE TRIGGER clinics_days_follow")
	d.Exec(t, "UPDATE clinics SET time_zone = 'Asia/Tokyo' WHERE id = $1", clinic.ID)
	require.Positive(t, wrongDays(t, d))
}

// Bookings that are under way while the zone changes are seen by the change, or
// see it.
func TestDerived_ADayIsRightWhileTheZoneChangesUnderBookings(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	var booking sync.WaitGroup
	for worker := range 4 {
		booking.Go(func() {
			conn := d.Connect(t, d.SuperuserURL)
			for n := range 40 {
				at := time.Date(2099, 1, 1+n, worker*6, 0, 0, 0, time.UTC)
				// Each takes a while from its statement to its commit.
				_, err := conn.Exec(t.Context(), fmt.Sprintf(`BEGIN; INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at)
					VALUES ('%s', '%s', '%s', '%s', '%s', '%s'); SELECT pg_sleep(%f); COMMIT`, clinic.ID, models.NewID(), clinic.Contacts[0],
					clinic.Practitioners[0], at.Format(time.RFC3339), at.Add(time.Hour).Format(time.RFC3339), rand.Float64()*0.01))
				if err != nil {
					t.Errorf("book: %v", err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		booking.Wait()
		close(done)
	}()
	zones, changes := []string{"Asia/Tokyo", "America/Los_Angeles"}, 0
	for running := true; running; changes++ {
		select {
		case <-done:
			running = false
		default:
		}
		d.Exec(t, "UPDATE clinics SET time_zone = $1 WHERE id = $2", zones[changes%2], clinic.ID)
	}
	require.Equal(t, 160, d.Count(t, "SELECT count(*) FROM appointments WHERE clinic_id = $1", clinic.ID))
	require.Zero(t, wrongDays(t, d), "after %d changes", changes)
}
