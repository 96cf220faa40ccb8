package records

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
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
		if err := refer(ctx, tx, &in, input, draft); err != nil {
			return err
		}
		draft.Title = in.RequiredText("title", input.Title, longestTitle)
		draft.Body = in.RequiredLines("body", input.Body, longestBody)
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
			changes["title"] = in.RequiredText("title", orEmpty(title), longestTitle)
		}
		if body, given := input.Body.ValueOK(); given {
			changes["body"] = in.RequiredLines("body", orEmpty(body), longestBody)
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

// Sign gives a draft its digest, after which it never changes again, nor do its
// attachments, which are signed with it. The
// scope's subject signs, at the Chart's time to the microsecond; Postgres sees to it
// that they are the member who is the record's practitioner.
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
		// Under the draft's lock: none comes or goes before this is committed.
		var files []*models.Attachment
		if err := tx.Where("medical_record_id = ?", draft.ID).Find(&files).Error; err != nil {
			return err
		}
		at, by := c.now().UTC().Truncate(time.Microsecond), scope.Subject
		draft.SignedAt, draft.Signer = &at, &by
		signed = draft
		return tx.Model(draft).Clauses(clause.Returning{}).Updates(map[string]any{
			"signed_at": at, "signed_by": by, "digest": Digest(draft, files...),
		}).Error
	})
	switch constraint, _ := database.Violation(err); constraint {
	case "medical_records_signer":
		return nil, models.Refuse(models.UserErrorCodeForbidden, "id", "only the member of the clinic who is the record's practitioner signs it")
	case "medical_records_amends_withdrawn":
		return nil, models.Refuse(models.UserErrorCodeConflict, "id", "the record that this one amends was withdrawn: discard it")
	}
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
		reason := in.RequiredLines("reason", input.Reason, longestReason)
		draft := &models.MedicalRecord{
			ID: models.NewID(), ContactID: original.ContactID, PractitionerID: original.PractitionerID,
			AppointmentID: original.AppointmentID, Kind: original.Kind,
			Title: original.Title, Codes: original.Codes, Data: original.Data,
			AmendsID: &original.ID, AmendmentReason: &reason,
		}
		if title, given := input.Title.ValueOK(); given {
			draft.Title = in.RequiredText("title", orEmpty(title), longestTitle)
		}
		draft.Body = in.RequiredLines("body", input.Body, longestBody)
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

// orEmpty is a text that was given, if only as null.
func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// requiredCodes refuses null, which is not the same as no codes.
func requiredCodes(in *validate.Input, codes []string) []string {
	if codes == nil {
		in.Add(models.UserErrorCodeRequired, "codes", "this must not be null; an empty list removes the codes")
		return nil
	}
	return checkCodes(in, codes)
}
