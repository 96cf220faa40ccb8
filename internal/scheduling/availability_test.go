package scheduling_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/graph"
	"github.com/taskmed/taskmed/models"
)

// byHand asks Postgres for the free minutes and, of those at which a slot may begin,
// for those that as many free ones follow as a slot takes: $1 clinic, $2 from, $3 to,
// $4 service, $5 now.
const byHand = `
WITH free AS (
  SELECT p.id AS practitioner, m.at, s.duration_minutes AS minutes, EXISTS (
      SELECT FROM working_hours w
      WHERE w.clinic_id = p.clinic_id AND w.practitioner_id = p.id
        AND w.weekday = extract(isodow FROM m.at AT TIME ZONE c.time_zone)
        AND shown.minute >= w.from_minute AND shown.minute < w.to_minute
        AND (shown.minute - w.from_minute) %% c.slot_grid_minutes = 0) AS begins
  FROM practitioners p
  JOIN clinics c ON c.id = p.clinic_id
  JOIN services s ON s.clinic_id = p.clinic_id AND s.id = $4 AND s.active
  JOIN practitioner_services o ON o.clinic_id = p.clinic_id AND o.practitioner_id = p.id AND o.service_id = s.id
  CROSS JOIN generate_series($2::timestamptz, $3::timestamptz - interval '1 minute', interval '1 minute') AS m(at)
  CROSS JOIN LATERAL (SELECT (extract(epoch FROM (m.at AT TIME ZONE c.time_zone)::time) / 60)::int AS minute) AS shown
  WHERE p.clinic_id = $1 AND p.active AND m.at >= $5
    AND EXISTS (
      SELECT FROM working_hours w
      WHERE w.clinic_id = p.clinic_id AND w.practitioner_id = p.id
        AND w.weekday = extract(isodow FROM m.at AT TIME ZONE c.time_zone)
        AND shown.minute >= w.from_minute AND shown.minute < w.to_minute)
    AND NOT EXISTS (
      SELECT FROM appointments a WHERE a.clinic_id = p.clinic_id AND a.practitioner_id = p.id
        AND a.status NOT IN ('cancelado', 'faltou') AND a.starts_at <= m.at AND a.ends_at > m.at)
    AND NOT EXISTS (
      SELECT FROM slot_holds h WHERE h.clinic_id = p.clinic_id AND h.practitioner_id = p.id
        AND h.expires_at > now() AND h.starts_at <= m.at AND h.ends_at > m.at)
    AND NOT EXISTS (
      SELECT FROM time_off o WHERE o.clinic_id = p.clinic_id AND (o.practitioner_id = p.id OR o.practitioner_id IS NULL)
        AND o.starts_at <= m.at AND o.ends_at > m.at)
)
SELECT practitioner, at, at + minutes * interval '1 minute' FROM (
  SELECT *, count(*) OVER follow = minutes AS fits FROM free
  WINDOW follow AS (PARTITION BY practitioner ORDER BY at RANGE BETWEEN CURRENT ROW AND interval '%d minutes' FOLLOWING)) AS counted
WHERE begins AND fits ORDER BY at, practitioner`

func (o *office) slotsBySQL(t *testing.T, clinic *testkit.Clinic, within availability.Span, service int) (all []string) {
	t.Helper()
	minutes := o.Count(t, "SELECT duration_minutes FROM services WHERE id = $1", clinic.Services[service])
	rows, err := o.sql.Query(t.Context(), fmt.Sprintf(byHand, minutes-1), clinic.ID, within.From, within.To, clinic.Services[service], o.now)
	require.NoError(t, err)
	var practitioner uuid.UUID
	var starts, ends time.Time
	_, err = pgx.ForEachRow(rows, []any{&practitioner, &starts, &ends}, func() error {
		all = append(all, slotLine(practitioner, starts, ends))
		return nil
	})
	require.NoError(t, err)
	return all
}

func slotLine(practitioner uuid.UUID, starts, ends time.Time) string {
	return fmt.Sprint(starts.UTC().Format(time.RFC3339), " ", ends.UTC().Format(time.RFC3339), " ", practitioner)
}

func lines(slots []*models.Slot) (all []string) {
	for _, slot := range slots {
		all = append(all, slotLine(slot.PractitionerID, slot.StartsAt, slot.EndsAt))
	}
	return all
}

