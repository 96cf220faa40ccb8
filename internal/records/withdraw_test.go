package records_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

func (w *ward) amend(t *testing.T, record *models.MedicalRecord) *models.MedicalRecord {
	t.Helper()
	amendment, err := w.chart.Amend(w.ctx(), models.AmendMedicalRecordInput{ID: record.GetID(), Reason: "Dose errada", Body: "5 mg"})
	require.NoError(t, err)
	return amendment
}

func (w *ward) withdraw(t *testing.T, record *models.MedicalRecord) *models.MedicalRecord {
	t.Helper()
	withdrawn, err := w.chart.Withdraw(w.ctx(), models.WithdrawMedicalRecordInput{ID: record.GetID(), Reason: " Paciente errado "})
	require.NoError(t, err)
	return withdrawn
}

// state is what is read of a record, as a role.
type state struct {
	Status    string
	Title     string
	Version   int
	Amends    *struct{ ID string }
	AmendedBy *struct{ ID string }
	SignedBy  *struct{ ID, Name string }
}

func (w *ward) state(t *testing.T, role models.Role, record *models.MedicalRecord) state {
	t.Helper()
	var got struct{ MedicalRecord state }
	w.graph.Must(t, w.here.As(t.Context(), role), "query ($id: ID!) { medicalRecord(id: $id) { status title version amends { id } amendedBy { id } signedBy { id name } } }",
		map[string]any{"id": record.GetID()}, &got)
	return got.MedicalRecord
}

func TestRecord_TellsWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	record := w.create(t)
	require.Equal(t, "DRAFT", w.state(t, models.RolePractitioner, record).Status)
	w.sign(t, record)
	signed := w.state(t, models.RolePractitioner, record)
	require.Equal(t, "SIGNED", signed.Status)
	require.Equal(t, string(models.RolePractitioner), signed.SignedBy.Name)

	amendment := w.amend(t, record)
	drafted := w.state(t, models.RolePractitioner, record)
	require.Equal(t, "SIGNED", drafted.Status, "a draft corrects nothing yet")
	require.Equal(t, amendment.GetID(), drafted.AmendedBy.ID)
	w.sign(t, amendment)
	require.Equal(t, "AMENDED", w.state(t, models.RolePractitioner, record).Status)
	require.Equal(t, record.GetID(), w.state(t, models.RolePractitioner, amendment).Amends.ID)

	withdrawn := w.withdraw(t, amendment)
	require.Equal(t, models.RecordStatusWithdrawn, withdrawn.Status())
	require.Equal(t, "Paciente errado", *withdrawn.WithdrawalReason)
	require.Equal(t, "PRACTITIONER@here.test", *withdrawn.WithdrawnBy)
	require.Equal(t, records.Digest(withdrawn), *withdrawn.Digest, "what was signed is as it was signed")
	back := w.state(t, models.RolePractitioner, record)
	require.Equal(t, "SIGNED", back.Status, "an amendment that was withdrawn amends nothing")
	require.Nil(t, back.AmendedBy)
	stored, err := database.Rows[models.MedicalRecord](w.ctx(), w.DB, "SELECT * FROM medical_records WHERE id = $1", record.ID)
	require.NoError(t, err)
	require.Equal(t, *stored[0].Digest, records.Digest(stored[0]))

	// And there may be another.
	second := w.amend(t, record)
	w.sign(t, second)
	require.Equal(t, second.GetID(), w.state(t, models.RolePractitioner, record).AmendedBy.ID)
}

func TestWithdraw_OnlyOnceOnlySignedAndWithAReason(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	draft, signed := w.create(t), w.sign(t, w.create(t))
	try := func(input models.WithdrawMedicalRecordInput) []string {
		_, err := w.chart.Withdraw(w.ctx(), input)
		return mistakes(t, err)
	}
	require.Equal(t, []string{"CONFLICT id"}, try(models.WithdrawMedicalRecordInput{ID: draft.GetID(), Reason: "x"}))
	require.Equal(t, []string{"REQUIRED reason"}, try(models.WithdrawMedicalRecordInput{ID: signed.GetID(), Reason: " "}))
	require.Equal(t, []string{"TOO_LONG reason"}, try(models.WithdrawMedicalRecordInput{ID: signed.GetID(), Reason: strings.Repeat("a", 1001)}))
	require.Equal(t, []string{"STALE expectedVersion"}, try(models.WithdrawMedicalRecordInput{ID: signed.GetID(), Reason: "x", ExpectedVersion: new(1)}))
	require.Equal(t, []string{"NOT_FOUND id"}, try(models.WithdrawMedicalRecordInput{ID: models.KindMedicalRecord.Global(uuid.New()), Reason: "x"}))
	amendment := w.amend(t, signed)
	w.withdraw(t, signed)
	require.Equal(t, []string{"CONFLICT id"}, try(models.WithdrawMedicalRecordInput{ID: signed.GetID(), Reason: "x"}))
	_, err := w.chart.Amend(w.ctx(), models.AmendMedicalRecordInput{ID: signed.GetID(), Reason: "x", Body: "x"})
	require.Equal(t, []string{"CONFLICT id"}, mistakes(t, err))
	_, err = w.chart.Sign(w.ctx(), models.SignMedicalRecordInput{ID: amendment.GetID()})
	require.Equal(t, []string{"CONFLICT id"}, mistakes(t, err), "what it amends was withdrawn meanwhile")
	_, err = w.chart.Discard(w.ctx(), models.DiscardMedicalRecordInput{ID: signed.GetID()})
	require.Equal(t, []string{"IMMUTABLE id"}, mistakes(t, err))
}

