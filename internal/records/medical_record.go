package records

import (
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// MedicalRecord is a draft, or signed and then immutable, as it is read.
func MedicalRecord() entity.Declaration {
	return entity.Noun[models.MedicalRecord]{
		Kind: models.KindMedicalRecord,
		One: map[string]entity.One{
			"contact":      {Kind: models.KindContact, Column: "contact_id"},
			"practitioner": {Kind: models.KindPractitioner, Column: "practitioner_id"},
			"appointment":  {Kind: models.KindAppointment, Column: "appointment_id"},
			"amends":       {Kind: models.KindMedicalRecord, Column: "amends_id"},
		},
		Lists: []entity.List{
			{Field: "Query.medicalRecords", Order: "created_at", Desc: true, Filter: ofContact, Depends: dependsOnContact},
			{Field: "Contact.medicalRecords", Parent: "contact_id", Order: "created_at", Desc: true, Filter: kinds},
			{Field: "Appointment.medicalRecords", Parent: "appointment_id", Order: "created_at", Desc: true},
		},
		First: []entity.First{{Field: "MedicalRecord.amendedBy", Parent: "amends_id", Order: "created_at"}},
	}
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
