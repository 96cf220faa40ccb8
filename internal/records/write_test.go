package records_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// mistake is what a test expects of a UserError: CODE at path.
func mistakes(t *testing.T, err error) []string {
	t.Helper()
	var invalid models.Invalid
	require.ErrorAs(t, err, &invalid)
	found := make([]string, len(invalid))
	for i, m := range invalid {
		found[i] = string(m.Code) + " " + strings.Join(m.Field, ".")
		require.NotEmpty(t, m.Message)
		require.NotNil(t, m.EntityIds)
	}
	return found
}

func (w *ward) count(t *testing.T) int {
	t.Helper()
	return w.Count(t, "SELECT count(*) FROM medical_records")
}

func TestCreate_ReturnsTheDraftAsItIsStored(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	appointment := w.Appointment(t, w.here, 0, 1, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), time.Hour)
	record := w.create(t, func(input *models.CreateMedicalRecordInput) {
		input.AppointmentID = new(models.KindAppointment.Global(appointment))
		input.Title = "  Consulta 🦷 "
		input.Body = "linha 1\n\tlinha 2"
		input.Codes = []string{"j45.0", "I10", " J450", "s72.00xa", "a17.0+", "G01*", "a170†"}
		input.Data = models.JSON(`{"peso": 72.5, "exames": [1, null, true], "é": "😀\u0001"}`)
	})
	require.Equal(t, w.here.ID, record.ClinicID)
	require.Equal(t, w.here.Contacts[0], record.ContactID)
	require.Equal(t, w.here.Practitioners[0], record.PractitionerID)
	require.Equal(t, appointment, *record.AppointmentID)
	require.Equal(t, models.RecordKindEvolution, record.Kind)
	require.Equal(t, "Consulta 🦷", record.Title)
	require.Equal(t, "linha 1\n\tlinha 2", record.Body)
	require.Equal(t, []string{"J45.0", "I10", "S72.00XA", "A17.0+", "G01*"}, record.GetCodes())
	require.JSONEq(t, `{"peso": 72.5, "exames": [1, null, true], "é": "😀\u0001"}`, string(record.Data))
	require.Equal(t, 1, record.Version)
	require.False(t, record.CreatedAt.IsZero())
	require.Nil(t, record.SignedAt)
	require.Nil(t, record.Digest)

	var stored struct {
		MedicalRecord struct {
			Title       string
			Codes       []string
			Data        json.RawMessage
			CreatedAt   time.Time
			Appointment struct{ ID string }
		}
	}
	w.graph.Must(t, w.ctx(), "query ($id: ID!) { medicalRecord(id: $id) { title codes data appointment { id } createdAt } }",
		map[string]any{"id": record.GetID()}, &stored)
	read := stored.MedicalRecord
	require.Equal(t, record.Title, read.Title)
	require.Equal(t, record.GetCodes(), read.Codes)
	require.Equal(t, string(record.Data), string(read.Data))
	require.Equal(t, models.KindAppointment.Global(appointment), read.Appointment.ID)
	require.True(t, record.CreatedAt.Equal(read.CreatedAt))
}

func TestCreate_WithoutTheOptionalFields(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	record := w.create(t, func(input *models.CreateMedicalRecordInput) { input.Data = models.JSON("null") })
	require.Empty(t, record.GetCodes())
	require.Nil(t, record.Data)
	require.Nil(t, record.AppointmentID)
}

