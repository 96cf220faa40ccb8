package records

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// Create writes a draft and returns it as the database has it. Mistakes of the
// input come back as models.Invalid, and then nothing was written; so in all
// use cases.
func (c *Chart) Create(ctx context.Context, input models.CreateMedicalRecordInput) (*models.MedicalRecord, error) {
	var created *models.MedicalRecord
	err := c.db.InTenant(ctx, func(tx *gorm.DB) error {
		var in validate.Input
		draft := &models.MedicalRecord{ID: models.NewID(), Kind: input.Kind}
		if err := checkReferences(ctx, tx, &in, input, draft); err != nil {
			return err
		}
		draft.Title = in.RequiredText("title", input.Title, longestTitle)
		draft.Body = in.RequiredText("body", input.Body, longestBody)
		draft.Codes = checkCodes(&in, input.Codes)
		draft.Data = checkData(&in, input.Data)
		if err := in.Err(); err != nil {
			return err
		}
		created = draft
		return tx.Clauses(clause.Returning{}).Create(draft).Error
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// references tells which of a draft's references this clinic has.
type references struct {
	Contact, Practitioner bool
	// AppointmentContact is whose the appointment is, nil if there is none.
	AppointmentContact *uuid.UUID
}

// checkReferences puts the ids of an input into the draft. What is malformed
// is INVALID, what the clinic does not have NOT_FOUND, be it another's or
// nobody's.
func checkReferences(
	ctx context.Context, tx *gorm.DB, in *validate.Input, input models.CreateMedicalRecordInput, draft *models.MedicalRecord,
) error {
	scope, err := tenant.From(ctx)
	if err != nil {
		return err
	}
	var malformed [3]error
	draft.ContactID, malformed[0] = models.KindContact.Parse(input.ContactID)
	draft.PractitionerID, malformed[1] = models.KindPractitioner.Parse(input.PractitionerID)
	if input.AppointmentID != nil {
		var id uuid.UUID
		id, malformed[2] = models.KindAppointment.Parse(*input.AppointmentID)
		draft.AppointmentID = &id
	}
	var found references
	err = tx.Raw(`SELECT
		EXISTS (SELECT FROM contacts WHERE clinic_id = @clinic AND id = @contact) AS contact,
		EXISTS (SELECT FROM practitioners WHERE clinic_id = @clinic AND id = @practitioner) AS practitioner,
		(SELECT contact_id FROM appointments WHERE clinic_id = @clinic AND id = @appointment) AS appointment_contact`,
		map[string]any{
			"clinic": scope.ClinicID, "contact": draft.ContactID,
			"practitioner": draft.PractitionerID, "appointment": draft.AppointmentID,
		}).Scan(&found).Error
	if err != nil {
		return err
	}
	if in.ID("contactId", models.KindContact, input.ContactID); malformed[0] == nil && !found.Contact {
		in.Add(models.UserErrorCodeNotFound, "contactId", "there is no contact with this id")
	}
	if in.ID("practitionerId", models.KindPractitioner, input.PractitionerID); malformed[1] == nil && !found.Practitioner {
		in.Add(models.UserErrorCodeNotFound, "practitionerId", "there is no practitioner with this id")
	}
	if input.AppointmentID == nil {
		return nil
	}
	switch in.ID("appointmentId", models.KindAppointment, *input.AppointmentID); {
	case malformed[2] != nil:
	case found.AppointmentContact == nil:
		in.Add(models.UserErrorCodeNotFound, "appointmentId", "there is no appointment with this id")
	case found.Contact && *found.AppointmentContact != draft.ContactID:
		in.Add(models.UserErrorCodeConflict, "appointmentId", "the appointment is another contact's", *input.AppointmentID)
	}
	return nil
}

// Update changes a draft: what the input leaves out stays. A signed record is
// IMMUTABLE.
func (c *Chart) Update(ctx context.Context, input models.UpdateMedicalRecordInput) (*models.MedicalRecord, error) {
	var updated *models.MedicalRecord
	err := c.db.InTenant(ctx, func(tx *gorm.DB) error {
		var in validate.Input
		draft, err := lockDraft(tx, &in, input.ID, input.ExpectedVersion)
		if err != nil {
			return err
		}
		changes := map[string]any{}
		if title, given := input.Title.ValueOK(); given {
			changes["title"] = requiredText(&in, "title", title, longestTitle)
		}
		if body, given := input.Body.ValueOK(); given {
			changes["body"] = requiredText(&in, "body", body, longestBody)
		}
		if codes, given := input.Codes.ValueOK(); given {
			changes["codes"] = models.Texts(requiredCodes(&in, codes))
		}
		if data, given := input.Data.ValueOK(); given {
			changes["data"] = checkData(&in, data)
		}
		if err := in.Err(); err != nil {
			return err
		}
		updated = draft
		if len(changes) == 0 {
			return nil
		}
		return tx.Model(draft).Clauses(clause.Returning{}).Updates(changes).Error
	})
	if err != nil {
		return nil, err
	}
	return updated, nil
}

// Sign gives a draft its digest, after which it never changes again. The
// scope's subject signs, at the Chart's time to the microsecond.
func (c *Chart) Sign(ctx context.Context, input models.SignMedicalRecordInput) (*models.MedicalRecord, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var signed *models.MedicalRecord
	err = c.db.InTenant(ctx, func(tx *gorm.DB) error {
		var in validate.Input
		draft, err := lockDraft(tx, &in, input.ID, input.ExpectedVersion)
		if err != nil {
			return err
		}
		if err := in.Err(); err != nil {
			return err
		}
		at, by := c.now().UTC().Truncate(time.Microsecond), scope.Subject
		draft.SignedAt, draft.SignedBy = &at, &by
		signed = draft
		return tx.Model(draft).Clauses(clause.Returning{}).Updates(map[string]any{
			"signed_at": at, "signed_by": by, "digest": Digest(draft),
		}).Error
	})
	if err != nil {
		return nil, err
	}
	return signed, nil
}

// Amend corrects a signed record by a new draft that points at it and takes
// over what the input leaves out. A draft, and a record that is amended
// already, are a CONFLICT: the latter names the amendment.
func (c *Chart) Amend(ctx context.Context, input models.AmendMedicalRecordInput) (*models.MedicalRecord, error) {
	var amendment *models.MedicalRecord
	err := c.db.InTenant(ctx, func(tx *gorm.DB) error {
		var in validate.Input
		original, err := lockAmendable(tx, &in, input.ID)
		if err != nil {
			return err
		}
		reason := in.RequiredText("reason", input.Reason, longestReason)
		draft := &models.MedicalRecord{
			ID: models.NewID(), ContactID: original.ContactID, PractitionerID: original.PractitionerID,
			AppointmentID: original.AppointmentID, Kind: original.Kind,
			Title: original.Title, Codes: original.Codes, Data: original.Data,
			AmendsID: &original.ID, AmendmentReason: &reason,
		}
		if title, given := input.Title.ValueOK(); given {
			draft.Title = requiredText(&in, "title", title, longestTitle)
		}
		draft.Body = in.RequiredText("body", input.Body, longestBody)
		if codes, given := input.Codes.ValueOK(); given {
			draft.Codes = requiredCodes(&in, codes)
		}
		if data, given := input.Data.ValueOK(); given {
			draft.Data = checkData(&in, data)
		}
		if err := in.Err(); err != nil {
			return err
		}
		amendment = draft
		return tx.Clauses(clause.Returning{}).Create(draft).Error
	})
	if err != nil {
		return nil, err
	}
	return amendment, nil
}

// lockDraft locks the record of a global id and notes why it is none that may
// change. Where it notes something the record may be an empty one.
func lockDraft(tx *gorm.DB, in *validate.Input, global string, expectedVersion *int) (*models.MedicalRecord, error) {
	record, found, err := lock(tx, in, global)
	switch {
	case err != nil || !found:
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
	record, found, err := lock(tx, in, global)
	if err != nil || !found {
		return record, err
	}
	if record.SignedAt == nil {
		in.Add(models.UserErrorCodeConflict, "id", "this record is a draft: change it instead", global)
		return record, nil
	}
	// Read after the lock: of two who amend at once, the second sees the first's.
	var amendments []uuid.UUID
	err = tx.Model(&models.MedicalRecord{}).Where("amends_id = ?", record.ID).Pluck("id", &amendments).Error
	if err != nil {
		return nil, err
	}
	if len(amendments) > 0 {
		in.Add(models.UserErrorCodeConflict, "id", "this record is amended already: amend its amendment",
			models.KindMedicalRecord.Global(amendments[0]))
	}
	return record, nil
}

// lock reads a record FOR UPDATE.
func lock(tx *gorm.DB, in *validate.Input, global string) (record *models.MedicalRecord, found bool, err error) {
	record = &models.MedicalRecord{}
	id, malformed := models.KindMedicalRecord.Parse(global)
	if malformed != nil {
		in.ID("id", models.KindMedicalRecord, global)
		return record, false, nil
	}
	err = tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("id = ?", id).Take(record).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		in.Add(models.UserErrorCodeNotFound, "id", "there is no medical record with this id")
		return record, false, nil
	}
	return record, err == nil, err
}

// requiredText is a text that was given, if only as null.
func requiredText(in *validate.Input, field string, text *string, longest int) string {
	if text == nil {
		return in.RequiredText(field, "", longest)
	}
	return in.RequiredText(field, *text, longest)
}

// requiredCodes refuses null, which is not the same as no codes.
func requiredCodes(in *validate.Input, codes []string) []string {
	if codes == nil {
		in.Add(models.UserErrorCodeRequired, "codes", "this must not be null; an empty list removes the codes")
		return nil
	}
	return checkCodes(in, codes)
}
