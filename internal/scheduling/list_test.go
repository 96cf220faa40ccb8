package scheduling_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// fill books two months around now in both clinics, the same numbers in every
// run: of every status, many at the same moment, some overbooked.
func (o *office) fill(t *testing.T) {
	t.Helper()
	dice := rand.New(rand.NewPCG(1, 2))
	var batch pgx.Batch
	for _, clinic := range []*testkit.Clinic{o.here, o.elsewhere} {
		for n := range 400 {
			start := o.at(t, "08:00", dice.IntN(60)-30).Add(time.Duration(dice.IntN(20)) * 30 * time.Minute)
			batch.Queue(`INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, service_id, starts_at, ends_at, status, overbooked, notes)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, true, $9)`,
				clinic.ID, models.NewID(), clinic.Contacts[dice.IntN(len(clinic.Contacts))], clinic.Practitioners[dice.IntN(len(clinic.Practitioners))],
				clinic.Services[0], start, start.Add(30*time.Minute), models.AllAppointmentStatus[dice.IntN(len(models.AllAppointmentStatus))], fmt.Sprint(n))
		}
	}
	require.NoError(t, o.sql.SendBatch(t.Context(), &batch).Close())
}

// bySQL gives the ids that a statement written by hand answers with; $1 is the clinic.
func (o *office) bySQL(t *testing.T, sql string, args ...any) []uuid.UUID {
	t.Helper()
	rows, err := o.sql.Query(t.Context(), sql, append([]any{o.here.ID}, args...)...)
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(t, err)
	return ids
}

func idsOf(page *paging.Page[models.Appointment]) []uuid.UUID {
	ids := []uuid.UUID{}
	for _, item := range page.Items {
		ids = append(ids, item.ID)
	}
	return ids
}

func everything() selection.Set {
	var fields []selection.Field
	for _, name := range []string{
		"id", "contact", "practitioner", "service", "startsAt", "endsAt", "status", "cancellationReason", "notes",
		"overbooked", "externalReference", "version", "createdAt", "updatedAt", "medicalRecords", "__typename",
	} {
		fields = append(fields, selection.Field{Name: name, Key: name})
	}
	return selection.Of(fields...)
}

// walk reads a whole list by pages of a size, forwards or backwards.
func (o *office) walk(t *testing.T, query scheduling.AppointmentQuery, size int, backwards bool) (ids []uuid.UUID) {
	t.Helper()
	ctx := o.as(t, models.RoleReceptionist)
	query.Count = true
	for {
		if backwards {
			query.Request.Last = &size
		} else {
			query.Request.First = &size
		}
		page, err := o.diary.Appointments(ctx, query, selection.Of())
		require.NoError(t, err)
		if len(page.Items) == 0 {
			return ids
		}
		if backwards {
			ids = append(idsOf(page), ids...)
			query.Request.Before = new(page.Cursor(page.Items[0]))
		} else {
			ids = append(ids, idsOf(page)...)
			query.Request.After = new(page.Cursor(page.Items[len(page.Items)-1]))
		}
		if more := (backwards && page.HasPrevious) || (!backwards && page.HasNext); !more {
			require.Len(t, ids, page.Total)
			return ids
		}
	}
}

