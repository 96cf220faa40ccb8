package people

import (
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// Contact is a patient or a lead, as it is read.
func Contact() entity.Declaration {
	return entity.Noun[models.Contact]{
		Kind: models.KindContact,
		Columns: map[string][]string{
			"address": {
				"address_street", "address_number", "address_complement", "address_district",
				"address_city", "address_state", "address_postal_code", "address_country",
			},
			"healthPlan": {"health_plan_name", "health_plan_card_number", "health_plan_valid_until"},
		},
		One: map[string]entity.One{"guardian": {Kind: models.KindContact, Column: "guardian_id"}},
		All: []entity.All{{
			Field: "Contact.possibleDuplicates", Finder: "contact_duplicates",
			Depends: func(r *entity.Reading, _ *entity.Ask) { r.Depends(touched.Of("contact/updated")) },
		}},
		Lists: []entity.List{{
			Field: "Query.contacts", Order: "name_key",
			By: contactOrder, Filter: contactFilter, Depends: dependsOnContacts,
			Where: "status <> 'arquivado'", Unless: asksForStatus,
		}},
		Mask: func(scope *tenant.Scope, contact *models.Contact) {
			if contact.TaxID != nil && !models.SeesWholeTaxID(scope.Role) {
				contact.TaxID = new(models.MaskTaxID(*contact.TaxID))
			}
		},
	}
}

func contactOrder(args entity.Args) (column string, desc, given bool) {
	wanted := entity.Arg[*models.ContactOrder](args, "orderBy")
	if wanted == nil {
		return "", false, false
	}
	desc = wanted.Direction == models.SortDirectionDesc
	switch wanted.Field {
	case models.ContactOrderFieldName:
		return "name_key", desc, true
	case models.ContactOrderFieldCreatedAt:
		return "created_at", desc, true
	case models.ContactOrderFieldUpdatedAt:
		return "updated_at", desc, true
	}
	return "", false, false
}