// A colleague neither signs nor takes back what is another's; an owner takes back.
func TestRecord_IsItsPractitioners(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	other := func(in *models.CreateMedicalRecordInput) {
		in.PractitionerID = models.KindPractitioner.Global(w.here.Practitioners[1])
	}
	draft := w.create(t, other)
	for _, role := range []models.Role{models.RolePractitioner, models.RoleOwner, models.RoleAdmin} {
		_, err := w.chart.Sign(w.here.As(t.Context(), role), models.SignMedicalRecordInput{ID: draft.GetID()})
		require.Equal(t, []string{"FORBIDDEN id"}, mistakes(t, err), role)
	}
	_, err := w.chart.Discard(w.ctx(), models.DiscardMedicalRecordInput{ID: draft.GetID()})
	require.Equal(t, []string{"FORBIDDEN id"}, mistakes(t, err))
	discarded, err := w.chart.Discard(w.here.As(t.Context(), models.RoleAdmin), models.DiscardMedicalRecordInput{ID: draft.GetID()})
	require.NoError(t, err)
	require.Equal(t, draft.ID, discarded.ID)
	require.Zero(t, w.count(t))

	signed := w.sign(t, w.create(t))
	w.Exec(t, "UPDATE practitioners SET member_id = NULL WHERE id = $1", w.here.Practitioners[0])
	_, err = w.chart.Withdraw(w.ctx(), models.WithdrawMedicalRecordInput{ID: signed.GetID(), Reason: "x"})
	require.Equal(t, []string{"FORBIDDEN id"}, mistakes(t, err))
	_, err = w.chart.Withdraw(w.here.As(t.Context(), models.RoleOwner), models.WithdrawMedicalRecordInput{ID: signed.GetID(), Reason: "x"})
	require.NoError(t, err)
}

func TestDiscard_OnlyWhatWasReadAndOnlyHere(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	draft := w.create(t)
	_, err := w.chart.Discard(w.ctx(), models.DiscardMedicalRecordInput{ID: draft.GetID(), ExpectedVersion: new(7)})
	require.Equal(t, []string{"STALE expectedVersion"}, mistakes(t, err))
	_, err = w.chart.Discard(w.there.As(t.Context(), models.RoleOwner), models.DiscardMedicalRecordInput{ID: draft.GetID()})
	require.Equal(t, []string{"NOT_FOUND id"}, mistakes(t, err))
	_, err = w.chart.Discard(w.ctx(), models.DiscardMedicalRecordInput{ID: draft.GetID(), ExpectedVersion: new(1)})
	require.NoError(t, err)
	require.Zero(t, w.count(t))
}

// Of an amendment that is signed and its original that is withdrawn at once one wins,
// and the other is refused or comes after.
func TestWithdraw_AndSigningItsAmendmentAtOnce(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	for range 10 {
		original := w.sign(t, w.create(t))
		amendment := w.amend(t, original)
		var signing, withdrawing error
		var both sync.WaitGroup
		both.Go(func() { _, signing = w.chart.Sign(w.ctx(), models.SignMedicalRecordInput{ID: amendment.GetID()}) })
		both.Go(func() {
			_, withdrawing = w.chart.Withdraw(w.ctx(), models.WithdrawMedicalRecordInput{ID: original.GetID(), Reason: "x"})
		})
		both.Wait()
		require.NoError(t, withdrawing)
		signed := w.Count(t, "SELECT count(*) FROM medical_records WHERE id = $1 AND signed_at IS NOT NULL", amendment.ID)
		if signing != nil {
			require.Equal(t, []string{"CONFLICT id"}, mistakes(t, signing))
		}
		require.Equal(t, signing == nil, signed == 1)
		require.Equal(t, "WITHDRAWN", w.state(t, models.RolePractitioner, original).Status)
	}
}

