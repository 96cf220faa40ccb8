package records

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// reference is a global id of an input.
type reference struct {
	field, global string
	kind          models.Kind
	id            uuid.UUID
	wellFormed    bool
}

func newReference(field string, kind models.Kind, global string) reference {
	id, err := kind.Parse(global)
	return reference{field: field, global: global, kind: kind, id: id, wellFormed: err == nil}
}

// check notes what is wrong with a reference: malformed is INVALID, what the
// clinic does not have NOT_FOUND, be it another's or nobody's.
func (r reference) check(in *validate.Input, found bool) {
	switch {
	case !r.wellFormed:
		in.ID(r.field, r.kind, r.global)
	case !found:
		in.Add(models.UserErrorCodeNotFound, r.field, "there is no "+r.kind.Words()+" with this id")
	}
}

// found tells which of a draft's references the clinic has.
type found struct {
	Contact, Practitioner bool
	// AppointmentContact is whose the appointment is, nil if there is none.
	AppointmentContact *uuid.UUID
}

// refer puts the ids of an input into the draft and notes what is wrong with
// them. All are looked up in one statement.
func refer(
	ctx context.Context, tx *gorm.DB, in *validate.Input, input models.CreateMedicalRecordInput, draft *models.MedicalRecord,
) error {
	scope, err := tenant.From(ctx)
	if err != nil {
		return err
	}
	contact := newReference("contactId", models.KindContact, input.ContactID)
	practitioner := newReference("practitionerId", models.KindPractitioner, input.PractitionerID)
	draft.ContactID, draft.PractitionerID = contact.id, practitioner.id
	var appointment reference
	if input.AppointmentID != nil {
		appointment = newReference("appointmentId", models.KindAppointment, *input.AppointmentID)
		draft.AppointmentID = &appointment.id
	}
	var there found
	err = tx.Raw(`SELECT
		EXISTS (SELECT FROM contacts WHERE clinic_id = @clinic AND id = @contact) AS contact,
		EXISTS (SELECT FROM practitioners WHERE clinic_id = @clinic AND id = @practitioner) AS practitioner,
		(SELECT contact_id FROM appointments WHERE clinic_id = @clinic AND id = @appointment) AS appointment_contact`,
		map[string]any{
			"clinic": scope.ClinicID, "contact": contact.id, "practitioner": practitioner.id, "appointment": draft.AppointmentID,
		}).Find(&there).Error
	if err != nil {
		return err
	}
	contact.check(in, there.Contact)
	practitioner.check(in, there.Practitioner)
	if input.AppointmentID != nil {
		appointment.check(in, there.AppointmentContact != nil)
		if there.Contact && there.AppointmentContact != nil && *there.AppointmentContact != contact.id {
			in.Add(models.UserErrorCodeConflict, "appointmentId", "the appointment is another contact's", *input.AppointmentID)
		}
	}
	return nil
}

// lockDraft locks the record of a global id and notes why it is none that may
// change. Where it notes something the record may be an empty one.
func lockDraft(tx *gorm.DB, in *validate.Input, global string, expectedVersion *int) (*models.MedicalRecord, error) {
	record, there, err := lock(tx, in, global)
	switch {
	case err != nil || !there:
		return record, err
	case record.SignedAt != nil:
		in.Add(models.UserErrorCodeImmutable, "id", "this record is signed and can no longer change: amend it", global)
	case expectedVersion != nil && *expectedVersion != record.Version:
		in.Add(models.UserErrorCodeStale, "expectedVersion", "somebody changed this record since you read it: read it again", global)
	}
	return record, nil
}

// lockAmendable is lockDraft for a signed record that nobody amended yet.
func lockAmendable(tx *gorm.DB, in *validate.Input, global string) (*models.MedicalRecord, error) {
	record, there, err := lock(tx, in, global)
	if err != nil || !there {
		return record, err
	}
	if record.SignedAt == nil {
		in.Add(models.UserErrorCodeConflict, "id", "this record is a draft: change it instead", global)
		return record, nil
	}
	if record.WithdrawnAt != nil {
		in.Add(models.UserErrorCodeConflict, "id", "this record was withdrawn: write another", global)
		return record, nil
	}
	// Read after the lock: of two who amend at once, the second sees the first's.
	var amendments []uuid.UUID
	err = tx.Model(&models.MedicalRecord{}).Where("amends_id = ? AND withdrawn_at IS NULL", record.ID).Pluck("id", &amendments).Error
	if err != nil {
		return nil, err
	}
	if len(amendments) > 0 {
		in.Add(models.UserErrorCodeConflict, "id", "this record is amended already: amend its amendment",
			models.KindMedicalRecord.Global(amendments[0]))
	}
	return record, nil
}

// lock reads a record FOR UPDATE and notes where there is none.
func lock(tx *gorm.DB, in *validate.Input, global string) (record *models.MedicalRecord, there bool, err error) {
	record = &models.MedicalRecord{}
	wanted := newReference("id", models.KindMedicalRecord, global)
	if wanted.wellFormed {
		err = tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("id = ?", wanted.id).Take(record).Error
		if err != nil && !errors.Is(err, gorm.ErrRecordNotFound) {
			return nil, false, err
		}
	}
	there = wanted.wellFormed && err == nil
	wanted.check(in, there)
	return record, there, nil
}
