package touched_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/people/guesses"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// BenchmarkWrites compares writes whose tags are raised, without the time Redis
// takes, with writes that notify and with writes without the triggers.
func BenchmarkWrites(b *testing.B) {
	for _, variant := range []string{"raised", "notified", "neither"} {
		d := testkit.NewDatabase(b)
		clinic := d.NewClinic(b, "aurora")
		config := database.Config{URL: d.AppURL, MaxConns: 4}
		switch variant {
		case "raised":
			config.Coherence = &raises{}
		case "neither":
			d.Exec(b, `DO $$ DECLARE t record; BEGIN
				FOR t IN SELECT tgname, tgrelid::regclass AS tab FROM pg_trigger WHERE tgname LIKE 'cache\_%' LOOP
					EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.tab);
				END LOOP; END $$`)
		}
		db, err := database.Open(b.Context(), config)
		require.NoError(b, err)
		b.Cleanup(db.Close)
		ctx := clinic.As(b.Context(), models.RoleOwner)
		b.Run("createContact/"+variant, func(b *testing.B) {
			directory := people.New(db, nil, d.Cursors, time.Now, guesses.Alone{})
			for b.Loop() {
				_, err := directory.CreateContact(ctx, models.CreateContactInput{Name: "Ana Souza"})
				require.NoError(b, err)
			}
		})
		b.Run("schedule/"+variant, func(b *testing.B) {
			diary := scheduling.New(db, time.Now)
			book(ctx, b, diary, clinic)
		})
	}
}

func book(ctx context.Context, b *testing.B, diary *scheduling.Diary, clinic *testkit.Clinic) {
	b.Helper()
	start := time.Now().Truncate(time.Minute)
	for b.Loop() {
		start = start.Add(time.Minute)
		_, _, err := diary.Schedule(ctx, models.ScheduleAppointmentInput{
			ContactID: models.KindContact.Global(clinic.Contacts[0]), PractitionerID: models.KindPractitioner.Global(clinic.Practitioners[0]),
			StartsAt: start, EndsAt: new(start.Add(time.Minute)), AllowOutsideHours: new(true),
		})
		require.NoError(b, err)
	}
}
