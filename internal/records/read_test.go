package records_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/graph"
	"github.com/taskmed/taskmed/models"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// ward is two clinics, and a practitioner of the first at work.
type ward struct {
	*testkit.Database
	here, there *testkit.Clinic
	chart       *records.Chart
	graph       *graph.Graph
	t           *testing.T
}

// noon is when everything is signed; the nanoseconds are more than Postgres keeps.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.UTC) //nolint:gochecknoglobals // a constant in all but Go's terms

func newWard(t *testing.T) *ward {
	t.Helper()
	d := testkit.NewDatabase(t)
	w := &ward{t: t, Database: d, here: d.NewClinic(t, "here"), there: d.NewClinic(t, "there")}
	clock := func() time.Time { return noon }
	// The practitioner of the tests is the first one of either clinic.
	for _, clinic := range []*testkit.Clinic{w.here, w.there} {
		d.Exec(t, "UPDATE practitioners SET member_id = (SELECT id FROM memberships WHERE clinic_id = $1 AND role = 'practitioner') WHERE id = $2",
			clinic.ID, clinic.Practitioners[0])
	}
	w.chart, w.graph = records.New(d.DB, clock), graph.New(t, d.DB, d.Cursors, clock)
	return w
}

// ctx is a practitioner of here at work.
func (w *ward) ctx() context.Context { return w.here.As(w.t.Context(), models.RolePractitioner) }

// draft is the input of a record of a contact of here.
func (w *ward) draft(contact int) models.CreateMedicalRecordInput {
	return models.CreateMedicalRecordInput{
		ContactID:      models.KindContact.Global(w.here.Contacts[contact]),
		PractitionerID: models.KindPractitioner.Global(w.here.Practitioners[0]),
		Kind:           models.RecordKindEvolution, Title: "Retorno", Body: "Melhora do quadro.",
	}
}

func (w *ward) create(t *testing.T, change ...func(*models.CreateMedicalRecordInput)) *models.MedicalRecord {
	t.Helper()
	input := w.draft(0)
	for _, c := range change {
		c(&input)
	}
	record, err := w.chart.Create(w.ctx(), input)
	require.NoError(t, err)
	return record
}

func (w *ward) sign(t *testing.T, record *models.MedicalRecord) *models.MedicalRecord {
	t.Helper()
	signed, err := w.chart.Sign(w.ctx(), models.SignMedicalRecordInput{ID: record.GetID()})
	require.NoError(t, err)
	return signed
}

// seedRecords writes n records of a contact by SQL, the i-th i minutes after
// noon, three to a minute so that times tie, and gives their ids latest first.
func (w *ward) seedRecords(t *testing.T, contact int, n int) []uuid.UUID {
	t.Helper()
	ids := make([]uuid.UUID, n)
	for i := range n {
		id := models.NewID()
		kind := models.AllRecordKind[i%len(models.AllRecordKind)]
		w.Exec(t, `INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, 'segredo', $7)`,
			w.here.ID, id, w.here.Contacts[contact], w.here.Practitioners[0], kind, fmt.Sprint("n. ", i),
			noon.Truncate(time.Hour).Add(time.Duration(i/3)*time.Minute))
		ids[n-1-i] = id // ids rise with time, and so does created_at
	}
	return ids
}

// pages reads the records of contacts or of appointments.
func (w *ward) pages(ctx context.Context, kind models.Kind, parents []uuid.UUID, args map[string]any) (map[uuid.UUID]*graph.Page, error) {
	w.t.Helper()
	return w.graph.PagesOf(w.t, ctx, kind, parents, "medicalRecords", args)
}

