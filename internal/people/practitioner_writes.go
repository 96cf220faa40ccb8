package people

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

const (
	longestSpecialty    = 200
	longestRegistration = 50
	mostOffers          = 200
)

// CreatePractitioner adds a practitioner. Mistakes come back as models.Invalid.
func (d *Directory) CreatePractitioner(ctx context.Context, input models.CreatePractitionerInput) (*models.Practitioner, error) {
	var in validate.Input
	made := &models.Practitioner{
		ID: models.NewID(), Active: true,
		Name:         in.RequiredText("name", input.Name, longestName),
		Specialty:    in.OptionalText("specialty", input.Specialty, longestSpecialty),
		Registration: in.OptionalText("registration", input.Registration, longestRegistration),
		Color:        color(&in, input.Color),
		MemberID:     optionalID(&in, "memberId", models.KindMember, input.MemberID),
	}
	services := ids(&in, "serviceIds", models.KindService, input.ServiceIds)
	if err := in.Err(); err != nil {
		return nil, err
	}
	err := d.db.InTenant(ctx, func(tx *gorm.DB) error {
		if err := knownMember(tx, made.MemberID); err != nil {
			return err
		}
		if err := tx.Clauses(clause.Returning{}).Create(made).Error; err != nil {
			return err
		}
		return link(tx, "serviceIds", models.KindService, "services", services,
			"INSERT INTO practitioner_services (clinic_id, practitioner_id, service_id) SELECT app_clinic(), $1, unnest($2::uuid[])", made.ID)
	})
	if err != nil {
		return nil, takenMember(err)
	}
	return made, nil
}

