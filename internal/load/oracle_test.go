package load

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOracle_KnowsStaleForeignAndMissing(t *testing.T) {
	t.Parallel()
	o := newOracle()
	before := time.Now()
	o.wrote("contact_1", 2)
	o.booked("clinic_a", "2026-11-23", "appointment_1")
	after := time.Now()

	for _, c := range []struct {
		name    string
		version int
		asked   time.Time
		stale   bool
	}{
		{"older than what was acknowledged before it was asked for", 1, after, true},
		{"as it was acknowledged", 2, after, false},
		{"newer", 3, after, false},
		{"older, and asked for before the write was acknowledged", 1, before, false},
		{"without a version", 0, after, false},
	} {
		stale, foreign := o.seen("clinic_a", "contact_1", c.version, c.asked)
		require.Equal(t, c.stale, stale, c.name)
		require.False(t, foreign, c.name)
	}
	_, foreign := o.seen("clinic_b", "contact_1", 2, after)
	require.True(t, foreign, "an id that another clinic has shown before")

	require.Equal(t, 1, o.missing("clinic_a", "2026-11-23", nil, after))
	require.Zero(t, o.missing("clinic_a", "2026-11-23", map[string]bool{"appointment_1": true}, after))
	require.Zero(t, o.missing("clinic_a", "2026-11-23", nil, before))
	require.Zero(t, o.missing("clinic_a", "2026-11-24", nil, after))
}

// TestRun_FindsAServerThatAnswersOldVersions plays the mix against a server that
// acknowledges writes and forgets them.
func TestRun_FindsAServerThatAnswersOldVersions(t *testing.T) {
	t.Parallel()
	contact := map[string]any{"id": "contact_1", "version": 1}
	forgetful := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Query string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		written := map[string]any{"contact": map[string]any{"id": "contact_1", "version": 2}, "appointment": nil, "medicalRecord": nil}
		ids := map[string]any{"nodes": []any{contact}}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{
			"clinic": map[string]any{"practitioners": ids, "services": ids}, "contacts": ids, "searchContacts": ids,
			"contact": contact, "appointments": map[string]any{"nodes": []any{}, "pageInfo": map[string]any{"hasNextPage": false}},
			"practitioner": nil, "availability": []any{},
			"createContact": written, "updateContact": written, "scheduleAppointment": written, "createMedicalRecord": written,
		}})
	})
	server := httptest.NewServer(forgetful)
	defer server.Close()
	report, err := Run(context.WithoutCancel(t.Context()), Options{
		URLs: []string{server.URL}, Clinics: []Clinic{{ID: "clinic_a", Token: "token"}},
		Clients: 4, Rate: 400, Duration: 2 * time.Second, Seed: 1,
	})
	require.NoError(t, err)
	require.Zero(t, report.Errors, "%v", report.Failures)
	require.Equal(t, 800, report.Requests)
	require.Positive(t, report.Stale, "versions that were acknowledged and are not shown")
}