func TestAvailability_IsThatOfSQLByHand(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	for _, c := range []struct{ zone, from, now string }{
		{"America/Sao_Paulo", "2026-11-23T00:00:00-03:00", "2026-11-24T10:10:00-03:00"},
		{"America/New_York", "2026-03-06T00:00:00-05:00", "2026-03-01T00:00:00-05:00"},
		{"America/New_York", "2026-10-30T00:00:00-04:00", "2026-10-01T00:00:00-05:00"},
		{"Europe/Lisbon", "2026-03-27T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"Australia/Lord_Howe", "2026-10-02T00:00:00+10:30", "2026-10-03T17:01:00+10:30"},
		{"Australia/Lord_Howe", "2026-04-03T00:00:00+11:00", "2026-01-01T00:00:00Z"},
	} {
		from := parse(t, c.from)
		clinic := o.NewClinicIn(t, fmt.Sprintf("c%d", from.Unix()), c.zone)
		o.now = parse(t, c.now)
		// They work in the night in which clocks change, too.
		for _, practitioner := range clinic.Practitioners {
			o.Exec(t, `INSERT INTO working_hours (clinic_id, id, practitioner_id, weekday, from_minute, to_minute)
				VALUES ($1, gen_random_uuid(), $2, 6, 1290, 1440), ($1, gen_random_uuid(), $2, 7, 0, 95), ($1, gen_random_uuid(), $2, 7, 105, 200)`, clinic.ID, practitioner)
		}
		for n := range 24 {
			start := from.Add(time.Duration(n*317) * time.Minute)
			o.Exec(t, `INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at, status, overbooked)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, clinic.ID, models.NewID(), clinic.Contacts[0], clinic.Practitioners[n%2],
				start, start.Add(time.Duration(10+n*3)*time.Minute), models.AllAppointmentStatus[n%7], n%3 == 0)
		}
		day := from.AddDate(0, 0, 3)
		o.Exec(t, "INSERT INTO time_off (clinic_id, id, practitioner_id, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5)",
			clinic.ID, models.NewID(), clinic.Practitioners[1], day.Add(10*time.Hour), day.Add(40*time.Hour))
		o.Exec(t, `INSERT INTO slot_holds (clinic_id, id, practitioner_id, subject, starts_at, ends_at, expires_at) VALUES ($1, $2, $3, 'x', $4, $5, clock_timestamp() + interval '9 minutes')`,
			clinic.ID, models.NewID(), clinic.Practitioners[0], day.Add(1234*time.Minute), day.Add(1294*time.Minute))
		for service := range 2 {
			// From the middle of a working night to the middle of a working day.
			within := availability.Span{From: from, To: from.AddDate(0, 0, 6).Add(10*time.Hour + 17*time.Minute)}
			wanted := o.slotsBySQL(t, clinic, within, service)
			require.Greater(t, len(wanted), 40)
			ctx, counts := database.WithCounts(clinic.As(t.Context(), models.RoleReceptionist))
			got, err := o.diary.Availability(ctx, nil, clinic.Services[service], models.DateTimeRange{From: &within.From, To: &within.To})
			require.NoError(t, err)
			require.Equal(t, wanted, lines(got), "%s from %s, service %d", c.zone, c.from, service)
			require.EqualValues(t, 3, counts.Statements.Load())
		}
	}
}

func TestAvailability_OffersNothingThatCannotBeBooked(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.now = o.at(t, "10:07").Add(23 * time.Second)
	ctx := o.as(t, models.RoleReceptionist)
	o.book(t, o.at(t, "11:00"))
	monday := models.DateTimeRange{From: new(o.at(t, "00:00")), To: new(o.at(t, "00:00", 1))}
	offered, err := o.diary.Availability(ctx, o.here.Practitioners[:1], o.here.Services[0], monday)
	require.NoError(t, err)
	require.Equal(t, "Beatriz Mon 10:15-10:45", o.times(offered)[0], "on the clinic's grid, whatever the time is now")
	last := o.now
	for _, slot := range offered {
		if slot.StartsAt.Before(last) {
			continue // the one before takes its time
		}
		_, _, err := o.diary.Schedule(ctx, o.visit(slot.StartsAt))
		require.NoError(t, err)
		last = slot.EndsAt
	}
	left, err := o.diary.Availability(ctx, o.here.Practitioners[:1], o.here.Services[0], monday)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestAvailability_IsEmptyWhereNobodyIsThere(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	ctx := o.as(t, models.RoleReceptionist)
	monday := models.DateTimeRange{From: new(o.at(t, "00:00")), To: new(o.at(t, "00:00", 1))}
	o.Exec(t, "UPDATE practitioners SET active = false WHERE id = $1", o.here.Practitioners[1])
	for name, who := range map[string][]uuid.UUID{
		"none": {}, "unknown": {models.NewID()}, "foreign": {o.elsewhere.Practitioners[0]}, "inactive": {o.here.Practitioners[1]},
	} {
		offered, err := o.diary.Availability(ctx, who, o.here.Services[0], monday)
		require.NoError(t, err)
		require.Empty(t, offered, name)
		require.NotNil(t, offered)
	}
	past := models.DateTimeRange{From: new(o.at(t, "00:00", -7)), To: new(o.at(t, "00:00", -1))}
	offered, err := o.diary.Availability(ctx, nil, o.here.Services[0], past)
	require.NoError(t, err)
	require.Empty(t, offered)
	offered, err = o.diary.Availability(ctx, slices.Repeat(o.here.Practitioners, 30), o.here.Services[1], monday)
	require.NoError(t, err)
	require.Len(t, offered, 13+17, "the same practitioners thirty times are two, of whom one is inactive")
	o.Exec(t, "UPDATE services SET active = false WHERE id = $1", o.here.Services[0])
	offered, err = o.diary.Availability(ctx, nil, o.here.Services[0], monday)
	require.NoError(t, err)
	require.Empty(t, offered, "a service that is not offered")
}

func TestAvailability_RefusesWhatItCannotAnswer(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	ctx := o.as(t, models.RoleReceptionist)
	from, to := o.at(t, "00:00"), o.at(t, "00:00", 1)
	whole := models.DateTimeRange{From: &from, To: &to}
	many := make([]uuid.UUID, 51)
	for n := range many {
		many[n] = models.NewID()
	}
	for _, c := range []struct {
		name    string
		who     []uuid.UUID
		service uuid.UUID
		within  models.DateTimeRange
	}{
		{"no end", nil, o.here.Services[0], models.DateTimeRange{From: &from}},
		{"no start", nil, o.here.Services[0], models.DateTimeRange{To: &to}},
		{"ends before it begins", nil, o.here.Services[0], models.DateTimeRange{From: &to, To: &from}},
		{"too long", nil, o.here.Services[0], models.DateTimeRange{From: &from, To: new(o.at(t, "00:01", 31))}},
		{"too many practitioners", many, o.here.Services[0], whole},
		{"unknown service", nil, models.NewID(), whole},
		{"foreign service", nil, o.elsewhere.Services[0], whole},
	} {
		_, err := o.diary.Availability(ctx, c.who, c.service, c.within)
		badInput(t, err, c.name)
	}
	none, err := o.diary.Availability(ctx, nil, o.here.Services[0], models.DateTimeRange{From: &to, To: &to})
	require.NoError(t, err, "a range that ends as it begins")
	require.Empty(t, none)
	month := models.DateTimeRange{From: &from, To: new(o.at(t, "00:00", 31))}
	_, err = o.diary.Availability(ctx, nil, o.here.Services[0], month)
	require.NoError(t, err)
	o.Exec(t, "UPDATE clinics SET slot_grid_minutes = 1 WHERE id = $1", o.here.ID)
	_, err = o.diary.Availability(ctx, nil, o.here.Services[0], month)
	badInput(t, err, "more slots than anyone reads")
	require.ErrorContains(t, err, "until 2026-1", "it says how far they go")
	o.Exec(t, "UPDATE clinics SET slot_grid_minutes = 15 WHERE id = $1", o.here.ID)
	o.Exec(t, "INSERT INTO practitioners (clinic_id, id, name) SELECT $1, gen_random_uuid(), 'Dr. ' || n FROM generate_series(1, 49) n", o.here.ID)
	_, err = o.diary.Availability(ctx, nil, o.here.Services[1], whole)
	require.NoError(t, err, "they do not offer it")
	o.Exec(t, "INSERT INTO practitioner_services (clinic_id, practitioner_id, service_id) SELECT $1, id, $2 FROM practitioners WHERE clinic_id = $1 ON CONFLICT DO NOTHING", o.here.ID, o.here.Services[1])
	_, err = o.diary.Availability(ctx, nil, o.here.Services[1], whole)
	badInput(t, err, "a clinic of 51 practitioners")
}

// A month in which the clocks are put back has an hour more.
func TestAvailability_MeasuresTheRangeInDaysOfTheClinic(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	york := o.NewClinicIn(t, "york", "America/New_York")
	from, to := parse(t, "2026-10-15T00:00:00-04:00"), parse(t, "2026-11-15T00:00:00-05:00")
	_, err := o.diary.Availability(york.As(t.Context(), models.RoleOwner), nil, york.Services[1], models.DateTimeRange{From: &from, To: &to})
	require.NoError(t, err)
	_, err = o.diary.Availability(o.as(t, models.RoleOwner), nil, o.here.Services[1], models.DateTimeRange{From: &from, To: &to})
	badInput(t, err, "where the clocks stay it is an hour too long")
}

func TestHours_AreReadForManyPractitionersAtOnce(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	off := func(from, to time.Time, reason string) {
		o.Exec(t, "INSERT INTO time_off (clinic_id, id, practitioner_id, starts_at, ends_at, reason) VALUES ($1, $2, $3, $4, $5, $6)",
			o.here.ID, models.NewID(), o.here.Practitioners[1], from, to, reason)
	}
	off(o.at(t, "00:00", 2), o.at(t, "00:00", 3), "congress")
	off(o.at(t, "00:00", -9), o.at(t, "00:01"), "holidays")
	off(o.at(t, "00:00", -9), o.at(t, "00:00"), "over")
	off(o.at(t, "00:00", 7), o.at(t, "00:00", 8), "later")
	ctx, counts := database.WithCounts(o.as(t, models.RoleReceptionist))
	who := append([]uuid.UUID{o.elsewhere.Practitioners[0]}, o.here.Practitioners...)
	const document = `query ($ids: [ID!]!, $range: DateTimeRange!) { nodes(ids: $ids) { ... on Practitioner {
		workingHours { weekday fromMinute toMinute } timeOff(range: $range) { startsAt reason } } } }`
	ask := func(within models.DateTimeRange, into any) error {
		return o.graph.Try(t, ctx, document, map[string]any{"ids": graph.Globals(models.KindPractitioner, who), "range": within}, into)
	}
	var got struct {
		Nodes []*struct {
			WorkingHours []struct {
				Weekday              models.Weekday
				FromMinute, ToMinute int
			}
			TimeOff []struct{ Reason string }
		}
	}
	week := models.DateTimeRange{From: new(o.at(t, "00:00")), To: new(o.at(t, "00:00", 7))}
	require.NoError(t, ask(week, &got))
	require.EqualValues(t, 3, counts.Statements.Load(), "the practitioners, their hours, their absences")
	require.EqualValues(t, 2, counts.RoundTrips.Load())
	require.Len(t, got.Nodes, 3)
	require.Nil(t, got.Nodes[0], "another clinic's")
	hours := got.Nodes[1].WorkingHours
	require.Len(t, got.Nodes[2].WorkingHours, 10)
	require.Len(t, hours, 10)
	require.Equal(t, models.WeekdayMonday, hours[0].Weekday)
	require.Equal(t, 480, hours[0].FromMinute)
	require.Equal(t, 720, hours[0].ToMinute)
	require.Equal(t, 780, hours[1].FromMinute)
	require.Equal(t, models.WeekdayFriday, hours[9].Weekday)

	require.NotNil(t, got.Nodes[1].TimeOff)
	require.Empty(t, got.Nodes[1].TimeOff)
	require.Len(t, got.Nodes[2].TimeOff, 2)
	require.Equal(t, "holidays", got.Nodes[2].TimeOff[0].Reason)
	require.Equal(t, "congress", got.Nodes[2].TimeOff[1].Reason)

	for name, within := range map[string]models.DateTimeRange{
		"no end": {From: &o.now}, "backwards": {From: week.To, To: week.From}, "too long": {From: week.From, To: new(week.From.AddDate(0, 0, 367))},
	} {
		badInput(t, ask(within, nil), name)
	}
	got.Nodes = nil
	require.NoError(t, ask(models.DateTimeRange{From: week.From, To: week.From}, &got))
	require.Empty(t, got.Nodes[2].TimeOff, "nothing is in a range that ends where it begins")
}
