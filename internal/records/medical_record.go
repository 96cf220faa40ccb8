package records

import (
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// MedicalRecord is a draft, or signed and then immutable, as it is read.
func MedicalRecord() entity.Declaration {
	return entity.Noun[models.MedicalRecord]{
		Kind: models.KindMedicalRecord,
		Columns: map[string][]string{
			"status": {"signed_at", "amended_at", "withdrawn_at"},
			"title":  {"title", "kind"},
		},
		// A title may name what somebody has.
		Mask: func(scope *tenant.Scope, row *models.MedicalRecord) {
			if !models.ReadsRecords(scope.Role) {
				row.Title = string(row.Kind)
			}
		},
		One: map[string]entity.One{
			"contact":      {Kind: models.KindContact, Column: "contact_id"},
			"practitioner": {Kind: models.KindPractitioner, Column: "practitioner_id"},
			"appointment":  {Kind: models.KindAppointment, Column: "appointment_id"},
			"amends":       {Kind: models.KindMedicalRecord, Column: "amends_id"},
			"signedBy":     {Kind: models.KindMember, Column: "signed_by_id"},
		},
		Lists: []entity.List{
			{Field: "Query.medicalRecords", Order: "created_at", Desc: true, Filter: ofContact, Depends: dependsOnContact},
			{Field: "Query.recordDrafts", Order: "created_at", Where: "signed_at IS NULL", Filter: ofPractitioner, Depends: dependsOnDrafts},
			{Field: "Contact.medicalRecords", Parent: "contact_id", Order: "created_at", Desc: true, Filter: kinds},
			{Field: "Appointment.medicalRecords", Parent: "appointment_id", Order: "created_at", Desc: true},
		},
		First: []entity.First{{Field: "MedicalRecord.amendedBy", Parent: "amends_id", Order: "created_at", Filter: counting}},
	}
}

// counting are records that were not withdrawn; there is one amendment of these at most.
func counting(q *entity.Query, _ *entity.Reading) { q.Where("withdrawn_at IS NULL") }

func ofPractitioner(q *entity.Query, args entity.Args) error {
	return q.PointsAt("practitioner_id", "practitionerId", models.KindPractitioner, entity.Arg[*string](args, "practitionerId"))
}

func dependsOnDrafts(r *entity.Reading, _ *entity.Ask) error {
	r.Depends(touched.Of("medical_record/drafts"))
	return nil
}

func kinds(q *entity.Query, args entity.Args) error {
	return entity.In(q, "kind", entity.Arg[[]models.RecordKind](args, "kind"))
}

func ofContact(q *entity.Query, args entity.Args) error {
	contact := entity.Arg[string](args, "contactId")
	if err := q.PointsAt("contact_id", "contactId", models.KindContact, &contact); err != nil {
		return err
	}
	return kinds(q, args)
}

func dependsOnContact(r *entity.Reading, ask *entity.Ask) error {
	contact, err := models.KindContact.Parse(entity.Arg[string](ask.Args, "contactId"))
	if err != nil {
		return err
	}
	r.Depends(touched.OnID("medical_record", "contact", contact))
	return nil
}