// UpdatePractitioner changes what the input names. Mistakes come back as models.Invalid.
func (d *Directory) UpdatePractitioner(ctx context.Context, input models.UpdatePractitionerInput) (*models.Practitioner, error) {
	var in validate.Input
	id := in.ID("id", models.KindPractitioner, input.ID)
	changes := map[string]any{}
	if name, named := input.Name.ValueOK(); named {
		changes["name"] = in.RequiredText("name", orEmpty(name), longestName)
	}
	if text, named := input.Specialty.ValueOK(); named {
		changes["specialty"] = in.OptionalText("specialty", text, longestSpecialty)
	}
	if text, named := input.Registration.ValueOK(); named {
		changes["registration"] = in.OptionalText("registration", text, longestRegistration)
	}
	if text, named := input.Color.ValueOK(); named {
		changes["color"] = color(&in, text)
	}
	active, switched := input.Active.ValueOK()
	setActive(&in, changes, active, switched)
	var member *uuid.UUID
	if global, named := input.MemberID.ValueOK(); named {
		member = optionalID(&in, "memberId", models.KindMember, global)
		changes["member_id"] = member
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	var changed *models.Practitioner
	err := d.db.InTenant(ctx, func(tx *gorm.DB) (err error) {
		if changed, err = lockPractitioner(tx, "id", id, input.ExpectedVersion); err != nil {
			return err
		}
		if err := knownMember(tx, member); err != nil {
			return err
		}
		if len(changes) == 0 {
			return nil
		}
		// Into a new one: a null that is read leaves what a pointer points at.
		changed = &models.Practitioner{ID: id}
		return tx.Model(changed).Clauses(clause.Returning{}).Updates(changes).Error
	})
	if err != nil {
		return nil, takenMember(err)
	}
	return changed, nil
}

// SetPractitionerServices replaces what a practitioner offers. Mistakes come back as
// models.Invalid.
func (d *Directory) SetPractitionerServices(ctx context.Context, input models.SetPractitionerServicesInput) (*models.Practitioner, error) {
	var in validate.Input
	id := in.ID("practitionerId", models.KindPractitioner, input.PractitionerID)
	services := ids(&in, "serviceIds", models.KindService, input.ServiceIds)
	if err := in.Err(); err != nil {
		return nil, err
	}
	var changed *models.Practitioner
	err := d.db.InTenant(ctx, func(tx *gorm.DB) (err error) {
		if changed, err = lockPractitioner(tx, "practitionerId", id, input.ExpectedVersion); err != nil {
			return err
		}
		if err := tx.Exec("DELETE FROM practitioner_services WHERE clinic_id = app_clinic() AND practitioner_id = $1", id).Error; err != nil {
			return err
		}
		err = link(tx, "serviceIds", models.KindService, "services", services,
			"INSERT INTO practitioner_services (clinic_id, practitioner_id, service_id) SELECT app_clinic(), $1, unnest($2::uuid[])", id)
		if err != nil {
			return err
		}
		// What they offer is part of them: the version tells that it changed.
		return tx.Model(changed).Clauses(clause.Returning{}).Updates(map[string]any{"active": changed.Active}).Error
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// lockPractitioner locks a practitioner for a change, as a booking does. field is
// where the id was given.
func lockPractitioner(tx *gorm.DB, field string, id uuid.UUID, expectedVersion *int) (*models.Practitioner, error) {
	var now models.Practitioner
	err := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("id = ?", id).Take(&now).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, models.Refuse(models.UserErrorCodeNotFound, field, "this clinic has no such practitioner")
	}
	if err != nil {
		return nil, err
	}
	if expectedVersion != nil && *expectedVersion != now.Version {
		return nil, models.Refuse(models.UserErrorCodeStale, "expectedVersion",
			"somebody changed this practitioner since you read them: read them again", now.GetID())
	}
	return &now, nil
}

// knownMember refuses somebody who is no member, or no longer one.
func knownMember(tx *gorm.DB, id *uuid.UUID) error {
	if id == nil {
		return nil
	}
	err := tx.Select("id").Where("id = ? AND revoked_at IS NULL", *id).Take(&models.Member{}).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return models.Refuse(models.UserErrorCodeNotFound, "memberId", "this clinic has no such member")
	}
	return err
}

func takenMember(err error) error {
	if constraint, violated := database.Violation(err); violated && constraint == "idx_practitioners_member" {
		return models.Refuse(models.UserErrorCodeTaken, "memberId", "another practitioner is this member: take that back first")
	}
	return err
}

// link joins what has an id to others, which the clinic must have.
func link(tx *gorm.DB, field string, kind models.Kind, table string, others []uuid.UUID, insert string, id uuid.UUID) error {
	if len(others) == 0 {
		return nil
	}
	// Locked: nothing that is offered disappears meanwhile.
	var known []struct{ ID uuid.UUID }
	if err := tx.Raw("SELECT id FROM "+table+" WHERE clinic_id = app_clinic() AND id = ANY($1) FOR KEY SHARE", others).Find(&known).Error; err != nil {
		return err
	}
	var in validate.Input
	for i, other := range others {
		found := false
		for _, one := range known {
			found = found || one.ID == other
		}
		if !found {
			in.AddAt(models.UserErrorCodeNotFound, []string{field, strconv.Itoa(i)}, "this clinic has no such "+kind.Words())
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	return tx.Exec(insert, id, others).Error
}

// ids reads a list of global ids; who is named twice is meant once.
func ids(in *validate.Input, field string, kind models.Kind, globals []string) []uuid.UUID {
	if len(globals) > mostOffers {
		in.Add(models.UserErrorCodeLimit, field, "name "+strconv.Itoa(mostOffers)+" at most")
		return nil
	}
	var all []uuid.UUID
	seen := map[uuid.UUID]bool{}
	for i, global := range globals {
		id, err := kind.Parse(global)
		if err != nil {
			in.AddAt(models.UserErrorCodeInvalid, []string{field, strconv.Itoa(i)}, "this is no id of a "+kind.Words())
		} else if !seen[id] {
			seen[id] = true
			all = append(all, id)
		}
	}
	return all
}

// color reads # and six hexadecimal digits, and gives them in lower case.
func color(in *validate.Input, text *string) *string {
	written := in.OptionalText("color", text, 20)
	if written == nil {
		return nil
	}
	lower := strings.ToLower(*written)
	if !regexp.MustCompile(`^#[0-9a-f]{6}$`).MatchString(lower) {
		in.Add(models.UserErrorCodeInvalid, "color", "write a colour as # and six hexadecimal digits, such as #0f766e")
	}
	return &lower
}