func TestCreate_RefusesEveryMistakeAtOnceAndWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	foreign := w.Appointment(t, w.there, 0, 0, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), time.Hour)
	others := w.Appointment(t, w.here, 1, 0, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), time.Hour)
	long := strings.Repeat("ã", 301)

	for name, attempt := range map[string]struct {
		change func(*models.CreateMedicalRecordInput)
		want   []string
	}{
		"everything is wrong": {func(in *models.CreateMedicalRecordInput) {
			in.ContactID, in.PractitionerID = "contact_x", models.KindPractitioner.Global(uuid.New())
			in.AppointmentID, in.Title, in.Body = new(in.ContactID), long, " \n"
			in.Codes, in.Data = []string{"J45.0", "asma", "J45.", "J45.0\x00"}, models.JSON(`{"a":"\u0000"}`)
		}, []string{
			"INVALID contactId", "NOT_FOUND practitionerId", "INVALID appointmentId", "TOO_LONG title", "REQUIRED body",
			"INVALID codes.1", "INVALID codes.2", "INVALID codes.3", "INVALID data",
		}},
		"foreign ids": {func(in *models.CreateMedicalRecordInput) {
			in.ContactID = models.KindContact.Global(w.there.Contacts[0])
			in.PractitionerID = models.KindPractitioner.Global(w.there.Practitioners[0])
			in.AppointmentID = new(models.KindAppointment.Global(foreign))
		}, []string{"NOT_FOUND contactId", "NOT_FOUND practitionerId", "NOT_FOUND appointmentId"}},
		"ids of another kind": {func(in *models.CreateMedicalRecordInput) {
			in.ContactID, in.PractitionerID = in.PractitionerID, in.ContactID
		}, []string{"INVALID contactId", "INVALID practitionerId"}},
		"another contact's appointment": {func(in *models.CreateMedicalRecordInput) {
			in.AppointmentID = new(models.KindAppointment.Global(others))
		}, []string{"CONFLICT appointmentId"}},
		"control characters": {
			func(in *models.CreateMedicalRecordInput) { in.Title, in.Body = "a\x00b", "a\x1bb\xff" },
			[]string{"INVALID title", "INVALID body"},
		},
		"a body that is too long": {
			func(in *models.CreateMedicalRecordInput) { in.Body = strings.Repeat("é", 100_001) },
			[]string{"TOO_LONG body"},
		},
		"too many codes": {func(in *models.CreateMedicalRecordInput) { in.Codes = make([]string, 51) }, []string{"LIMIT codes"}},
	} {
		input := w.draft(0)
		attempt.change(&input)
		_, err := w.chart.Create(w.ctx(), input)
		require.Equal(t, attempt.want, mistakes(t, err), name)
	}
	require.Zero(t, w.count(t))

	most := w.create(t, func(in *models.CreateMedicalRecordInput) {
		in.Title, in.Body = strings.Repeat("ã", 300), strings.Repeat("é", 100_000)
	})
	require.Equal(t, 1, w.count(t), "what is at its bound is let in")
	require.Equal(t, 1, most.Version)
}

// The answer for a foreign id must not differ from that for a random one.
func TestCreate_AnswersForeignAndUnknownAlike(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	answer := func(contact uuid.UUID) string {
		input := w.draft(0)
		input.ContactID = models.KindContact.Global(contact)
		_, err := w.chart.Create(w.ctx(), input)
		var invalid models.Invalid
		require.ErrorAs(t, err, &invalid)
		text, err := json.Marshal(invalid)
		require.NoError(t, err)
		return string(text)
	}
	require.Equal(t, answer(uuid.New()), answer(w.there.Contacts[0]))
}

func TestCreate_NeedsAScope(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	_, err := w.chart.Create(t.Context(), w.draft(0))
	require.ErrorIs(t, err, tenant.ErrNoScope)
	require.Zero(t, w.count(t))
}

func TestUpdate_ChangesWhatIsGivenAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	record := w.create(t, func(in *models.CreateMedicalRecordInput) {
		in.Codes, in.Data = []string{"I10"}, models.JSON(`{"peso":72}`)
	})

	same, err := w.chart.Update(w.ctx(), models.UpdateMedicalRecordInput{ID: record.GetID()})
	require.NoError(t, err)
	require.Equal(t, 1, same.Version, "an empty change changes nothing")

	changed, err := w.chart.Update(w.ctx(), models.UpdateMedicalRecordInput{
		ID: record.GetID(), ExpectedVersion: new(1),
		Title: graphql.OmittableOf(new("Alta")), Codes: graphql.OmittableOf([]string{}), Data: graphql.OmittableOf[models.JSON](nil),
	})
	require.NoError(t, err)
	require.Equal(t, "Alta", changed.Title)
	require.Equal(t, record.Body, changed.Body)
	require.Empty(t, changed.GetCodes())
	require.Nil(t, changed.Data)
	require.Equal(t, 2, changed.Version)
	require.True(t, changed.UpdatedAt.After(record.UpdatedAt))
	require.True(t, changed.CreatedAt.Equal(record.CreatedAt))

	again, err := w.chart.Update(w.ctx(), models.UpdateMedicalRecordInput{
		ID: record.GetID(), Body: graphql.OmittableOf(new("Sem queixas.")),
		Codes: graphql.OmittableOf([]string{"z00.0"}), Data: graphql.OmittableOf(models.JSON(`[1]`)),
	})
	require.NoError(t, err)
	require.Equal(t, "Alta", again.Title)
	require.Equal(t, "Sem queixas.", again.Body)
	require.Equal(t, []string{"Z00.0"}, again.GetCodes())
	require.JSONEq(t, `[1]`, string(again.Data))
}

