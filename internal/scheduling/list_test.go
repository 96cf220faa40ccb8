package scheduling_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/graph"
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

// walk reads a whole list by pages of a size, forwards or backwards.
func (o *office) walk(t *testing.T, args map[string]any, size int, backwards bool) (ids []uuid.UUID) {
	t.Helper()
	ctx := o.as(t, models.RoleReceptionist)
	args = maps.Clone(args)
	for {
		if backwards {
			args["last"] = size
		} else {
			args["first"] = size
		}
		page, err := o.graph.Page(t, ctx, "appointments", args)
		require.NoError(t, err)
		require.Len(t, page.Edges, len(page.Nodes))
		if len(page.Nodes) == 0 {
			return ids
		}
		require.Equal(t, page.Edges[0].Cursor, *page.PageInfo.StartCursor)
		require.Equal(t, page.Edges[len(page.Edges)-1].Cursor, *page.PageInfo.EndCursor)
		if backwards {
			ids = append(page.IDs(), ids...)
			args["before"] = page.PageInfo.StartCursor
		} else {
			ids = append(ids, page.IDs()...)
			args["after"] = page.PageInfo.EndCursor
		}
		if more := (backwards && page.PageInfo.HasPreviousPage) || (!backwards && page.PageInfo.HasNextPage); !more {
			require.Len(t, ids, page.TotalCount)
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
	practitioner, contact := func(n int) string { return models.KindPractitioner.Global(o.here.Practitioners[n]) }, func(n int) string {
		return models.KindContact.Global(o.here.Contacts[n])
	}
	for _, c := range []struct {
		name            string
		filter, orderBy map[string]any
		sql             string
		args            []any
	}{
		{"all", nil, nil, "TRUE ORDER BY starts_at, id", nil},
		{"a day", map[string]any{"range": between(o.at(t, "00:00"), o.at(t, "00:00", 1))}, nil, "scheduled_date = '2026-11-23' ORDER BY starts_at, id", nil},
		{
			// One begins with the range, which is in, and one at its end, which is not.
			"an hour",
			map[string]any{"range": between(o.at(t, "09:00"), o.at(t, "10:00"))},
			nil,
			"starts_at >= '2026-11-23T12:00:00Z' AND starts_at < '2026-11-23T13:00:00Z' ORDER BY starts_at, id", nil,
		},
		{
			"from now on, latest first",
			map[string]any{"range": map[string]any{"from": o.now}},
			order("STARTS_AT", "DESC"),
			"starts_at >= $2 ORDER BY starts_at DESC, id DESC",
			[]any{o.now},
		},
		{"until now", map[string]any{"range": map[string]any{"to": o.now}}, nil, "starts_at < $2 ORDER BY starts_at, id", []any{o.now}},
		{"a practitioner's", map[string]any{"practitionerId": practitioner(1)}, nil, "practitioner_id = $2 ORDER BY starts_at, id", []any{o.here.Practitioners[1]}},
		{
			"a contact's, as booked",
			map[string]any{"contactId": contact(1)},
			order("CREATED_AT", "ASC"),
			"contact_id = $2 ORDER BY created_at, id",
			[]any{o.here.Contacts[1]},
		},
		{"last booked first", nil, order("CREATED_AT", "DESC"), "TRUE ORDER BY created_at DESC, id DESC", nil},
		{
			"by status",
			map[string]any{"status": statuses(models.AppointmentStatusCancelled, models.AppointmentStatusInProgress)},
			nil,
			"status IN ('cancelado', 'em_atendimento') ORDER BY starts_at, id", nil,
		},
		{
			"by one status, last booked first",
			map[string]any{"status": statuses(models.AppointmentStatusCancelled)},
			order("CREATED_AT", "DESC"),
			"status = 'cancelado' ORDER BY created_at DESC, id DESC", nil,
		},
		{
			"by a status that is named again and again",
			map[string]any{"status": statuses(models.AppointmentStatusNoShow, models.AppointmentStatusCompleted, models.AppointmentStatusNoShow, models.AppointmentStatusNoShow)},
			nil,
			"status IN ('faltou', 'concluido') ORDER BY starts_at, id", nil,
		},
		{
			"all conditions",
			map[string]any{
				"range": between(o.at(t, "00:00", -20), o.at(t, "00:00", 20)), "practitionerId": practitioner(0), "contactId": contact(2),
				"status": statuses(models.AppointmentStatusScheduled, models.AppointmentStatusConfirmed),
			},
			nil,
			"scheduled_date BETWEEN '2026-11-03' AND '2026-12-12' AND practitioner_id = $2 AND contact_id = $3 AND status IN ('agendado', 'confirmado') ORDER BY starts_at, id",
			[]any{o.here.Practitioners[0], o.here.Contacts[2]},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			wanted := o.bySQL(t, "SELECT id FROM appointments WHERE clinic_id = $1 AND "+c.sql, c.args...)
			require.NotEmpty(t, wanted)
			args := map[string]any{}
			if c.filter != nil {
				args["filter"] = c.filter
			}
			if c.orderBy != nil {
				args["orderBy"] = c.orderBy
			}
			for _, size := range []int{1 + len(wanted)/7, 100} {
				require.Equal(t, wanted, o.walk(t, args, size, false), "forwards by %d", size)
				require.Equal(t, wanted, o.walk(t, args, size, true), "backwards by %d", size)
			}
		})
	}
	for name, filter := range map[string]map[string]any{
		"no status":     {"status": statuses()},
		"an empty time": {"range": between(o.at(t, "09:00"), o.at(t, "09:00"))},
	} {
		page, err := o.graph.Page(t, o.as(t, models.RoleReceptionist), "appointments", map[string]any{"filter": filter})
		require.NoError(t, err, name)
		require.Empty(t, page.Nodes, name)
		require.Zero(t, page.TotalCount, name)
	}
}

func between(from, to time.Time) map[string]any { return map[string]any{"from": from, "to": to} }

func statuses(of ...models.AppointmentStatus) any {
	return graph.Enums(append([]models.AppointmentStatus{}, of...))
}

func order(field, direction graph.Enum) map[string]any {
	return map[string]any{"field": field, "direction": direction}
}

func TestAppointments_ReadsWhatWasAskedForAndNoMore(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	booked := o.book(t, o.at(t, "09:00"))
	ctx, counts := database.WithCounts(o.as(t, models.RoleReceptionist))
	trace := &columnsRead{}
	db, err := database.Open(t.Context(), database.Config{URL: o.AppURL, MaxConns: 1, Tracer: trace})
	require.NoError(t, err)
	defer db.Close()
	g := graph.New(t, db, o.Cursors, time.Now)
	g.Must(t, ctx, "{ appointments { nodes { status contact { __typename } } } }", nil, nil)
	require.EqualValues(t, 1, counts.Statements.Load(), "the appointments, and beside them whether their contacts are there")
	require.Equal(t, []string{"id", "contact_id", "starts_at", "status"}, trace.of("appointments"))
	require.Equal(t, []string{"id"}, trace.of("contacts"))

	var got struct {
		Nodes []*struct {
			ID, StartsAt, EndsAt, CreatedAt, UpdatedAt string
			Status                                     models.AppointmentStatus
			Version                                    int
			Service, Practitioner, Contact             struct{ ID string }
		}
	}
	g.Must(t, ctx, `query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Appointment {
		startsAt endsAt createdAt updatedAt status version service { id } practitioner { id } contact { id } } } }`,
		map[string]any{"ids": graph.Globals(models.KindAppointment, []uuid.UUID{booked.ID, models.NewID()})}, &got)
	require.Len(t, got.Nodes, 2)
	require.Nil(t, got.Nodes[1])
	whole := got.Nodes[0]
	for text, wanted := range map[string]time.Time{
		whole.StartsAt: booked.StartsAt, whole.EndsAt: booked.EndsAt, whole.CreatedAt: booked.CreatedAt, whole.UpdatedAt: booked.UpdatedAt,
	} {
		require.True(t, parse(t, text).Equal(wanted), "%s: %s", text, wanted)
	}
	require.Equal(t, booked.Status, whole.Status)
	require.Equal(t, booked.Version, whole.Version)
	require.Equal(t, *booked.ServiceID, graph.IDOf(whole.Service.ID))
	require.Equal(t, booked.PractitionerID, graph.IDOf(whole.Practitioner.ID))
	require.Equal(t, booked.ContactID, graph.IDOf(whole.Contact.ID))
}

// columnsRead notes which columns statements read, by the table.
type columnsRead struct{ seen map[string][]string }

var selects = regexp.MustCompile("(?:^|\\()SELECT ([^()]*?) FROM \"?([a-z_]+)\"?")

// TraceQueryStart implements pgx.QueryTracer.
func (c *columnsRead) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	for _, found := range selects.FindAllStringSubmatch(data.SQL, -1) {
		if c.seen == nil {
			c.seen = map[string][]string{}
		}
		for column := range strings.SplitSeq(strings.ReplaceAll(found[1], `"`, ""), ",") {
			c.seen[found[2]] = append(c.seen[found[2]], strings.TrimSpace(column))
		}
	}
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*columnsRead) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *columnsRead) of(table string) []string { return c.seen[table] }

