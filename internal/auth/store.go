package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// Store reads memberships and keys from Postgres, anew at every call.
type Store struct {
	db *database.DB
}

var (
	_ Memberships = (*Store)(nil)
	_ Keys        = (*Store)(nil)
)

// NewStore makes a Store over the application's door.
func NewStore(db *database.DB) *Store { return &Store{db: db} }

type storedMembership struct {
	ClinicID    uuid.UUID   `db:"clinic_id"`
	Slug        string      `db:"slug"`
	Name        string      `db:"name"`
	Role        models.Role `db:"role"`
	Permissions []string    `db:"permissions"`
	SubjectName string      `db:"subject_name"`
}

// Of implements Memberships with one statement. It looks across clinics, so it
// pays no heed to a scope in the context.
func (s *Store) Of(ctx context.Context, subject string) ([]Membership, error) {
	rows, err := database.Lookup[storedMembership](tenant.With(ctx, nil), s.db,
		`SELECT clinic_id, slug, name, role, permissions, coalesce(subject_name, '') AS subject_name
		 FROM app_memberships($1)`, subject)
	if err != nil {
		return nil, fmt.Errorf("look up the subject's memberships: %w", err)
	}
	all := make([]Membership, len(rows))
	for i, row := range rows {
		slices.Sort(row.Permissions)
		all[i] = Membership{
			ClinicID: row.ClinicID, Slug: row.Slug, ClinicName: row.Name, Role: row.Role,
			Permissions: slices.Compact(row.Permissions), SubjectName: row.SubjectName,
		}
	}
	return all, nil
}

// Find implements Keys with one statement, under the row-level security of the
// clinic that the key names.
func (s *Store) Find(ctx context.Context, clinic uuid.UUID, hash [32]byte) (*models.APIKey, error) {
	rows, err := database.Rows[models.APIKey](inClinic(ctx, clinic), s.db,
		`SELECT clinic_id, id, name, role, last_four, last_used_at, expires_at, revoked_at, created_at
		 FROM api_keys WHERE clinic_id = $1 AND key_hash = $2`, clinic, hash[:])
	if err != nil {
		return nil, fmt.Errorf("look up a key: %w", err)
	}
	if len(rows) == 0 {
		return nil, models.ErrNotFound
	}
	return rows[0], nil
}

// Standing is who a subject is in a clinic now, a member or a key, without their
// credentials: for what they were given before. models.ErrNotFound for nobody.
func (s *Store) Standing(ctx context.Context, clinic uuid.UUID, subject string) (*tenant.Scope, error) {
	if global, key := strings.CutPrefix(subject, models.KeySubject); key {
		return s.standingKey(ctx, clinic, subject, global)
	}
	all, err := s.Of(ctx, subject)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		if one.ClinicID == clinic {
			return &tenant.Scope{Subject: subject, Name: one.SubjectName, ClinicID: clinic, Role: one.Role, Permissions: one.Permissions}, nil
		}
	}
	return nil, models.ErrNotFound
}

func (s *Store) standingKey(ctx context.Context, clinic uuid.UUID, subject, global string) (*tenant.Scope, error) {
	id, err := models.KindAPIKey.Parse(global)
	if err != nil {
		return nil, models.ErrNotFound
	}
	rows, err := database.Rows[models.APIKey](inClinic(ctx, clinic), s.db,
		`SELECT clinic_id, id, name, role FROM api_keys
		 WHERE clinic_id = $1 AND id = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())`, clinic, id)
	if err != nil {
		return nil, fmt.Errorf("look up a key: %w", err)
	}
	if len(rows) == 0 {
		return nil, models.ErrNotFound
	}
	return &tenant.Scope{Subject: subject, Name: rows[0].Name, ClinicID: clinic, Role: rows[0].Role}, nil
}

// Used implements Keys. Other instances may be about to write the same, so the
// database looks once more whether it was noted within the minute.
func (s *Store) Used(ctx context.Context, key *models.APIKey) error {
	return s.db.InTenant(inClinic(ctx, key.ClinicID), func(tx *gorm.DB) error {
		return tx.Exec(`UPDATE api_keys SET last_used_at = now()
			WHERE clinic_id = ? AND id = ? AND (last_used_at IS NULL OR last_used_at < now() - make_interval(secs => ?))`,
			key.ClinicID, key.ID, useEvery.Seconds()).Error
	})
}

// inClinic is for what is done before anybody's scope is known: it reaches one
// clinic's rows and has no role.
func inClinic(ctx context.Context, clinic uuid.UUID) context.Context {
	return tenant.With(ctx, &tenant.Scope{Subject: "auth", ClinicID: clinic})
}

// mostLiving bounds the keys that a clinic has and that have not ended; a few more may
// be made at the same moment.
const mostLiving = 200

// NewKey describes a key to be made.
type NewKey struct {
	// Name is 1 to 100 characters.
	Name string
	Role models.Role
	// ExpiresAt is nil for a key that does not expire.
	ExpiresAt *time.Time
}