func TestUpdate_RefusesMistakesAndWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	draft, signed := w.create(t), w.sign(t, w.create(t))
	for name, attempt := range map[string]struct {
		input models.UpdateMedicalRecordInput
		want  []string
	}{
		"null where something must be": {models.UpdateMedicalRecordInput{
			ID: draft.GetID(), Title: graphql.OmittableOf[*string](nil),
			Body: graphql.OmittableOf[*string](nil), Codes: graphql.OmittableOf[[]string](nil),
		}, []string{"REQUIRED title", "REQUIRED body", "REQUIRED codes"}},
		"stale, and more": {models.UpdateMedicalRecordInput{
			ID: draft.GetID(), ExpectedVersion: new(7), Title: graphql.OmittableOf(new("")),
		}, []string{"STALE expectedVersion", "REQUIRED title"}},
		"signed": {models.UpdateMedicalRecordInput{
			ID: signed.GetID(), ExpectedVersion: new(1), Title: graphql.OmittableOf(new("Outro")),
		}, []string{"IMMUTABLE id"}},
		"signed, and no change at all": {models.UpdateMedicalRecordInput{ID: signed.GetID()}, []string{"IMMUTABLE id"}},
		"unknown": {models.UpdateMedicalRecordInput{
			ID: models.KindMedicalRecord.Global(uuid.New()), ExpectedVersion: new(1), Codes: graphql.OmittableOf([]string{"x"}),
		}, []string{"NOT_FOUND id", "INVALID codes.0"}},
		"malformed": {models.UpdateMedicalRecordInput{ID: strings.ToUpper(draft.GetID())}, []string{"INVALID id"}},
	} {
		_, err := w.chart.Update(w.ctx(), attempt.input)
		require.Equal(t, attempt.want, mistakes(t, err), name)
	}
	require.Equal(t, 2, w.Count(t, "SELECT count(*) FROM medical_records WHERE title = 'Retorno'"))
	require.Equal(t, 1, w.Count(t, "SELECT version FROM medical_records WHERE id = $1", draft.ID))

	_, err := w.chart.Update(w.there.As(t.Context(), models.RoleOwner), models.UpdateMedicalRecordInput{ID: draft.GetID()})
	require.Equal(t, []string{"NOT_FOUND id"}, mistakes(t, err), "another clinic's record")
}

func TestSign_GivesADigestThatTheDatabaseStillBearsOut(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	signed := w.sign(t, w.create(t, func(in *models.CreateMedicalRecordInput) {
		in.Codes = []string{"I10", "J45.0"}
		in.Data = models.JSON(`{"z": 1.50, "a": {"ß": "\u00e9\"\\\/\n"}, "n": [1e2, 1E-7, -0.0, 12345678901234567890.12], "😀": {}, "": []}`)
	}))
	require.Equal(t, noon.Truncate(time.Microsecond), signed.SignedAt.UTC())
	require.Equal(t, "PRACTITIONER@here.test", *signed.Signer)
	require.Equal(t, 2, signed.Version)
	require.Equal(t, records.Digest(signed), *signed.Digest)

	stored, err := database.Rows[models.MedicalRecord](w.ctx(), w.DB, "SELECT * FROM medical_records WHERE id = $1", signed.ID)
	require.NoError(t, err)
	require.Equal(t, *signed.Digest, records.Digest(stored[0]))
	stored[0].Body += " "
	require.NotEqual(t, *signed.Digest, records.Digest(stored[0]))
}

func TestSign_OnlyOnceAndOnlyWhatWasRead(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	draft := w.create(t)
	_, err := w.chart.Sign(w.ctx(), models.SignMedicalRecordInput{ID: draft.GetID(), ExpectedVersion: new(2)})
	require.Equal(t, []string{"STALE expectedVersion"}, mistakes(t, err))
	require.Zero(t, w.Count(t, "SELECT count(*) FROM medical_records WHERE signed_at IS NOT NULL"))

	signed, err := w.chart.Sign(w.ctx(), models.SignMedicalRecordInput{ID: draft.GetID(), ExpectedVersion: new(1)})
	require.NoError(t, err)
	_, err = w.chart.Sign(w.ctx(), models.SignMedicalRecordInput{ID: draft.GetID(), ExpectedVersion: new(1)})
	require.Equal(t, []string{"IMMUTABLE id"}, mistakes(t, err))
	var invalid models.Invalid
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, []string{signed.GetID()}, invalid[0].EntityIds)

	_, err = w.chart.Sign(w.ctx(), models.SignMedicalRecordInput{ID: models.KindMedicalRecord.Global(uuid.New())})
	require.Equal(t, []string{"NOT_FOUND id"}, mistakes(t, err))
}

