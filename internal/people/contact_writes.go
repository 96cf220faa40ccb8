package people

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// mostComing bounds the appointments of one contact that are named: as many as two
// series have dates.
const mostComing = 400

// CreateContact adds a contact. Mistakes come back as models.Invalid.
func (d *Directory) CreateContact(ctx context.Context, input models.CreateContactInput) (*models.Contact, error) {
	if err := d.guessTaxID(ctx, input.TaxID); err != nil {
		return nil, err
	}
	today, err := d.today(ctx, input.BirthDate, input.DeceasedOn)
	if err != nil {
		return nil, err
	}
	var in validate.Input
	contact := &models.Contact{ID: models.NewID(), Status: models.ContactStatusActive, Sex: models.AdministrativeSexUnknown}
	if input.Status != nil {
		contact.Status = *input.Status
	}
	if input.Sex != nil {
		contact.Sex = *input.Sex
	}
	contact.Name = in.RequiredText("name", input.Name, longestName)
	contact.PreferredName = in.OptionalText("preferredName", input.PreferredName, longestName)
	contact.Email = email(&in, input.Email)
	contact.Phone = phone(&in, "phone", input.Phone)
	contact.OtherPhones = otherPhones(&in, input.OtherPhones)
	contact.TaxID = taxID(&in, input.TaxID)
	contact.BirthDate = birthDate(&in, input.BirthDate, today)
	contact.DeceasedOn = deceasedOn(&in, input.DeceasedOn, today)
	contact.GuardianID = guardian(&in, input.GuardianID)
	putAddress(&in, input.Address, contact)
	putHealthPlan(&in, input.HealthPlan, contact)
	contact.Tags = tags(&in, input.Tags)
	contact.Source = in.OptionalText("source", input.Source, longestSource)
	contact.Notes = in.OptionalLines("notes", input.Notes, longestNotes)
	contact.ExternalReference = in.OptionalText("externalReference", input.ExternalReference, longestReference)
	if err := in.Err(); err != nil {
		return nil, err
	}
	err = d.db.InTenant(ctx, func(tx *gorm.DB) error {
		return tx.Clauses(clause.Returning{}).Create(contact).Error
	})
	if err != nil {
		return nil, d.taken(ctx, err, contact)
	}
	return contact, nil
}

// UpdateContact changes what the input names, and gives the appointments still to come of
// a contact who is put away then or has died. Mistakes come back as models.Invalid.
func (d *Directory) UpdateContact(ctx context.Context, input models.UpdateContactInput) (*models.Contact, []*models.Appointment, error) {
	wanted, _ := input.TaxID.ValueOK()
	if err := d.guessTaxID(ctx, wanted); err != nil {
		return nil, nil, err
	}
	born, _ := input.BirthDate.ValueOK()
	died, _ := input.DeceasedOn.ValueOK()
	today, err := d.today(ctx, born, died)
	if err != nil {
		return nil, nil, err
	}
	var in validate.Input
	id := in.ID("id", models.KindContact, input.ID)
	changes := contactChanges(&in, input, today)
	if err := in.Err(); err != nil {
		return nil, nil, err
	}
	contact, coming, err := d.change(ctx, id, input.ExpectedVersion, func(*models.Contact) map[string]any { return changes })
	if err != nil {
		wanted := &models.Contact{ID: id}
		wanted.TaxID, _ = changes["tax_id"].(*string)
		wanted.ExternalReference, _ = changes["external_reference"].(*string)
		return nil, nil, d.taken(ctx, err, wanted)
	}
	return contact, coming, nil
}

// ArchiveContact puts a contact away; one that is away already stays as it is. It gives
// the appointments that are still to come, which stay, too.
func (d *Directory) ArchiveContact(ctx context.Context, input models.ArchiveContactInput) (*models.Contact, []*models.Appointment, error) {
	var in validate.Input
	id := in.ID("id", models.KindContact, input.ID)
	if err := in.Err(); err != nil {
		return nil, nil, err
	}
	return d.change(ctx, id, input.ExpectedVersion, func(now *models.Contact) map[string]any {
		if now.Status == models.ContactStatusArchived {
			return nil
		}
		return map[string]any{"status": models.ContactStatusArchived}
	})
}

// change locks a contact, compares versions and applies the changes, if any. Of one who
// is away then, or has died, it gives what is still to come.
func (d *Directory) change(
	ctx context.Context, id uuid.UUID, expectedVersion *int, decide func(now *models.Contact) map[string]any,
) (*models.Contact, []*models.Appointment, error) {
	var contact *models.Contact
	var coming []*models.Appointment
	err := d.db.InTenant(ctx, func(tx *gorm.DB) error {
		contact, coming = &models.Contact{}, []*models.Appointment{}
		// Locked first: what is compared must still be true when it is written.
		err := tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("id = ?", id).Take(contact).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return models.Refuse(models.UserErrorCodeNotFound, "id", "there is no contact with this id")
		}
		if err != nil {
			return err
		}
		if expectedVersion != nil && *expectedVersion != contact.Version {
			return models.Refuse(models.UserErrorCodeStale, "expectedVersion",
				"somebody changed this contact since you read it: read it again", contact.GetID())
		}
		if changes := decide(contact); len(changes) > 0 {
			// Into a new one: a null that is read leaves what a pointer points at.
			written := &models.Contact{ID: contact.ID}
			if err := tx.Model(written).Clauses(clause.Returning{}).Updates(changes).Error; err != nil {
				return err
			}
			contact = written
		}
		if contact.Status != models.ContactStatusArchived && contact.DeceasedOn == nil {
			return nil
		}
		return tx.Where("contact_id = ? AND ends_at > ? AND status NOT IN ('concluido', 'cancelado', 'faltou')", contact.ID, d.now()).
			Order("starts_at, id").Limit(mostComing).Find(&coming).Error
	})
	if err != nil {
		return nil, nil, err
	}
	return contact, coming, nil
}