func TestAppointments_AreThoseOfSQLByHand(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.fill(t)
	o.Appointment(t, o.here, 0, 0, o.at(t, "09:00"), time.Hour)
	o.Appointment(t, o.here, 0, 0, o.at(t, "10:00"), time.Hour)
	monday := models.DateTimeRange{From: new(o.at(t, "00:00")), To: new(o.at(t, "00:00", 1))}
	for _, c := range []struct {
		name  string
		query scheduling.AppointmentQuery
		sql   string
		args  []any
	}{
		{"all", scheduling.AppointmentQuery{}, "TRUE ORDER BY starts_at, id", nil},
		{"a day", scheduling.AppointmentQuery{Range: &monday}, "scheduled_date = '2026-11-23' ORDER BY starts_at, id", nil},
		{
			// One begins with the range, which is in, and one at its end, which is not.
			"an hour",
			scheduling.AppointmentQuery{Range: &models.DateTimeRange{From: new(o.at(t, "09:00")), To: new(o.at(t, "10:00"))}},
			"starts_at >= '2026-11-23T12:00:00Z' AND starts_at < '2026-11-23T13:00:00Z' ORDER BY starts_at, id", nil,
		},
		{
			"from now on, latest first",
			scheduling.AppointmentQuery{Range: &models.DateTimeRange{From: &o.now}, Order: order(models.AppointmentOrderFieldStartsAt, models.SortDirectionDesc)},
			"starts_at >= $2 ORDER BY starts_at DESC, id DESC",
			[]any{o.now},
		},
		{"until now", scheduling.AppointmentQuery{Range: &models.DateTimeRange{To: &o.now}}, "starts_at < $2 ORDER BY starts_at, id", []any{o.now}},
		{"a practitioner's", scheduling.AppointmentQuery{PractitionerID: &o.here.Practitioners[1]}, "practitioner_id = $2 ORDER BY starts_at, id", []any{o.here.Practitioners[1]}},
		{
			"a contact's, as booked",
			scheduling.AppointmentQuery{ContactID: &o.here.Contacts[1], Order: order(models.AppointmentOrderFieldCreatedAt, models.SortDirectionAsc)},
			"contact_id = $2 ORDER BY created_at, id",
			[]any{o.here.Contacts[1]},
		},
		{
			"last booked first",
			scheduling.AppointmentQuery{Order: order(models.AppointmentOrderFieldCreatedAt, models.SortDirectionDesc)},
			"TRUE ORDER BY created_at DESC, id DESC", nil,
		},
		{
			"by status",
			scheduling.AppointmentQuery{Status: []models.AppointmentStatus{models.AppointmentStatusCancelled, models.AppointmentStatusInProgress}},
			"status IN ('cancelado', 'em_atendimento') ORDER BY starts_at, id", nil,
		},
		{
			"all conditions",
			scheduling.AppointmentQuery{
				Range: &models.DateTimeRange{From: new(o.at(t, "00:00", -20)), To: new(o.at(t, "00:00", 20))}, PractitionerID: &o.here.Practitioners[0],
				ContactID: &o.here.Contacts[2], Status: []models.AppointmentStatus{models.AppointmentStatusScheduled, models.AppointmentStatusConfirmed},
			},
			"scheduled_date BETWEEN '2026-11-03' AND '2026-12-12' AND practitioner_id = $2 AND contact_id = $3 AND status IN ('agendado', 'confirmado') ORDER BY starts_at, id",
			[]any{o.here.Practitioners[0], o.here.Contacts[2]},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			wanted := o.bySQL(t, "SELECT id FROM appointments WHERE clinic_id = $1 AND "+c.sql, c.args...)
			require.NotEmpty(t, wanted)
			for _, size := range []int{1 + len(wanted)/7, 100} {
				require.Equal(t, wanted, o.walk(t, c.query, size, false), "forwards by %d", size)
				require.Equal(t, wanted, o.walk(t, c.query, size, true), "backwards by %d", size)
			}
		})
	}
}

func order(field models.AppointmentOrderField, direction models.SortDirection) *models.AppointmentOrder {
	return &models.AppointmentOrder{Field: field, Direction: direction}
}