func TestAmend_TakesOverWhatIsNotGiven(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	appointment := w.Appointment(t, w.here, 0, 0, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), time.Hour)
	original := w.sign(t, w.create(t, func(in *models.CreateMedicalRecordInput) {
		in.AppointmentID = new(models.KindAppointment.Global(appointment))
		in.Kind, in.Codes, in.Data = models.RecordKindPrescription, []string{"I10"}, models.JSON(`{"dose":10}`)
	}))
	amendment, err := w.chart.Amend(w.ctx(), models.AmendMedicalRecordInput{ID: original.GetID(), Reason: " Dose errada ", Body: "5 mg"})
	require.NoError(t, err)
	require.NotEqual(t, original.ID, amendment.ID)
	require.Equal(t, original.ID, *amendment.AmendsID)
	require.Equal(t, "Dose errada", *amendment.AmendmentReason)
	require.Equal(t, "5 mg", amendment.Body)
	require.Equal(t, original.Title, amendment.Title)
	require.Equal(t, original.Codes, amendment.Codes)
	require.JSONEq(t, string(original.Data), string(amendment.Data))
	require.Equal(t, original.ContactID, amendment.ContactID)
	require.Equal(t, original.PractitionerID, amendment.PractitionerID)
	require.Equal(t, appointment, *amendment.AppointmentID)
	require.Equal(t, models.RecordKindPrescription, amendment.Kind)
	require.Nil(t, amendment.SignedAt)
	require.Nil(t, amendment.Digest)
	require.Equal(t, 1, amendment.Version)

	next, err := w.chart.Amend(w.ctx(), models.AmendMedicalRecordInput{
		ID: w.sign(t, amendment).GetID(), Reason: "x", Body: "y", Title: graphql.OmittableOf(new("z")),
		Codes: graphql.OmittableOf([]string{"J45"}), Data: graphql.OmittableOf[models.JSON](nil),
	})
	require.NoError(t, err)
	require.Equal(t, "z", next.Title)
	require.Equal(t, []string{"J45"}, next.GetCodes())
	require.Nil(t, next.Data)
}

func TestAmend_RefusesDraftsAndSecondAmendments(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	draft, original := w.create(t), w.sign(t, w.create(t))
	input := func(record *models.MedicalRecord) models.AmendMedicalRecordInput {
		return models.AmendMedicalRecordInput{ID: record.GetID(), Reason: "Dose", Body: "5 mg"}
	}
	_, err := w.chart.Amend(w.ctx(), input(draft))
	require.Equal(t, []string{"CONFLICT id"}, mistakes(t, err))

	amendment, err := w.chart.Amend(w.ctx(), input(original))
	require.NoError(t, err)
	_, err = w.chart.Amend(w.ctx(), input(original))
	require.Equal(t, []string{"CONFLICT id"}, mistakes(t, err))
	var invalid models.Invalid
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, []string{amendment.GetID()}, invalid[0].EntityIds)

	_, err = w.chart.Amend(w.ctx(), models.AmendMedicalRecordInput{
		ID: models.KindMedicalRecord.Global(uuid.New()), Reason: strings.Repeat("é", 1001), Body: "",
		Title: graphql.OmittableOf[*string](nil), Codes: graphql.OmittableOf([]string{"?"}), Data: graphql.OmittableOf(models.JSON("{")),
	})
	require.Equal(t, []string{"NOT_FOUND id", "TOO_LONG reason", "REQUIRED title", "REQUIRED body", "INVALID codes.0", "INVALID data"},
		mistakes(t, err))
	require.Equal(t, 3, w.count(t))
}

// Ten who correct the same record at once: one does, the others learn who did.
func TestAmend_OnceAlthoughManyTry(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	original := w.sign(t, w.create(t))
	var (
		everyone sync.WaitGroup
		results  [10]error
	)
	for i := range results {
		everyone.Go(func() {
			_, results[i] = w.chart.Amend(w.ctx(), models.AmendMedicalRecordInput{ID: original.GetID(), Reason: "Dose", Body: "5 mg"})
		})
	}
	everyone.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
			continue
		}
		require.Equal(t, []string{"CONFLICT id"}, mistakes(t, err))
	}
	require.Equal(t, 1, won)
	require.Equal(t, 2, w.count(t))
}