func TestRecordsOfContacts_PagesLatestFirstForEachContact(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	ana, joao := w.seedRecords(t, 0, 8), w.seedRecords(t, 1, 3)
	contacts, foreign, nobody := w.here.Contacts, w.there.Contacts[0], uuid.New()

	ctx, counts := database.WithCounts(w.ctx())
	pages, err := w.pages(ctx, models.KindContact, append([]uuid.UUID{foreign, nobody}, contacts...), map[string]any{"first": 5})
	require.NoError(t, err)
	require.EqualValues(t, 3, counts.Statements.Load(), "one for the contacts, one for the pages, one for the totals")
	require.Len(t, pages, len(contacts))

	require.Equal(t, ana[:5], pages[contacts[0]].IDs())
	require.True(t, pages[contacts[0]].PageInfo.HasNextPage)
	require.Equal(t, 8, pages[contacts[0]].TotalCount)
	require.Equal(t, joao, pages[contacts[1]].IDs())
	require.False(t, pages[contacts[1]].PageInfo.HasNextPage)
	require.Equal(t, 3, pages[contacts[1]].TotalCount)
	require.Empty(t, pages[contacts[2]].Nodes)
	require.Zero(t, pages[contacts[2]].TotalCount)

	pages, err = w.pages(w.ctx(), models.KindContact, contacts[:1], map[string]any{"first": 5, "after": pages[contacts[0]].Edges[4].Cursor})
	require.NoError(t, err)
	require.Equal(t, ana[5:], pages[contacts[0]].IDs())
	require.Equal(t, 8, pages[contacts[0]].TotalCount)

	// The same list from the root, and from its end.
	args := map[string]any{"contactId": models.KindContact.Global(contacts[0]), "last": 3}
	page, err := w.graph.Page(t, w.ctx(), "medicalRecords", args)
	require.NoError(t, err)
	require.Equal(t, ana[5:], page.IDs())
	require.True(t, page.PageInfo.HasPreviousPage)
	args["before"] = page.PageInfo.StartCursor
	page, err = w.graph.Page(t, w.ctx(), "medicalRecords", args)
	require.NoError(t, err)
	require.Equal(t, ana[2:5], page.IDs())
	for _, unknown := range []uuid.UUID{foreign, nobody} {
		page, err := w.graph.Page(t, w.ctx(), "medicalRecords", map[string]any{"contactId": models.KindContact.Global(unknown)})
		require.NoError(t, err)
		require.Empty(t, page.Nodes)
		require.Zero(t, page.TotalCount)
	}
}

func TestRecordsOfContacts_ReadsOnlyWhatIsAsked(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.seedRecords(t, 0, 1)
	watch := &statements{}
	db, err := database.Open(t.Context(), database.Config{URL: w.AppURL, MaxConns: 1, Tracer: watch})
	require.NoError(t, err)
	defer db.Close()
	g := graph.New(t, db, w.Cursors, time.Now)
	type record struct {
		Body, Title, UpdatedAt string
		Kind                   models.RecordKind
		Version                int
		Practitioner           struct{ ID string }
		Codes                  []string
		Data, Appointment      any
	}
	read := func(fields string) record {
		var got struct{ List struct{ Nodes []record } }
		g.Must(t, w.ctx(), "{ list: medicalRecords"+graph.Args(map[string]any{"contactId": models.KindContact.Global(w.here.Contacts[0])})+" { nodes { "+fields+" } } }", nil, &got)
		require.Len(t, got.List.Nodes, 1)
		return got.List.Nodes[0]
	}
	read("id title amendedBy { id } __typename")
	require.Positive(t, watch.count("medical_records", `"title"`))
	require.Zero(t, watch.count("medical_records", `"body"`), "a text that nobody asked for")
	got := read(`id contact { id } practitioner { id } appointment { id } kind title body codes data signedAt
		digest amends { id } amendedBy { id } version createdAt updatedAt`)
	require.Equal(t, "segredo", got.Body)
	require.Equal(t, w.here.Practitioners[0], graph.IDOf(got.Practitioner.ID))
	require.Equal(t, models.RecordKindEvolution, got.Kind)
	require.Equal(t, 1, got.Version)
	require.NotEmpty(t, got.UpdatedAt)
	require.NotNil(t, got.Codes)
	require.Empty(t, got.Codes)
	require.Nil(t, got.Data)
	require.Nil(t, got.Appointment)
}

// statements are those that a connection sends.
type statements struct{ sent []string }

// TraceQueryStart implements pgx.QueryTracer.
func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.sent = append(s.sent, data.SQL)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// count is how many of them hold all of some words.
func (s *statements) count(words ...string) (n int) {
	for _, sql := range s.sent {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(sql, word) }) {
			n++
		}
	}
	return n
}

func TestRecordsOfContacts_NarrowsByKind(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	all := w.seedRecords(t, 0, 14)
	kinds := graph.Enums([]models.RecordKind{models.RecordKindAnamnesis, models.RecordKindReferral, models.RecordKindAnamnesis})
	pages, err := w.pages(w.ctx(), models.KindContact, w.here.Contacts[:1], map[string]any{"kind": kinds})
	require.NoError(t, err)
	page := pages[w.here.Contacts[0]]
	// Latest first, the kinds in turn: the first and the last of each seven.
	wanted := []uuid.UUID{all[0], all[5], all[7], all[12]}
	require.Equal(t, wanted, page.IDs())
	require.Equal(t, 4, page.TotalCount)

	contact := models.KindContact.Global(w.here.Contacts[0])
	page, err = w.graph.Page(t, w.ctx(), "medicalRecords", map[string]any{"contactId": contact, "kind": kinds, "first": 3})
	require.NoError(t, err)
	require.Equal(t, wanted[:3], page.IDs())
	require.Equal(t, 4, page.TotalCount)
	page, err = w.graph.Page(t, w.ctx(), "medicalRecords", map[string]any{"contactId": contact, "kind": graph.Enums([]models.RecordKind{})})
	require.NoError(t, err)
	require.Empty(t, page.Nodes, "of no kind")
	require.Zero(t, page.TotalCount)
}

