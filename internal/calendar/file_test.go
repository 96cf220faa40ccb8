package calendar

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/calendar/ical"
	"github.com/taskmed/taskmed/models"
)

// expected is an event as any client should read it.
type expected struct {
	UID, Summary, Status string
	Start, End           time.Time
}

// TestFile_IsTheFileThatOthersRead holds a feed to testdata/feed.ics, which ical.js reads
// in web/src/feed.test.ts, and reads it itself. UPDATE_GOLDEN=1 writes it anew.
func TestFile_IsTheFileThatOthersRead(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	practitioner := "Dr. Zoë \"Ü\" O'Brien; de Souza, " + "ção "
	for range 5 {
		practitioner += "🩺 longa "
	}
	from := time.Date(2026, time.March, 1, 0, 0, 0, 0, zone)
	s := &subscription{TimeZone: zone.String(), ClinicName: "Clínica Aurora, Ltda.; \\ filial"}
	var events []*event
	var want []expected
	for i, status := range models.AllAppointmentStatus {
		// Half past midnight of days around both changes of the clocks, and one on them.
		start := time.Date(2026, time.March, 5+i, 0, 30, 0, 0, zone)
		if i%2 == 1 {
			start = time.Date(2026, time.November, 1, i, 30, 0, 0, zone)
		}
		id := uuid.UUID{0: 1, 6: 0x70, 8: 0x80, 15: byte(i)}
		events = append(events, &event{
			ID: id, StartsAt: start, EndsAt: start.Add(time.Hour), Status: status, Version: i + 1,
			CreatedAt: from, UpdatedAt: from.Add(time.Duration(i) * time.Minute), ContactName: "Ana de Souza", PractitionerName: practitioner,
		})
		shown := "CONFIRMED"
		switch status {
		case models.AppointmentStatusScheduled:
			shown = "TENTATIVE"
		case models.AppointmentStatusCancelled, models.AppointmentStatusNoShow:
			shown = "CANCELLED"
		default:
		}
		want = append(want, expected{models.KindAppointment.Global(id) + "@taskmed", "A. S. · " + practitioner, shown, start.UTC(), start.Add(time.Hour).UTC()})
	}
	file := s.file(events, zone, from, from.AddDate(1, 0, 0))
	list, err := json.MarshalIndent(want, "", "  ")
	require.NoError(t, err)
	for name, made := range map[string][]byte{"testdata/feed.ics": file.Body, "testdata/feed.json": append(list, '\n')} {
		if os.Getenv("UPDATE_GOLDEN") != "" {
			require.NoError(t, os.MkdirAll("testdata", 0o750))
			require.NoError(t, os.WriteFile(name, made, 0o600))
		}
		kept, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.Equal(t, string(kept), string(made), name)
	}
	got, err := ical.Read(string(file.Body), ical.Options{Zone: time.UTC, From: from, To: from.AddDate(1, 0, 0)})
	require.NoError(t, err)
	require.Empty(t, got.Notes)
	read := map[string]ical.Occurrence{}
	for _, event := range got.Events {
		for _, o := range event.Occurrences {
			read[event.UID] = o
		}
	}
	for _, w := range want {
		if w.Status == "CANCELLED" {
			assert.NotContains(t, read, w.UID)
			continue
		}
		assert.Equal(t, ical.Occurrence{Start: w.Start, End: w.End}, read[w.UID])
	}
}
