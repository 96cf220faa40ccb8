package records

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// Withdraw says of a signed record that it should not be there, and why. It stays as it
// is, and no longer counts: nothing amends it, and what it amended is as it was.
func (c *Chart) Withdraw(ctx context.Context, input models.WithdrawMedicalRecordInput) (*models.MedicalRecord, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var withdrawn *models.MedicalRecord
	err = c.db.InTenant(ctx, func(tx *gorm.DB) error {
		var in validate.Input
		record, there, err := lock(tx, &in, input.ID)
		if err != nil {
			return err
		}
		switch {
		case !there:
		case record.SignedAt == nil:
			in.Add(models.UserErrorCodeConflict, "id", "this record is a draft: discard it instead", input.ID)
		case record.WithdrawnAt != nil:
			in.Add(models.UserErrorCodeConflict, "id", "this record is withdrawn already", input.ID)
		case input.ExpectedVersion != nil && *input.ExpectedVersion != record.Version:
			in.Add(models.UserErrorCodeStale, "expectedVersion", "somebody changed this record since you read it: read it again", input.ID)
		}
		reason := in.RequiredLines("reason", input.Reason, longestReason)
		if err := mayTakeBack(tx, &in, scope, record); err != nil {
			return err
		}
		if err := in.Err(); err != nil {
			return err
		}
		withdrawn = record
		return tx.Model(record).Clauses(clause.Returning{}).Updates(map[string]any{
			"withdrawn_at": c.now().UTC().Truncate(time.Microsecond), "withdrawn_by": scope.Subject, "withdrawal_reason": reason,
		}).Error
	})
	if err != nil {
		return nil, err
	}
	return withdrawn, nil
}

// Discard deletes a draft with its attachments, and gives it as it was. A signed record is IMMUTABLE.
func (c *Chart) Discard(ctx context.Context, input models.DiscardMedicalRecordInput) (*models.MedicalRecord, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var discarded *models.MedicalRecord
	err = c.db.InTenant(ctx, func(tx *gorm.DB) error {
		var in validate.Input
		draft, err := lockDraft(tx, &in, input.ID, input.ExpectedVersion)
		if err != nil {
			return err
		}
		if err := mayTakeBack(tx, &in, scope, draft); err != nil {
			return err
		}
		if err := in.Err(); err != nil {
			return err
		}
		discarded = draft
		// Its files go with it: triggers note what is to leave the store after the commit.
		for _, statement := range []string{
			"DELETE FROM attachment_uploads WHERE clinic_id = ? AND medical_record_id = ?",
			"DELETE FROM attachments WHERE clinic_id = ? AND medical_record_id = ?",
		} {
			if err := tx.Exec(statement, draft.ClinicID, draft.ID).Error; err != nil {
				return err
			}
		}
		return tx.Where("id = ?", draft.ID).Delete(&models.MedicalRecord{}).Error
	})
	if err != nil {
		return nil, err
	}
	return discarded, nil
}

// mayTakeBack notes where a record, unless it is an empty one, is another
// practitioner's: owners and admins may discard and withdraw any.
func mayTakeBack(tx *gorm.DB, in *validate.Input, scope *tenant.Scope, record *models.MedicalRecord) error {
	if scope.Role != models.RolePractitioner || record.Version == 0 {
		return nil
	}
	var own bool
	err := tx.Raw(`SELECT EXISTS (SELECT FROM practitioners p JOIN memberships m ON m.clinic_id = p.clinic_id AND m.id = p.member_id
		WHERE p.clinic_id = @clinic AND p.id = @practitioner AND m.subject = @subject AND m.revoked_at IS NULL)`,
		map[string]any{"clinic": scope.ClinicID, "practitioner": record.PractitionerID, "subject": scope.Subject}).Find(&own).Error
	if err == nil && !own {
		in.Add(models.UserErrorCodeForbidden, "id", "this record is another practitioner's: they, an owner or an admin may do this")
	}
	return err
}