func TestRecordsOfContacts_RefusesForeignCursorsAndSizes(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.seedRecords(t, 0, 2)
	appointment := w.Appointment(t, w.here, 0, 0, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), time.Hour)
	w.create(t, func(input *models.CreateMedicalRecordInput) {
		input.AppointmentID = new(models.KindAppointment.Global(appointment))
	})
	pages, err := w.pages(w.ctx(), models.KindAppointment, []uuid.UUID{appointment}, nil)
	require.NoError(t, err)
	other := pages[appointment].Edges[0].Cursor

	for name, args := range map[string]map[string]any{
		"another list's cursor": {"after": other},
		"no cursor":             {"before": "MQ"},
		"none":                  {"first": 0},
		"too many":              {"last": 101},
		"both ends":             {"first": 1, "last": 1},
	} {
		_, err := w.pages(w.ctx(), models.KindContact, w.here.Contacts[:1], args)
		var refused *models.Error
		require.ErrorAs(t, err, &refused, name)
		require.Equal(t, models.BadUserInput, refused.Code, name)
	}
}

func TestRecordsOfAppointments_GivesTheRecordsOfEach(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	monday := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	first := w.Appointment(t, w.here, 0, 0, monday, time.Hour)
	second := w.Appointment(t, w.here, 0, 0, monday.Add(time.Hour), time.Hour)
	of := func(appointment uuid.UUID) func(*models.CreateMedicalRecordInput) {
		return func(input *models.CreateMedicalRecordInput) {
			input.AppointmentID = new(models.KindAppointment.Global(appointment))
		}
	}
	a, b := w.create(t, of(first)), w.create(t, of(first))
	w.create(t)

	pages, err := w.pages(w.ctx(), models.KindAppointment, []uuid.UUID{first, second}, nil)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{b.ID, a.ID}, pages[first].IDs())
	require.Equal(t, 2, pages[first].TotalCount)
	require.Empty(t, pages[second].Nodes)
}

func TestRecordsByID_LeavesOutForeignAndUnknown(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	own := w.create(t)
	abroad := records.New(w.DB, time.Now)
	foreign, err := abroad.Create(w.there.As(t.Context(), models.RoleOwner), models.CreateMedicalRecordInput{
		ContactID:      models.KindContact.Global(w.there.Contacts[0]),
		PractitionerID: models.KindPractitioner.Global(w.there.Practitioners[0]),
		Kind:           models.RecordKindReferral, Title: "x", Body: "y",
	})
	require.NoError(t, err)

	const document = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on MedicalRecord { title title } } }"
	ids := map[string]any{"ids": graph.Globals(models.KindMedicalRecord, []uuid.UUID{own.ID, foreign.ID, uuid.New()})}
	var found struct{ Nodes []*struct{ Title string } }
	w.graph.Must(t, w.ctx(), document, ids, &found)
	require.Len(t, found.Nodes, 3)
	require.Equal(t, "Retorno", found.Nodes[0].Title)
	require.Nil(t, found.Nodes[1])
	require.Nil(t, found.Nodes[2])

	require.ErrorIs(t, w.graph.Try(t, t.Context(), document, ids, nil), tenant.ErrNoScope)
}

func TestAmendmentsOf_FollowsTheLine(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	original := w.sign(t, w.create(t))
	second, err := w.chart.Amend(w.ctx(), models.AmendMedicalRecordInput{ID: original.GetID(), Reason: "Dose", Body: "10 mg"})
	require.NoError(t, err)
	third, err := w.chart.Amend(w.ctx(), models.AmendMedicalRecordInput{ID: w.sign(t, second).GetID(), Reason: "Dose", Body: "20 mg"})
	require.NoError(t, err)

	type version struct {
		ID                string
		AmendedBy, Amends *struct{ ID, Body string }
	}
	var got struct{ Nodes []version }
	ctx, counts := database.WithCounts(w.ctx())
	w.graph.Must(t, ctx, "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on MedicalRecord { id amendedBy { id body } amends { id body } } } }",
		map[string]any{"ids": []string{original.GetID(), second.GetID(), third.GetID()}}, &got)
	require.EqualValues(t, 3, counts.Statements.Load(), "the records, those that amend them, those that they amend")
	require.Len(t, got.Nodes, 3)
	require.Nil(t, got.Nodes[0].Amends)
	require.Equal(t, second.GetID(), got.Nodes[0].AmendedBy.ID)
	require.Equal(t, "10 mg", got.Nodes[0].AmendedBy.Body)
	require.Equal(t, original.GetID(), got.Nodes[1].Amends.ID)
	require.Equal(t, third.GetID(), got.Nodes[1].AmendedBy.ID)
	require.Equal(t, "20 mg", got.Nodes[1].AmendedBy.Body)
	require.Nil(t, got.Nodes[2].AmendedBy)
}