func TestAppointments_ReadsWhatWasAskedForAndNoMore(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	booked := o.book(t, o.at(t, "09:00"))
	ctx, statements := database.WithStatementCount(o.as(t, models.RoleReceptionist))
	page, err := o.diary.Appointments(ctx, scheduling.AppointmentQuery{}, selection.Of(selection.Field{Name: "status"}, selection.Field{Name: "contact"}))
	require.NoError(t, err)
	require.EqualValues(t, 1, statements.Load())
	require.Equal(t, &models.Appointment{
		ID: booked.ID, ContactID: booked.ContactID, Status: booked.Status, StartsAt: page.Items[0].StartsAt,
	}, page.Items[0])

	found, err := o.diary.AppointmentsByID(ctx, []uuid.UUID{booked.ID, models.NewID()}, everything())
	require.NoError(t, err)
	require.Len(t, found, 1)
	whole := found[booked.ID]
	require.True(t, whole.CreatedAt.Equal(booked.CreatedAt) && whole.UpdatedAt.Equal(booked.UpdatedAt) && whole.EndsAt.Equal(booked.EndsAt))
	require.Equal(t, booked.Version, whole.Version)
	require.Equal(t, booked.ServiceID, whole.ServiceID)
	require.Equal(t, booked.PractitionerID, whole.PractitionerID)
}

func TestAppointmentsOfParents_AreThoseOfSQLByHand(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.fill(t)
	contacts := append([]uuid.UUID{models.NewID(), o.elsewhere.Contacts[0]}, o.here.Contacts...)
	query := scheduling.AppointmentQuery{
		Range: &models.DateTimeRange{From: new(o.at(t, "00:00", -10))}, Request: paging.Request{First: new(7)}, Count: true,
		Status: []models.AppointmentStatus{models.AppointmentStatusScheduled, models.AppointmentStatusCompleted, models.AppointmentStatusNoShow},
	}
	const conditions = "clinic_id = $1 AND starts_at >= $3 AND status IN ('agendado', 'concluido', 'faltou')"
	ctx, statements := database.WithStatementCount(o.as(t, models.RoleReceptionist))
	// A contact that is asked for twice is none that has everything twice.
	pages, err := o.diary.AppointmentsOfContacts(ctx, append(contacts, contacts[2]), query, everything())
	require.NoError(t, err)
	require.EqualValues(t, 2, statements.Load(), "one for all pages, one for all counts")
	require.Len(t, pages, len(contacts))
	for _, contact := range contacts {
		require.Equal(t, o.bySQL(t, "SELECT id FROM appointments WHERE contact_id = $2 AND "+conditions+" ORDER BY starts_at DESC, id DESC LIMIT 7",
			contact, o.at(t, "00:00", -10)), idsOf(pages[contact]))
		require.Equal(t, o.Count(t, "SELECT count(*) FROM appointments WHERE contact_id = $2 AND "+conditions, o.here.ID, contact, o.at(t, "00:00", -10)), pages[contact].Total)
	}
	require.Empty(t, pages[o.elsewhere.Contacts[0]].Items)
	require.Len(t, pages[o.here.Contacts[0]].Items, 7)

	query.Count = false
	week := models.DateTimeRange{From: new(o.at(t, "00:00")), To: new(o.at(t, "00:00", 7))}
	query.Range, query.Status, query.Request = &week, nil, paging.Request{Last: new(5)}
	statements.Store(0)
	pages, err = o.diary.AppointmentsOfPractitioners(ctx, o.here.Practitioners, query, everything())
	require.NoError(t, err)
	require.EqualValues(t, 1, statements.Load())
	for _, practitioner := range o.here.Practitioners {
		require.Equal(t, o.bySQL(t, `SELECT id FROM (SELECT id, starts_at FROM appointments WHERE clinic_id = $1 AND practitioner_id = $2
			AND scheduled_date BETWEEN '2026-11-23' AND '2026-11-29' ORDER BY starts_at DESC, id DESC LIMIT 5) AS last ORDER BY starts_at, id`, practitioner), idsOf(pages[practitioner]))
	}
}