// contactChanges maps what the input names to columns.
func contactChanges(in *validate.Input, input models.UpdateContactInput, today models.Date) map[string]any {
	changes := map[string]any{}
	if name, named := input.Name.ValueOK(); named {
		changes["name"] = in.RequiredText("name", orEmpty(name), longestName)
	}
	if text, named := input.PreferredName.ValueOK(); named {
		changes["preferred_name"] = in.OptionalText("preferredName", text, longestName)
	}
	if text, named := input.Email.ValueOK(); named {
		changes["email"] = email(in, text)
	}
	if text, named := input.Phone.ValueOK(); named {
		changes["phone"] = phone(in, "phone", text)
	}
	if numbers, named := input.OtherPhones.ValueOK(); named {
		changes["other_phones"] = pq.StringArray(otherPhones(in, numbers))
	}
	if text, named := input.TaxID.ValueOK(); named {
		changes["tax_id"] = taxID(in, text)
	}
	if date, named := input.BirthDate.ValueOK(); named {
		changes["birth_date"] = birthDate(in, date, today)
	}
	if date, named := input.DeceasedOn.ValueOK(); named {
		changes["deceased_on"] = deceasedOn(in, date, today)
	}
	if global, named := input.GuardianID.ValueOK(); named {
		changes["guardian_id"] = guardian(in, global)
	}
	if sex, named := input.Sex.ValueOK(); named {
		changes["sex"] = models.AdministrativeSexUnknown
		if sex != nil {
			changes["sex"] = *sex
		}
	}
	placeChanges(in, input, changes)
	if status, named := input.Status.ValueOK(); named {
		if status == nil {
			in.Add(models.UserErrorCodeRequired, "status", "a contact always has a status")
		} else {
			changes["status"] = *status
		}
	}
	if labels, named := input.Tags.ValueOK(); named {
		changes["tags"] = pq.StringArray(tags(in, labels))
	}
	if text, named := input.Source.ValueOK(); named {
		changes["source"] = in.OptionalText("source", text, longestSource)
	}
	if text, named := input.Notes.ValueOK(); named {
		changes["notes"] = in.OptionalLines("notes", text, longestNotes)
	}
	if text, named := input.ExternalReference.ValueOK(); named {
		changes["external_reference"] = in.OptionalText("externalReference", text, longestReference)
	}
	return changes
}

// taken turns the database's refusal into a mistake: that of a second CPF or reference
// names the contact which has it.
func (d *Directory) taken(ctx context.Context, err error, wanted *models.Contact) error {
	constraint, violated := database.Violation(err)
	if !violated {
		return err
	}
	var field, column, message string
	var value *string
	switch constraint {
	case "contacts_guardian":
		return models.Refuse(models.UserErrorCodeNotFound, "guardianId", "there is no contact with this id")
	case "contacts_own_guardian":
		return models.Refuse(models.UserErrorCodeInvalid, "guardianId", "nobody is their own guardian")
	case "contacts_deceased_on":
		return models.Refuse(models.UserErrorCodeInvalid, "deceasedOn", "nobody dies before their birth")
	case "idx_contacts_tax_id":
		field, column, value = "taxId", "tax_id", wanted.TaxID
		message = "another contact has this CPF"
	case "idx_contacts_external_reference":
		field, column, value = "externalReference", "external_reference", wanted.ExternalReference
		message = "another contact has this reference"
	default:
		return err
	}
	// Who sees CPFs masked is not told whose this is.
	scope, unknown := tenant.From(ctx)
	if unknown != nil {
		return errors.Join(err, unknown)
	}
	if column == "tax_id" && !models.SeesWholeTaxID(scope.Role) {
		return models.Refuse(models.UserErrorCodeTaken, field, message)
	}
	holders, lookup := database.Rows[models.Contact](ctx, d.db,
		"SELECT id FROM contacts WHERE clinic_id = app_clinic() AND "+column+" = $1", value)
	if lookup != nil {
		return errors.Join(err, lookup)
	}
	var ids []string
	for _, holder := range holders {
		ids = append(ids, holder.GetID())
	}
	return models.Refuse(models.UserErrorCodeTaken, field, message, ids...)
}

// guessTaxID counts a CPF that somebody gives who sees them masked: whether it is taken
// tells that somebody has it.
func (d *Directory) guessTaxID(ctx context.Context, taxID *string) error {
	scope, err := tenant.From(ctx)
	if err != nil || taxID == nil || models.SeesWholeTaxID(scope.Role) {
		return err
	}
	return d.guess(ctx, scope)
}

// today is the clinic's day, which dates of birth and death are compared with; without
// any nobody need know, and no statement is spent on it.
func (d *Directory) today(ctx context.Context, dates ...*models.Date) (models.Date, error) {
	if !slices.ContainsFunc(dates, func(date *models.Date) bool { return date != nil }) {
		return models.Date{}, nil
	}
	name, err := database.Value[string](ctx, d.db, "SELECT time_zone FROM clinics WHERE id = app_clinic()")
	if err != nil {
		return models.Date{}, err
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return models.Date{}, err
	}
	return models.DateOf(d.now().In(zone)), nil
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
