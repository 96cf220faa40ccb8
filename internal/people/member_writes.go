package people

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

const longestSubject = 255 // as the tokens' sub

// AddMember makes a subject a member; one whose membership ended comes back under the
// same id. Mistakes come back as models.Invalid.
func (d *Directory) AddMember(ctx context.Context, input models.AddMemberInput) (*models.Member, error) {
	var in validate.Input
	subject := in.RequiredText("subject", input.Subject, longestSubject)
	name := in.OptionalText("name", input.Name, longestName)
	practitioner := optionalID(&in, "practitionerId", models.KindPractitioner, input.PractitionerID)
	if err := in.Err(); err != nil {
		return nil, err
	}
	return d.member(ctx, models.NewID(), func(tx *gorm.DB, scope *tenant.Scope, id uuid.UUID) (uuid.UUID, error) {
		var made struct{ ID uuid.UUID }
		err := tx.Raw("SELECT member_add($1, $2, $3, $4, $5) AS id", scope.Subject, id, subject, name, input.Role).Find(&made).Error
		if err != nil {
			return id, err
		}
		if practitioner == nil {
			return made.ID, nil
		}
		return made.ID, isPractitioner(tx, made.ID, practitioner)
	}, refusedAt{owners: "role", subject: subject})
}

// UpdateMember changes what the input names. Mistakes come back as models.Invalid.
func (d *Directory) UpdateMember(ctx context.Context, input models.UpdateMemberInput) (*models.Member, error) {
	var in validate.Input
	id := in.ID("id", models.KindMember, input.ID)
	text, rename := input.Name.ValueOK()
	name := in.OptionalText("name", text, longestName)
	role, named := input.Role.ValueOK()
	if named && role == nil {
		in.Add(models.UserErrorCodeRequired, "role", "a member always has a role")
	}
	global, linked := input.PractitionerID.ValueOK()
	practitioner := optionalID(&in, "practitionerId", models.KindPractitioner, global)
	if err := in.Err(); err != nil {
		return nil, err
	}
	at := refusedAt{owners: "id"}
	if named {
		at.owners = "role"
	}
	return d.member(ctx, id, func(tx *gorm.DB, scope *tenant.Scope, id uuid.UUID) (uuid.UUID, error) {
		err := tx.Exec("SELECT member_change($1, $2, $3, $4, $5, $6)", scope.Subject, id, input.ExpectedVersion, rename, name, role).Error
		if err != nil || !linked {
			return id, err
		}
		return id, isPractitioner(tx, id, practitioner)
	}, at)
}

// RevokeMember ends a membership. Mistakes come back as models.Invalid.
func (d *Directory) RevokeMember(ctx context.Context, input models.RevokeMemberInput) (*models.Member, error) {
	var in validate.Input
	id := in.ID("id", models.KindMember, input.ID)
	if err := in.Err(); err != nil {
		return nil, err
	}
	return d.member(ctx, id, func(tx *gorm.DB, scope *tenant.Scope, id uuid.UUID) (uuid.UUID, error) {
		return id, tx.Exec("SELECT member_revoke($1, $2, $3)", scope.Subject, id, input.ExpectedVersion).Error
	}, refusedAt{owners: "id"})
}

// refusedAt says where a refusal is told: owners is the field of the input that asks
// for what owners alone may, subject whom it is about where there is no id.
type refusedAt struct{ owners, subject string }

// member writes by a function of the database's, which checks who asks, and reads the
// member that it is about.
func (d *Directory) member(
	ctx context.Context, id uuid.UUID, write func(tx *gorm.DB, scope *tenant.Scope, id uuid.UUID) (uuid.UUID, error), at refusedAt,
) (*models.Member, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var member *models.Member
	err = d.db.InTenant(ctx, func(tx *gorm.DB) error {
		if err := d.db.Prove(ctx, tx); err != nil {
			return err
		}
		written, err := write(tx, scope, id)
		if err != nil {
			return err
		}
		member = &models.Member{}
		return tx.Where("id = ?", written).Take(member).Error
	})
	if err != nil {
		return nil, d.refusedMember(ctx, err, id, at)
	}
	return member, nil
}

// refusedMember says in words for the user what the database has refused.
func (d *Directory) refusedMember(ctx context.Context, err error, id uuid.UUID, at refusedAt) error {
	constraint, violated := database.Violation(err)
	if !violated {
		return err
	}
	global := models.KindMember.Global(id)
	switch constraint {
	case "members_asker":
		return models.Refuse(models.UserErrorCodeForbidden, "", "only members of this clinic who are an OWNER or an ADMIN change its members: sign in as one; a key may not")
	case "members_owners":
		return models.Refuse(models.UserErrorCodeForbidden, at.owners, "only an OWNER makes, changes or revokes OWNERs: ask one")
	case "members_known":
		return models.Refuse(models.UserErrorCodeNotFound, "id", "this clinic has no such member, or their membership has ended: add them again")
	case "members_stale":
		return models.Refuse(models.UserErrorCodeStale, "expectedVersion", "somebody changed this member since you read them: read them again", global)
	case "memberships_keep_an_owner":
		return models.Refuse(models.UserErrorCodeConflict, "id", "this is the clinic's last OWNER: make somebody else an OWNER first", global)
	case "idx_practitioners_member":
		return models.Refuse(models.UserErrorCodeTaken, "practitionerId", "this member is a practitioner already: take that back first")
	case "members_once":
		found, lookup := database.Value[uuid.UUID](ctx, d.db,
			"SELECT id FROM memberships WHERE clinic_id = app_clinic() AND subject = $1", at.subject)
		if lookup != nil {
			return errors.Join(err, lookup)
		}
		return models.Refuse(models.UserErrorCodeTaken, "subject", "this person is a member already: change their role instead", models.KindMember.Global(found))
	}
	return err
}

// isPractitioner makes a member the practitioner, or none where that is nil.
func isPractitioner(tx *gorm.DB, member uuid.UUID, practitioner *uuid.UUID) error {
	if practitioner != nil {
		now, err := lockPractitioner(tx, "practitionerId", *practitioner, nil)
		if err != nil {
			return err
		}
		if now.MemberID != nil && *now.MemberID == member {
			return nil
		}
		if now.MemberID != nil {
			return models.Refuse(models.UserErrorCodeTaken, "practitionerId", "this practitioner is another member: take that back first",
				models.KindMember.Global(*now.MemberID))
		}
	}
	err := tx.Model(&models.Practitioner{}).Where("member_id = ?", member).Updates(map[string]any{"member_id": nil}).Error
	if err != nil || practitioner == nil {
		return err
	}
	return tx.Model(&models.Practitioner{}).Where("id = ?", *practitioner).Updates(map[string]any{"member_id": member}).Error
}

// optionalID reads a global id that may be absent.
func optionalID(in *validate.Input, field string, kind models.Kind, global *string) *uuid.UUID {
	if global == nil {
		return nil
	}
	id := in.ID(field, kind, *global)
	return &id
}