func TestAppointmentsOfParents_AreThoseOfSQLByHand(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.fill(t)
	nobody, foreign := models.NewID(), o.elsewhere.Contacts[0]
	contacts := append([]uuid.UUID{nobody, foreign}, o.here.Contacts...)
	args := map[string]any{
		"range": map[string]any{"from": o.at(t, "00:00", -10)}, "first": 7,
		"status": statuses(models.AppointmentStatusScheduled, models.AppointmentStatusCompleted, models.AppointmentStatusNoShow),
	}
	const conditions = "clinic_id = $1 AND starts_at >= $3 AND status IN ('agendado', 'concluido', 'faltou')"
	ctx, counts := database.WithCounts(o.as(t, models.RoleReceptionist))
	// A contact that is asked for twice is none that has everything twice.
	pages, err := o.graph.PagesOf(t, ctx, models.KindContact, append(contacts, contacts[2]), "appointments", args)
	require.NoError(t, err)
	require.EqualValues(t, 3, counts.Statements.Load(), "one for the contacts, one for all pages, one for all counts")
	require.EqualValues(t, 2, counts.RoundTrips.Load())
	require.Len(t, pages, len(o.here.Contacts))
	for _, contact := range o.here.Contacts {
		require.Equal(t, o.bySQL(t, "SELECT id FROM appointments WHERE contact_id = $2 AND "+conditions+" ORDER BY starts_at DESC, id DESC LIMIT 7",
			contact, o.at(t, "00:00", -10)), pages[contact].IDs())
		require.Equal(t, o.Count(t, "SELECT count(*) FROM appointments WHERE contact_id = $2 AND "+conditions, o.here.ID, contact, o.at(t, "00:00", -10)), pages[contact].TotalCount)
	}
	require.Len(t, pages[o.here.Contacts[0]].Nodes, 7)

	week := between(o.at(t, "00:00"), o.at(t, "00:00", 7))
	counts.Statements.Store(0)
	var got struct {
		Nodes []struct {
			ID   string
			List graph.Page
		}
	}
	o.graph.Must(t, ctx, `query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Practitioner { list: appointments`+
		graph.Args(map[string]any{"range": week, "last": 5})+` { nodes { id } } } } }`,
		map[string]any{"ids": graph.Globals(models.KindPractitioner, o.here.Practitioners)}, &got)
	require.EqualValues(t, 2, counts.Statements.Load())
	for i, practitioner := range o.here.Practitioners {
		require.Equal(t, o.bySQL(t, `SELECT id FROM (SELECT id, starts_at FROM appointments WHERE clinic_id = $1 AND practitioner_id = $2
			AND scheduled_date BETWEEN '2026-11-23' AND '2026-11-29' ORDER BY starts_at DESC, id DESC LIMIT 5) AS last ORDER BY starts_at, id`, practitioner), got.Nodes[i].List.IDs())
	}
}

