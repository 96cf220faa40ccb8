package records_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// ward is two clinics, and a practitioner of the first at work.
type ward struct {
	*testkit.Database
	here, there *testkit.Clinic
	chart       *records.Chart
	t           *testing.T
}

// noon is when everything is signed; the nanoseconds are more than Postgres keeps.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.UTC) //nolint:gochecknoglobals // a constant in all but Go's terms

func newWard(t *testing.T) *ward {
	t.Helper()
	d := testkit.NewDatabase(t)
	w := &ward{t: t, Database: d, here: d.NewClinic(t, "here"), there: d.NewClinic(t, "there")}
	w.chart = records.New(d.DB, d.Cursors, func() time.Time { return noon })
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

func fields(names ...string) selection.Set {
	selected := make([]selection.Field, len(names))
	for i, name := range names {
		selected[i] = selection.Field{Name: name, Key: name}
	}
	return selection.Of(selected...)
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

func idsOf(items []*models.MedicalRecord) []uuid.UUID {
	ids := make([]uuid.UUID, len(items))
	for i, item := range items {
		ids[i] = item.ID
	}
	return ids
}

func TestRecordsOfContacts_PagesLatestFirstForEachContact(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	ana, joao := w.seedRecords(t, 0, 8), w.seedRecords(t, 1, 3)
	maria, foreign, nobody := w.here.Contacts[2], w.there.Contacts[0], uuid.New()
	parents := []uuid.UUID{w.here.Contacts[0], w.here.Contacts[1], maria, foreign, nobody}

	ctx, statements := database.WithStatementCount(w.ctx())
	pages, err := w.chart.RecordsOfContacts(ctx, parents,
		records.RecordQuery{Request: paging.Request{First: new(5)}, Count: true}, fields("id", "title"))
	require.NoError(t, err)
	require.EqualValues(t, 2, statements.Load(), "one for the pages, one for the totals")

	require.Equal(t, ana[:5], idsOf(pages[parents[0]].Items))
	require.True(t, pages[parents[0]].HasNext)
	require.Equal(t, 8, pages[parents[0]].Total)
	require.Equal(t, joao, idsOf(pages[parents[1]].Items))
	require.False(t, pages[parents[1]].HasNext)
	require.Equal(t, 3, pages[parents[1]].Total)
	for _, empty := range parents[2:] {
		require.NotNil(t, pages[empty])
		require.Empty(t, pages[empty].Items)
		require.Zero(t, pages[empty].Total)
	}

	first := pages[parents[0]]
	after := first.Cursor(first.Items[4])
	pages, err = w.chart.RecordsOfContacts(w.ctx(), parents[:1],
		records.RecordQuery{Request: paging.Request{First: new(5), After: &after}}, fields("id"))
	require.NoError(t, err)
	require.Equal(t, ana[5:], idsOf(pages[parents[0]].Items))
}

func TestRecordsOfContacts_ReadsOnlyWhatIsAsked(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.seedRecords(t, 0, 1)
	read := func(names ...string) *models.MedicalRecord {
		pages, err := w.chart.RecordsOfContacts(w.ctx(), w.here.Contacts[:1], records.RecordQuery{}, fields(names...))
		require.NoError(t, err)
		require.Len(t, pages[w.here.Contacts[0]].Items, 1)
		return pages[w.here.Contacts[0]].Items[0]
	}
	require.Empty(t, read("id", "title", "amendedBy", "__typename").Body)
	record := read("id", "contact", "practitioner", "appointment", "kind", "title", "body", "codes", "data", "signedAt",
		"digest", "amends", "amendedBy", "version", "createdAt", "updatedAt")
	require.Equal(t, "segredo", record.Body)
	require.Equal(t, w.here.Practitioners[0], record.PractitionerID)
	require.Equal(t, models.RecordKindEvolution, record.Kind)
	require.Equal(t, 1, record.Version)
	require.False(t, record.UpdatedAt.IsZero())
}

func TestRecordsOfContacts_NarrowsByKind(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	all := w.seedRecords(t, 0, 14)
	query := records.RecordQuery{Kinds: []models.RecordKind{models.RecordKindAnamnesis, models.RecordKindReferral}, Count: true}
	pages, err := w.chart.RecordsOfContacts(w.ctx(), w.here.Contacts[:1], query, fields("id", "kind"))
	require.NoError(t, err)
	page := pages[w.here.Contacts[0]]
	// Latest first, the kinds in turn: the first and the last of each seven.
	require.Equal(t, []uuid.UUID{all[0], all[5], all[7], all[12]}, idsOf(page.Items))
	require.Equal(t, 4, page.Total)
}

func TestRecordsOfContacts_RefusesForeignCursorsAndSizes(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.seedRecords(t, 0, 2)
	appointment := w.Appointment(t, w.here, 0, 0, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), time.Hour)
	w.create(t, func(input *models.CreateMedicalRecordInput) {
		input.AppointmentID = new(models.KindAppointment.Global(appointment))
	})
	pages, err := w.chart.RecordsOfAppointments(w.ctx(), []uuid.UUID{appointment}, records.RecordQuery{}, fields("id"))
	require.NoError(t, err)
	other := pages[appointment].Cursor(pages[appointment].Items[0])

	for name, request := range map[string]paging.Request{
		"another list's cursor": {After: &other},
		"no cursor":             {Before: new("MQ")},
		"none":                  {First: new(0)},
		"too many":              {Last: new(101)},
		"both ends":             {First: new(1), Last: new(1)},
	} {
		_, err := w.chart.RecordsOfContacts(w.ctx(), w.here.Contacts[:1], records.RecordQuery{Request: request}, fields("id"))
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

	pages, err := w.chart.RecordsOfAppointments(w.ctx(), []uuid.UUID{first, second}, records.RecordQuery{Count: true}, fields("id"))
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{b.ID, a.ID}, idsOf(pages[first].Items))
	require.Equal(t, 2, pages[first].Total)
	require.Empty(t, pages[second].Items)
}

func TestRecordsByID_LeavesOutForeignAndUnknown(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	own := w.create(t)
	abroad := records.New(w.DB, w.Cursors, time.Now)
	foreign, err := abroad.Create(w.there.As(t.Context(), models.RoleOwner), models.CreateMedicalRecordInput{
		ContactID:      models.KindContact.Global(w.there.Contacts[0]),
		PractitionerID: models.KindPractitioner.Global(w.there.Practitioners[0]),
		Kind:           models.RecordKindReferral, Title: "x", Body: "y",
	})
	require.NoError(t, err)

	found, err := w.chart.RecordsByID(w.ctx(), []uuid.UUID{own.ID, foreign.ID, uuid.New()}, fields("id", "title", "title"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "Retorno", found[own.ID].Title)

	_, err = w.chart.RecordsByID(t.Context(), []uuid.UUID{own.ID}, fields("id"))
	require.ErrorIs(t, err, tenant.ErrNoScope)
}

func TestAmendmentsOf_FollowsTheLine(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	original := w.sign(t, w.create(t))
	second, err := w.chart.Amend(w.ctx(), models.AmendMedicalRecordInput{ID: original.GetID(), Reason: "Dose", Body: "10 mg"})
	require.NoError(t, err)
	third, err := w.chart.Amend(w.ctx(), models.AmendMedicalRecordInput{ID: w.sign(t, second).GetID(), Reason: "Dose", Body: "20 mg"})
	require.NoError(t, err)

	amendments, err := w.chart.AmendmentsOf(w.ctx(), []uuid.UUID{original.ID, second.ID, third.ID}, fields("body"))
	require.NoError(t, err)
	require.Len(t, amendments, 2)
	require.Equal(t, second.ID, amendments[original.ID].ID)
	require.Equal(t, third.ID, amendments[second.ID].ID)
	require.Equal(t, "20 mg", amendments[second.ID].Body)
	require.Empty(t, amendments[second.ID].Title)
}
