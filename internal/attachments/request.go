package attachments

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// upload is a file that is awaited.
type upload struct {
	ClinicID        uuid.UUID `gorm:"primaryKey;<-:create"`
	ID              uuid.UUID `gorm:"primaryKey;<-:create"`
	MedicalRecordID uuid.UUID `gorm:"<-:create"`
	FileName        string    `gorm:"<-:create"`
	MediaType       string    `gorm:"<-:create"`
	ByteSize        int       `gorm:"<-:create"`
	Digest          string    `gorm:"<-:create"`
	TokenHash       []byte    `gorm:"<-:create"`
	RequestedBy     string    `gorm:"<-:create"`
	ExpiresAt       time.Time `gorm:"<-:create"`
	TakenAt         *time.Time
	EndedAt         *time.Time
}

// TableName implements GORM's Tabler.
func (upload) TableName() string { return "attachment_uploads" }

func (u *upload) attachment() *models.Attachment {
	return &models.Attachment{
		ClinicID: u.ClinicID, ID: u.ID, MedicalRecordID: u.MedicalRecordID,
		FileName: u.FileName, MediaType: u.MediaType, ByteSize: u.ByteSize, Digest: u.Digest,
	}
}

// Requested is an address to upload to.
type Requested struct {
	// Attachment is what will be there.
	Attachment *models.Attachment
	URL        string
	ExpiresAt  time.Time
}

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Request gives an address at which a draft's file can be put. Mistakes come back as
// models.Invalid, and then nothing was written.
func (f *Files) Request(ctx context.Context, input models.RequestAttachmentUploadInput) (*Requested, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	if f.Store == nil {
		return nil, &models.Error{Code: models.Unavailable, Message: "this server keeps no files: ask its operator for a store of attachments", Cause: errNoStore}
	}
	var in validate.Input
	wanted := &upload{
		ID: models.NewID(), MedicalRecordID: in.ID("medicalRecordId", models.KindMedicalRecord, input.MedicalRecordID),
		FileName: fileName(&in, input.FileName), MediaType: mediaType(&in, input.MediaType),
		ByteSize: input.ByteSize, Digest: strings.ToLower(input.Digest), RequestedBy: scope.Subject,
	}
	switch {
	case input.ByteSize < 1:
		in.Add(models.UserErrorCodeInvalid, "byteSize", "a file has at least one byte")
	case input.ByteSize > f.Largest:
		in.Add(models.UserErrorCodeLimit, "byteSize", fmt.Sprintf("a file may have %d bytes at most", f.Largest))
	}
	if !hexDigest.MatchString(wanted.Digest) {
		in.Add(models.UserErrorCodeInvalid, "digest", "this is no SHA-256 of 64 hexadecimal digits")
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	token := newToken(scope.ClinicID)
	wanted.TokenHash = hashOf(token)
	err = f.DB.InTenant(ctx, func(tx *gorm.DB) error {
		if err := lockDraft(tx, wanted.MedicalRecordID, input.MedicalRecordID); err != nil {
			return err
		}
		// Counted under the draft's lock.
		var count, awaited int64
		if err := tx.Model(&models.Attachment{}).Where("medical_record_id = ?", wanted.MedicalRecordID).Count(&count).Error; err != nil {
			return err
		}
		err := tx.Model(&upload{}).Where("medical_record_id = ? AND ended_at IS NULL AND expires_at > clock_timestamp()", wanted.MedicalRecordID).Count(&awaited).Error
		if err != nil {
			return err
		}
		if count+awaited >= mostPerRecord {
			return models.Refuse(models.UserErrorCodeLimit, "medicalRecordId", fmt.Sprintf("a record has %d attachments at most, those that are awaited included", mostPerRecord))
		}
		if err := f.room(tx, wanted.ByteSize); err != nil {
			return err
		}
		// By Postgres' clock, as it is looked at.
		var clock struct{ At time.Time }
		if err := tx.Raw("SELECT clock_timestamp() + make_interval(secs => ?) AS at", waits.Seconds()).Find(&clock).Error; err != nil {
			return err
		}
		wanted.ExpiresAt = clock.At
		return tx.Clauses(clause.Returning{}).Create(wanted).Error
	})
	if err != nil {
		return nil, err
	}
	made := wanted.attachment()
	made.URL = f.links.address(f.Server, entity.Reader{Scope: scope, Now: f.Now()}, made)
	return &Requested{Attachment: made, URL: f.Server.URL + UploadPath + token, ExpiresAt: wanted.ExpiresAt}, nil
}

// room looks whether a clinic may await another file: what it awaits takes rows, and, while
// it comes in, quarantine. One that was taken counts until it has ended, be it late.
func (f *Files) room(tx *gorm.DB, bytes int) error {
	// One after the other: the last two may not both find room for one.
	if err := tx.Exec("SELECT pg_advisory_xact_lock(hashtextextended('taskmed uploads ' || app_clinic()::text, 0))").Error; err != nil {
		return err
	}
	var awaited struct{ Files, Bytes int64 }
	err := tx.Raw(`SELECT count(*) AS files, coalesce(sum(byte_size), 0) AS bytes FROM attachment_uploads
		WHERE clinic_id = app_clinic() AND ended_at IS NULL AND (taken_at IS NOT NULL OR expires_at > clock_timestamp())`).Take(&awaited).Error
	switch {
	case err != nil:
		return err
	case awaited.Files >= mostAwaited:
		return models.Refuse(models.UserErrorCodeLimit, "", fmt.Sprintf("the clinic awaits %d files, which is the most at once: upload those that were asked for, or wait until their addresses expire, 15 minutes after they were asked for", mostAwaited))
	case awaited.Bytes+int64(bytes) > f.mostAwaitedBytes():
		return models.Refuse(models.UserErrorCodeLimit, "byteSize", fmt.Sprintf("the clinic awaits files of %d bytes and may await %d at once: upload those that were asked for, or wait until their addresses expire, 15 minutes after they were asked for",
			awaited.Bytes, f.mostAwaitedBytes()))
	}
	return nil
}

// mostAwaitedBytes is 2 GiB, or ten of the largest files where those are larger.
func (f *Files) mostAwaitedBytes() int64 { return max(2<<30, 10*int64(f.Largest)) }

// lockDraft holds a draft until the transaction ends: it is not signed meanwhile.
func lockDraft(tx *gorm.DB, id uuid.UUID, global string) error {
	record := &models.MedicalRecord{}
	err := tx.Select("id", "signed_at").Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("id = ?", id).Take(record).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return models.Refuse(models.UserErrorCodeNotFound, "medicalRecordId", "there is no medical record with this id")
	case err != nil:
		return err
	case record.SignedAt != nil:
		return models.Refuse(models.UserErrorCodeImmutable, "medicalRecordId", "this record is signed and can no longer change: amend it, and attach to the amendment", global)
	}
	return nil
}

// fileName is a file's name as it is kept: of one line, without a path and without what
// is not seen.
func fileName(in *validate.Input, name string) string {
	if at := strings.LastIndexAny(name, `/\`); at >= 0 {
		name = name[at+1:]
	}
	name = in.RequiredText("fileName", name, longestName)
	if strings.Trim(name, ". ") == "" && name != "" {
		in.Add(models.UserErrorCodeInvalid, "fileName", "this is no file's name")
	}
	return name
}

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

const (
	secretBytes = 20
	tokenChars  = clinicChars + 32
)

// newToken is the end of an address to upload to: the clinic and 160 random bits.
func newToken(clinic uuid.UUID) string {
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails
	return clinicText(clinic) + base32.NewEncoding(crockford).WithPadding(base32.NoPadding).EncodeToString(secret)
}

func hashOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