func TestNextAndLastAppointments_AreThoseOfSQLByHand(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.fill(t)
	ctx, counts := database.WithCounts(o.as(t, models.RoleReceptionist))
	for day := -31; day <= 31; day += 3 {
		o.now = o.at(t, "10:00", day)
		counts.Statements.Store(0)
		var got struct {
			Nodes []*struct {
				ID         string
				Next, Last *struct{ ID string }
			}
		}
		o.graph.Must(t, ctx, "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Contact { next: nextAppointment { id } last: lastAppointment { id } } } }",
			map[string]any{"ids": graph.Globals(models.KindContact, append([]uuid.UUID{models.NewID(), o.elsewhere.Contacts[0]}, o.here.Contacts...))}, &got)
		require.EqualValues(t, 3, counts.Statements.Load(), "the contacts, and one statement each")
		require.Nil(t, got.Nodes[0])
		require.Nil(t, got.Nodes[1])
		for i, contact := range o.here.Contacts {
			require.Equal(t, o.bySQL(t, `SELECT id FROM appointments WHERE clinic_id = $1 AND contact_id = $2 AND starts_at >= $3
				AND status IN ('agendado', 'confirmado', 'recepcionado', 'em_atendimento') ORDER BY starts_at, id LIMIT 1`, contact, o.now), idOf(got.Nodes[2+i].Next))
			require.Equal(t, o.bySQL(t, `SELECT id FROM appointments WHERE clinic_id = $1 AND contact_id = $2 AND starts_at < $3
				AND status NOT IN ('cancelado', 'faltou') ORDER BY starts_at DESC, id DESC LIMIT 1`, contact, o.now), idOf(got.Nodes[2+i].Last))
		}
	}
}

