package attachments

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/attachments/store"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/models"
)

// Awaited is a file for which an address was given out and not used yet.
type Awaited struct {
	files *Files
	row   *upload
	// ctx is of who asked for it, as they are now.
	//nolint:containedctx // it is one request's
	ctx context.Context
}

// Size is how many bytes are to come.
func (a *Awaited) Size() int { return a.row.ByteSize }

// Clinic names the clinic, to count by.
func (a *Awaited) Clinic() string { return a.row.ClinicID.String() }

// Await looks at the end of an address to upload to: models.ErrNotFound if it was never
// given out, or who asked for it may not any more; ErrUsed; ErrLate.
func (f *Files) Await(ctx context.Context, token string) (*Awaited, error) {
	if f.Store == nil {
		return nil, models.ErrNotFound
	}
	clinic, _, ok := clinicOf(token)
	if !ok || len(token) != tokenChars {
		return nil, models.ErrNotFound
	}
	rows, err := database.Rows[struct {
		upload

		Late bool
	}](forClinic(ctx, clinic), f.DB, `SELECT clinic_id, id, medical_record_id, file_name, media_type, byte_size, digest, requested_by, expires_at, taken_at, expires_at <= clock_timestamp() AS late
		FROM attachment_uploads WHERE clinic_id = $1 AND token_hash = $2`, clinic, hashOf(token))
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, models.ErrNotFound
	}
	row := rows[0]
	switch {
	case row.TakenAt != nil:
		return nil, ErrUsed
	case row.Late:
		return nil, ErrLate
	}
	ctx, err = f.standing(ctx, clinic, row.RequestedBy)
	if err != nil {
		return nil, err
	}
	return &Awaited{f, &row.upload, ctx}, nil
}

// Receive keeps a file, if it is what was announced. Of several who use an address one
// does, and the others are told ErrUsed. No connection of the database's is held while
// the bytes come in.
func (a *Awaited) Receive(ctx context.Context, body io.Reader) (*models.Attachment, error) {
	made, err := a.receive(ctx, body)
	a.files.Counted.Uploaded(outcome(err), a.row.ByteSize)
	return made, err
}

func (a *Awaited) receive(ctx context.Context, body io.Reader) (*models.Attachment, error) {
	f := a.files
	if err := a.take(); err != nil {
		return nil, err
	}
	f.at("taken")
	if err := a.keep(ctx, body); err != nil {
		a.end(ctx)
		return nil, err
	}
	f.at("stored")
	made, err := a.finish() //nolint:contextcheck // in the context of whom the address was given to
	switch {
	case err == nil:
		f.at("kept")
		return made, nil
	case outcomeUnknown(err):
		// It may be committed: whether the object stays is told by the row, later.
		return nil, err
	}
	a.end(ctx)
	// Its row, if it is gone already, has left word for the sweeper, too.
	if removed := f.Store.Remove(context.WithoutCancel(ctx), a.name()); removed != nil {
		f.Log.WarnContext(ctx, "a refused file could not be removed yet", slog.Any("error", removed))
	}
	return nil, err
}

func outcomeUnknown(err error) bool {
	known, ok := errors.AsType[*models.Error](err)
	return ok && known.Code == models.OutcomeUnknown
}

func (a *Awaited) name() store.Name { return store.Name{Clinic: a.row.ClinicID, ID: a.row.ID} }

// take uses the address: one caller does.
func (a *Awaited) take() error {
	return a.files.DB.InTenant(a.ctx, func(tx *gorm.DB) error {
		taken := tx.Exec(`UPDATE attachment_uploads SET taken_at = clock_timestamp()
			WHERE clinic_id = ? AND id = ? AND taken_at IS NULL AND expires_at > clock_timestamp()`, a.row.ClinicID, a.row.ID)
		if taken.Error == nil && taken.RowsAffected == 0 {
			return ErrUsed
		}
		return taken.Error
	})
}

// keep puts what comes into the store, if it is what was announced.
func (a *Awaited) keep(ctx context.Context, body io.Reader) error {
	checked, err := newContent(body, a.row.ByteSize, a.row.Digest, a.row.MediaType)
	if err != nil {
		return err
	}
	return a.files.Store.Put(ctx, a.name(), int64(a.row.ByteSize), checked)
}

// finish makes an attachment of what was stored.
func (a *Awaited) finish() (*models.Attachment, error) {
	made := a.row.attachment()
	// The upload's own context may be at its end by now.
	ctx, done := context.WithTimeout(context.WithoutCancel(a.ctx), 10*time.Second)
	defer done()
	err := a.files.DB.InTenant(ctx, func(tx *gorm.DB) error {
		made = a.row.attachment()
		// The record first, as those do who discard and sign it.
		if err := lockDraft(tx, a.row.MedicalRecordID, ""); err != nil {
			return err
		}
		ended := tx.Exec("UPDATE attachment_uploads SET ended_at = clock_timestamp() WHERE clinic_id = ? AND id = ? AND ended_at IS NULL", a.row.ClinicID, a.row.ID)
		if ended.Error != nil {
			return ended.Error
		}
		if ended.RowsAffected == 0 {
			return ErrGone
		}
		return tx.Clauses(clause.Returning{}).Create(made).Error
	})
	if refused, ok := errors.AsType[models.Invalid](err); ok {
		if refused[0].Code == models.UserErrorCodeImmutable {
			return nil, ErrSigned
		}
		return nil, ErrGone
	}
	if err != nil {
		return nil, err
	}
	return made, nil
}

// end says that nothing came of an upload: its record has room for another. Where that
// cannot be said now, the row is cleared after its time.
func (a *Awaited) end(ctx context.Context) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	err := a.files.DB.InTenant(forClinic(ctx, a.row.ClinicID), func(tx *gorm.DB) error {
		return tx.Exec("UPDATE attachment_uploads SET ended_at = clock_timestamp() WHERE clinic_id = ? AND id = ? AND ended_at IS NULL", a.row.ClinicID, a.row.ID).Error
	})
	if err != nil {
		a.files.Log.WarnContext(ctx, "an upload's end could not be noted", slog.Any("error", err))
	}
}