func TestNextAndLastAppointments_AreThoseOfSQLByHand(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.fill(t)
	ctx, statements := database.WithStatementCount(o.as(t, models.RoleReceptionist))
	contacts := append([]uuid.UUID{models.NewID(), o.elsewhere.Contacts[0]}, o.here.Contacts...)
	for day := -31; day <= 31; day += 3 {
		o.now = o.at(t, "10:00", day)
		statements.Store(0)
		next, err := o.diary.NextAppointments(ctx, contacts, everything())
		require.NoError(t, err)
		last, err := o.diary.LastAppointments(ctx, contacts, selection.Of())
		require.NoError(t, err)
		require.EqualValues(t, 2, statements.Load(), "one statement each")
		for _, contact := range contacts {
			require.Equal(t, o.bySQL(t, `SELECT id FROM appointments WHERE clinic_id = $1 AND contact_id = $2 AND starts_at >= $3
				AND status IN ('agendado', 'confirmado', 'recepcionado', 'em_atendimento') ORDER BY starts_at, id LIMIT 1`, contact, o.now), idOf(next[contact]))
			require.Equal(t, o.bySQL(t, `SELECT id FROM appointments WHERE clinic_id = $1 AND contact_id = $2 AND starts_at < $3
				AND status NOT IN ('cancelado', 'faltou') ORDER BY starts_at DESC, id DESC LIMIT 1`, contact, o.now), idOf(last[contact]))
		}
	}
}

func idOf(appointment *models.Appointment) []uuid.UUID {
	if appointment == nil {
		return []uuid.UUID{}
	}
	return []uuid.UUID{appointment.ID}
}

func TestAppointments_RefuseWhatTheyCannotUnderstand(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.fill(t)
	ctx := o.as(t, models.RoleReceptionist)
	page, err := o.diary.Appointments(ctx, scheduling.AppointmentQuery{}, selection.Of())
	require.NoError(t, err)
	cursor := page.Cursor(page.Items[0])
	ofContact, err := o.diary.AppointmentsOfContacts(ctx, o.here.Contacts, scheduling.AppointmentQuery{}, selection.Of())
	require.NoError(t, err)
	other := ofContact[o.here.Contacts[0]].Cursor(page.Items[0])
	for name, query := range map[string]scheduling.AppointmentQuery{
		"first: 0":                {Request: paging.Request{First: new(0)}},
		"first: 101":              {Request: paging.Request{First: new(101)}},
		"first and last":          {Request: paging.Request{First: new(1), Last: new(1)}},
		"no cursor":               {Request: paging.Request{After: new("x")}},
		"another list's cursor":   {Request: paging.Request{After: &other}},
		"another order's cursor":  {Request: paging.Request{After: &cursor}, Order: order(models.AppointmentOrderFieldCreatedAt, models.SortDirectionAsc)},
		"the other way's cursor":  {Request: paging.Request{After: &cursor}, Order: order(models.AppointmentOrderFieldStartsAt, models.SortDirectionDesc)},
		"an end before its start": {Range: &models.DateTimeRange{From: &o.now, To: new(o.now.Add(-time.Minute))}},
	} {
		_, err := o.diary.Appointments(ctx, query, selection.Of())
		badInput(t, err, name)
	}
	_, err = o.diary.Appointments(ctx, scheduling.AppointmentQuery{Request: paging.Request{After: &cursor}}, selection.Of())
	require.NoError(t, err)
	from, to := parse(t, "0001-01-02T00:00:00Z"), parse(t, "9999-12-30T23:59:59Z")
	_, err = o.diary.Appointments(ctx, scheduling.AppointmentQuery{Range: &models.DateTimeRange{From: &from, To: &to}}, selection.Of())
	require.NoError(t, err, "all of time")
	_, err = o.diary.Appointments(o.elsewhere.As(t.Context(), models.RoleOwner), scheduling.AppointmentQuery{Request: paging.Request{After: &cursor}}, selection.Of())
	badInput(t, err, "another clinic's cursor")
	page, err = o.diary.Appointments(ctx, scheduling.AppointmentQuery{ContactID: &o.elsewhere.Contacts[0]}, selection.Of())
	require.NoError(t, err)
	require.Empty(t, page.Items)
}

func badInput(t *testing.T, err error, of string) {
	t.Helper()
	var known *models.Error
	require.ErrorAs(t, err, &known, of)
	require.Equal(t, models.BadUserInput, known.Code, of)
}