func idOf(appointment *struct{ ID string }) []uuid.UUID {
	if appointment == nil {
		return []uuid.UUID{}
	}
	return []uuid.UUID{graph.IDOf(appointment.ID)}
}

func TestAppointments_RefuseWhatTheyCannotUnderstand(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.fill(t)
	ctx := o.as(t, models.RoleReceptionist)
	page, err := o.graph.Page(t, ctx, "appointments", nil)
	require.NoError(t, err)
	cursor := page.Edges[0].Cursor
	ofContact, err := o.graph.PagesOf(t, ctx, models.KindContact, o.here.Contacts, "appointments", nil)
	require.NoError(t, err)
	other := ofContact[o.here.Contacts[0]].Edges[0].Cursor
	for name, args := range map[string]map[string]any{
		"first: 0":                {"first": 0},
		"first: 101":              {"first": 101},
		"first and last":          {"first": 1, "last": 1},
		"no cursor":               {"after": "x"},
		"another list's cursor":   {"after": other},
		"another order's cursor":  {"after": cursor, "orderBy": order("CREATED_AT", "ASC")},
		"the other way's cursor":  {"after": cursor, "orderBy": order("STARTS_AT", "DESC")},
		"an end before its start": {"filter": map[string]any{"range": between(o.now, o.now.Add(-time.Minute))}},
		"no contact's id":         {"filter": map[string]any{"contactId": models.KindPractitioner.Global(o.here.Contacts[0])}},
	} {
		_, err := o.graph.Page(t, ctx, "appointments", args)
		badInput(t, err, name)
	}
	_, err = o.graph.Page(t, ctx, "appointments", map[string]any{"after": cursor})
	require.NoError(t, err)
	_, err = o.graph.Page(t, ctx, "appointments", map[string]any{"after": cursor, "last": 3})
	require.NoError(t, err, "the same list backwards")
	from, to := parse(t, "0001-01-02T00:00:00Z"), parse(t, "9999-12-30T23:59:59Z")
	_, err = o.graph.Page(t, ctx, "appointments", map[string]any{"filter": map[string]any{"range": between(from, to)}})
	require.NoError(t, err, "all of time")
	_, err = o.graph.Page(t, o.elsewhere.As(t.Context(), models.RoleOwner), "appointments", map[string]any{"after": cursor})
	badInput(t, err, "another clinic's cursor")
	page, err = o.graph.Page(t, ctx, "appointments", map[string]any{"filter": map[string]any{"contactId": models.KindContact.Global(o.elsewhere.Contacts[0])}})
	require.NoError(t, err)
	require.Empty(t, page.Nodes)
}

func badInput(t *testing.T, err error, of string) {
	t.Helper()
	var known *models.Error
	require.ErrorAs(t, err, &known, of)
	require.Equal(t, models.BadUserInput, known.Code, of)
}