func TestDrafts_AreListedUntilTheyAreSignedOrDiscarded(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	here, there := d.NewClinic(t, "here"), d.NewClinic(t, "there")
	d.Exec(t, "UPDATE practitioners SET member_id = (SELECT id FROM memberships WHERE clinic_id = $1 AND role = 'practitioner') WHERE id = $2", here.ID, here.Practitioners[0])
	server := api.NewServer(t, d)
	practitioner := server.As(t, here, models.RolePractitioner)
	write := func(practitionerAt int) string {
		var got struct {
			CreateMedicalRecord struct{ MedicalRecord struct{ ID string } }
		}
		practitioner.Must(t, "mutation ($input: CreateMedicalRecordInput!) { createMedicalRecord(input: $input) { medicalRecord { id } } }", map[string]any{"input": map[string]any{
			"contactId": models.KindContact.Global(here.Contacts[0]), "practitionerId": models.KindPractitioner.Global(here.Practitioners[practitionerAt]),
			"kind": "EVOLUTION", "title": "Asma", "body": "x",
		}}, &got)
		return got.CreateMedicalRecord.MedicalRecord.ID
	}
	drafts := func(of string) []string {
		var got struct {
			RecordDrafts struct{ Nodes []struct{ ID string } }
		}
		practitioner.Must(t, "query ($of: ID) { recordDrafts(practitionerId: $of) { nodes { id } } }", map[string]any{"of": of}, &got)
		ids := []string{}
		for _, node := range got.RecordDrafts.Nodes {
			ids = append(ids, node.ID)
		}
		return ids
	}
	all := func() []string {
		var got struct {
			RecordDrafts struct{ Nodes []struct{ ID string } }
		}
		practitioner.Must(t, "{ recordDrafts { nodes { id } } }", nil, &got)
		ids := []string{}
		for _, node := range got.RecordDrafts.Nodes {
			ids = append(ids, node.ID)
		}
		return ids
	}
	require.Empty(t, all())
	first, second, third := write(0), write(1), write(0)
	require.Equal(t, []string{first, second, third}, all())
	require.Equal(t, []string{first, third}, drafts(models.KindPractitioner.Global(here.Practitioners[0])))
	require.Empty(t, drafts(models.KindPractitioner.Global(there.Practitioners[0])))
	practitioner.Must(t, "mutation ($id: ID!) { signMedicalRecord(input: {id: $id}) { userErrors { code } } }", map[string]any{"id": first}, nil)
	require.Equal(t, []string{second, third}, all(), "what is kept follows")
	practitioner.Must(t, "mutation ($id: ID!) { discardMedicalRecord(input: {id: $id}) { userErrors { code } } }", map[string]any{"id": third}, nil)
	require.Equal(t, []string{second}, all())
	require.Empty(t, drafts(models.KindPractitioner.Global(here.Practitioners[0])))
}

// Promise I8: who may not read what a record says is told nothing of it by its title,
// its digest or a reason, and who may is.
func TestRecord_TellsTheFrontDeskNoDiagnosis(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	record := w.create(t, func(in *models.CreateMedicalRecordInput) { in.Title, in.Body = "HIV positivo", "HIV" })
	w.withdraw(t, w.sign(t, record))
	amendment := w.amend(t, w.sign(t, w.create(t, func(in *models.CreateMedicalRecordInput) { in.Title = "HIV positivo" })))
	allowed, err := rights.New(w.graph.Schema)
	require.NoError(t, err)
	for _, role := range models.AllRole {
		ctx := w.here.As(t.Context(), role)
		may := allowed.May(role, "MedicalRecord", "body")
		require.Equal(t, may, models.ReadsRecords(role), role)
		for _, field := range []string{"digest", "amendmentReason", "withdrawalReason", "codes", "data"} {
			require.Equal(t, may, allowed.May(role, "MedicalRecord", field), "%s %s", role, field)
		}
		if !allowed.May(role, "MedicalRecord", "title") {
			continue
		}
		for _, one := range []*models.MedicalRecord{record, amendment} {
			want := "EVOLUTION"
			if may {
				want = "HIV positivo"
			}
			require.Equal(t, want, w.titleOf(t, ctx, one), role)
		}
	}
}

// titleOf reads nothing but the title, below the contact.
func (w *ward) titleOf(t *testing.T, ctx context.Context, record *models.MedicalRecord) string { //nolint:revive // a test comes first
	t.Helper()
	var got struct {
		Contact struct {
			MedicalRecords struct{ Nodes []struct{ ID, Title string } }
		}
	}
	w.graph.Must(t, ctx, "query ($id: ID!) { contact(id: $id) { medicalRecords { nodes { id title } } } }",
		map[string]any{"id": models.KindContact.Global(record.ContactID)}, &got)
	for _, node := range got.Contact.MedicalRecords.Nodes {
		if node.ID == record.GetID() {
			return node.Title
		}
	}
	return ""
}
