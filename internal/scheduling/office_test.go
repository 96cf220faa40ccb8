package scheduling_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/graph"
	"github.com/taskmed/taskmed/models"
)

// office is a clinic on a Monday morning at 07:00 in São Paulo, an hour before
// work begins, and another clinic in the same database.
type office struct {
	*testkit.Database

	here, elsewhere *testkit.Clinic
	diary           *scheduling.Diary
	graph           *graph.Graph
	now             time.Time
	// sql goes past the API and row-level security; few connections serve a
	// whole test, so that many tests can run side by side.
	sql *pgxpool.Pool
}

func openOffice(t *testing.T) *office {
	t.Helper()
	d := testkit.NewDatabase(t)
	o := &office{
		Database: d, here: d.NewClinic(t, "here"), elsewhere: d.NewClinic(t, "elsewhere"),
		now: parse(t, "2026-11-23T07:00:00-03:00"),
	}
	settings, err := pgxpool.ParseConfig(d.SuperuserURL)
	require.NoError(t, err)
	settings.MaxConns = 2
	o.sql, err = pgxpool.NewWithConfig(t.Context(), settings)
	require.NoError(t, err)
	t.Cleanup(o.sql.Close)
	clock := func() time.Time { return o.now }
	o.diary, o.graph = scheduling.New(d.DB, clock), graph.New(t, d.DB, d.Cursors, clock)
	return o
}

// Exec runs SQL as the superuser.
func (o *office) Exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := o.sql.Exec(t.Context(), sql, args...)
	require.NoError(t, err, sql)
}

// Count gives the number that a counting statement answers with.
func (o *office) Count(t *testing.T, sql string, args ...any) (count int) {
	t.Helper()
	require.NoError(t, o.sql.QueryRow(t.Context(), sql, args...).Scan(&count), sql)
	return count
}

func (o *office) as(t *testing.T, role models.Role) context.Context {
	t.Helper()
	return o.here.As(t.Context(), role)
}

// at is a time of the office's Monday, or of so many days after it.
func (o *office) at(t *testing.T, clock string, days ...int) time.Time {
	t.Helper()
	instant := parse(t, "2026-11-23T"+clock+":00-03:00")
	for _, day := range days {
		instant = instant.AddDate(0, 0, day)
	}
	return instant
}

// visit asks for half an hour of Ana's with Dra. Beatriz.
func (o *office) visit(start time.Time) models.ScheduleAppointmentInput {
	return models.ScheduleAppointmentInput{
		ContactID:      models.KindContact.Global(o.here.Contacts[0]),
		PractitionerID: models.KindPractitioner.Global(o.here.Practitioners[0]),
		ServiceID:      new(models.KindService.Global(o.here.Services[0])),
		StartsAt:       start,
	}
}

// book puts half an hour with Dra. Beatriz into the diary.
func (o *office) book(t *testing.T, start time.Time) *models.Appointment {
	t.Helper()
	booked, _, err := o.diary.Schedule(o.as(t, models.RoleOwner), o.visit(start))
	require.NoError(t, err)
	return booked
}

// written changes with every change of the diary.
func (o *office) written(t *testing.T) int {
	t.Helper()
	return o.Count(t, "SELECT coalesce(sum(hashtext(a::text)), 0)::bigint FROM appointments a")
}

// setStatus brings an appointment to a status by SQL.
func (o *office) setStatus(t *testing.T, id uuid.UUID, status models.AppointmentStatus) {
	t.Helper()
	o.Exec(t, "UPDATE appointments SET status = $2 WHERE id = $1", id, status)
}

// refused is the one mistake that an input was refused for.
func refused(t *testing.T, err error, code models.UserErrorCode, field string) *models.UserError {
	t.Helper()
	mistakes := mistakesOf(t, err)
	require.Len(t, mistakes, 1, "%s", words(mistakes))
	require.Equal(t, code, mistakes[0].Code, mistakes[0].Message)
	require.Equal(t, []string{field}, mistakes[0].Field)
	require.NotEmpty(t, mistakes[0].Message)
	require.NotNil(t, mistakes[0].EntityIds)
	return mistakes[0]
}

func mistakesOf(t *testing.T, err error) models.Invalid {
	t.Helper()
	var mistakes models.Invalid
	require.ErrorAs(t, err, &mistakes)
	return mistakes
}

func words(mistakes models.Invalid) (all []string) {
	for _, mistake := range mistakes {
		all = append(all, string(mistake.Code)+" "+mistake.Message)
	}
	return all
}

// times are slots as their practitioner's place in the clinic and local times.
func (o *office) times(slots []*models.Slot) (all []string) {
	zone := time.FixedZone("", -3*60*60)
	for _, slot := range slots {
		who := map[uuid.UUID]string{o.here.Practitioners[0]: "Beatriz", o.here.Practitioners[1]: "Carlos"}[slot.PractitionerID]
		all = append(all, who+" "+slot.StartsAt.In(zone).Format("Mon 15:04")+"-"+slot.EndsAt.In(zone).Format("15:04"))
	}
	return all
}

func parse(t *testing.T, text string) time.Time {
	t.Helper()
	instant, err := models.UnmarshalDateTime(text)
	require.NoError(t, err)
	return instant
}
