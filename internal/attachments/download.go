package attachments

import (
	"context"
	"io"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/attachments/store"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// Opened is a file that somebody reads. Close it.
type Opened struct {
	*models.Attachment
	io.ReadSeekCloser
}

// Open opens the file of an address's end for whom it was given to, if they may still
// read it, and writes into the audit trail that they did. Everything else is
// models.ErrNotFound: what was never there, what is another clinic's, what has ended.
func (f *Files) Open(ctx context.Context, name string) (*Opened, error) {
	said, ok := f.links.read(f.Server, name)
	if !ok || f.Store == nil || !f.Now().Before(said.until) {
		return nil, models.ErrNotFound
	}
	ctx, err := f.standing(ctx, said.clinic, said.subject)
	if err != nil {
		return nil, err
	}
	type found struct {
		models.Attachment

		ContactID uuid.UUID
	}
	rows, err := database.Rows[found](ctx, f.DB, `SELECT a.clinic_id, a.id, a.medical_record_id, a.file_name, a.media_type, a.byte_size, a.digest, a.created_at, r.contact_id
		FROM attachments a JOIN medical_records r ON r.clinic_id = a.clinic_id AND r.id = a.medical_record_id
		WHERE a.clinic_id = $1 AND a.id = $2`, said.clinic, said.attachment)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, models.ErrNotFound
	}
	row := &rows[0].Attachment
	object, err := f.Store.Open(ctx, store.Name{Clinic: row.ClinicID, ID: row.ID}, int64(row.ByteSize))
	if err != nil {
		return nil, err
	}
	// Before anything is read: what nobody could write down nobody gets.
	if err := f.audit(ctx, row, rows[0].ContactID); err != nil {
		_ = object.Close()
		return nil, err
	}
	f.Counted.Downloaded(row.ByteSize)
	return &Opened{row, object}, nil
}

// audit notes that the scope's subject reads a file, of which record, about whom.
func (f *Files) audit(ctx context.Context, row *models.Attachment, contact uuid.UUID) error {
	scope, err := tenant.From(ctx)
	if err != nil {
		return err
	}
	ids := models.Texts{row.GetID(), models.KindMedicalRecord.Global(row.MedicalRecordID), models.KindContact.Global(contact)}
	return f.DB.InTenant(ctx, func(tx *gorm.DB) error {
		return tx.Exec(`INSERT INTO audit_events (clinic_id, id, actor, role, action, entity_ids, operation, request_id)
			VALUES (?, ?, ?, ?, 'read', ?, 'attachment', ?)`,
			scope.ClinicID, models.NewID(), scope.Subject, scope.Role, ids, requestid.From(ctx)).Error
	})
}