// CreateKey makes a key for the clinic of the context's scope and gives its
// text, which cannot be had again. What is wrong with the input is
// models.Invalid; a scope that may not give out the role is FORBIDDEN.
func (s *Store) CreateKey(ctx context.Context, wanted NewKey) (*models.APIKey, string, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, "", err
	}
	if err := mayGrant(scope, wanted.Role); err != nil {
		return nil, "", err
	}
	wanted.Name = strings.TrimSpace(wanted.Name)
	if err := wanted.check(time.Now()); err != nil {
		return nil, "", err
	}
	text := newKeyText(scope.ClinicID)
	_, hash, err := parseKeyText(text)
	if err != nil {
		return nil, "", fmt.Errorf("make a key: %w", err)
	}
	key := &models.APIKey{
		ClinicID: scope.ClinicID, ID: models.NewID(), Name: wanted.Name, Role: wanted.Role,
		KeyHash: hash[:], LastFour: text[len(text)-4:], ExpiresAt: wanted.ExpiresAt,
	}
	err = s.db.InTenant(ctx, func(tx *gorm.DB) error {
		if err := s.db.Prove(ctx, tx); err != nil {
			return err
		}
		var living int64
		if err := tx.Model(key).Where("revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())").Count(&living).Error; err != nil {
			return err
		}
		if living >= mostLiving {
			return models.Refuse(models.UserErrorCodeLimit, "", fmt.Sprintf("a clinic has at most %d keys: revoke one that is not needed any more", mostLiving))
		}
		var made struct{ CreatedAt time.Time }
		err := tx.Raw("SELECT api_key_create($1, $2, $3, $4, $5, $6, $7) AS created_at",
			scope.Subject, key.ID, key.Name, key.Role, key.KeyHash, key.LastFour, key.ExpiresAt).Find(&made).Error
		key.CreatedAt = made.CreatedAt
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("make a key: %w", refusedByDatabase(err))
	}
	return key, text, nil
}

// refusedByDatabase gives the database's refusal of who asks its words: it looks at
// their membership as it is now.
func refusedByDatabase(err error) error {
	switch constraint, _ := database.Violation(err); constraint {
	case "members_asker":
		return models.Refuse(models.UserErrorCodeForbidden, "", "only members of this clinic who are an OWNER or an ADMIN make and revoke keys: sign in as one; a key may not")
	case "members_owners":
		return models.Refuse(models.UserErrorCodeForbidden, "role", "only an owner may make a key with an owner's rights: ask one")
	}
	return err
}

func (n NewKey) check(now time.Time) error {
	switch length := utf8.RuneCountInString(n.Name); {
	case length == 0:
		return models.Refuse(models.UserErrorCodeRequired, "name", "Give the key a name, so that you can tell it from others.")
	case length > 100:
		return models.Refuse(models.UserErrorCodeTooLong, "name", "The name may have at most 100 characters.")
	case !utf8.ValidString(n.Name) || strings.ContainsRune(n.Name, 0):
		return models.Refuse(models.UserErrorCodeInvalid, "name", "The name holds a character that cannot be stored.")
	case !n.Role.IsValid():
		return models.Refuse(models.UserErrorCodeInvalid, "role", "There is no such role.")
	case n.ExpiresAt != nil && !n.ExpiresAt.After(now):
		return models.Refuse(models.UserErrorCodeInvalid, "expiresAt", "A key cannot expire in the past.")
	}
	return nil
}

// mayGrant keeps people from giving a key more than they have, and keys from
// making keys, which would outlive the key's own revocation.
func mayGrant(scope *tenant.Scope, role models.Role) error {
	if strings.HasPrefix(scope.Subject, models.KeySubject) || scope.Role != models.RoleOwner && scope.Role != models.RoleAdmin {
		return models.Refuse(models.UserErrorCodeForbidden, "", "only members of this clinic who are an OWNER or an ADMIN make and revoke keys: sign in as one; a key may not")
	}
	if role == models.RoleOwner && scope.Role != models.RoleOwner {
		return models.Refuse(models.UserErrorCodeForbidden, "role", "only an owner may make a key with an owner's rights: ask one")
	}
	return nil
}

// AllKeys are those of the clinic of the context's scope, the oldest first, those that
// ended included.
func (s *Store) AllKeys(ctx context.Context) ([]*models.APIKey, error) {
	return database.Rows[models.APIKey](ctx, s.db,
		`SELECT clinic_id, id, name, role, last_four, last_used_at, expires_at, revoked_at, created_at
		 FROM api_keys WHERE clinic_id = app_clinic() ORDER BY created_at, id`)
}

// RevokeKey ends a key of the clinic of the context's scope; from the next
// request on it is worth nothing. Revoking it again changes nothing. A key that
// the clinic has not is models.ErrNotFound.
func (s *Store) RevokeKey(ctx context.Context, id uuid.UUID) (*models.APIKey, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	if err := mayGrant(scope, scope.Role); err != nil {
		return nil, err
	}
	var key models.APIKey
	err = s.db.InTenant(ctx, func(tx *gorm.DB) error {
		err := s.db.Prove(ctx, tx)
		if err == nil {
			err = tx.Exec("SELECT api_key_revoke($1, $2)", scope.Subject, id).Error
		}
		if err != nil {
			return err
		}
		return tx.Take(&key, "id = ?", id).Error
	})
	switch {
	case errors.Is(err, models.ErrNotFound):
		return nil, models.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("revoke a key: %w", refusedByDatabase(err))
	}
	return &key, nil
}
