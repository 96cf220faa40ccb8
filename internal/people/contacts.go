package people

import (
	"context"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/cachetag"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/models"
)

// ContactQuery says which contacts are wanted, and in which order.
type ContactQuery struct {
	Filter  *models.ContactFilter
	Order   *models.ContactOrder
	Request paging.Request
	// Count asks for the total.
	Count bool
}

// Contacts reads a page of contacts, by name unless told otherwise.
func (d *Directory) Contacts(ctx context.Context, query ContactQuery, sel selection.Set) (*paging.Page[models.Contact], error) {
	list := paging.List[models.Contact]{
		Table: "contacts", Kind: models.KindContact, Columns: contactColumns(sel), Request: query.Request, Count: query.Count,
		Order: contactOrder(query.Order), Depends: []cachetag.Tag{cachetag.Of("contact/list")},
	}
	if list.Order.Column == "updated_at" {
		list.Depends = append(list.Depends, cachetag.Of("contact/updated"))
	}
	if filter := query.Filter; filter != nil {
		if filter.Status != nil {
			words, err := models.StoredWords(filter.Status)
			if err != nil {
				return nil, err
			}
			if len(words) == 1 {
				// An equality lets the index give the order; = ANY would need a sort.
				list.Where("status = ?", words[0])
			} else {
				list.Where("status = ANY(?)", words)
			}
		}
		if filter.Tag != nil {
			if err := storable("filter.tag", *filter.Tag); err != nil {
				return nil, err
			}
			list.Where("? = ANY(tags)", *filter.Tag)
		}
		if filter.ExternalReference != nil {
			if err := storable("filter.externalReference", *filter.ExternalReference); err != nil {
				return nil, err
			}
			list.Where("external_reference = ?", *filter.ExternalReference)
		}
		if filter.CreatedAt != nil {
			if err := list.Within("created_at", filter.CreatedAt); err != nil {
				return nil, err
			}
		}
	}
	return list.Page(ctx, d.db, d.cursors)
}

// ContactsByID reads contacts by their ids; the unknown are left out.
func (d *Directory) ContactsByID(ctx context.Context, ids []uuid.UUID, sel selection.Set) (map[uuid.UUID]*models.Contact, error) {
	return database.ByID(ctx, d.db, models.KindContact, "contacts", contactColumns(sel), contactID, ids)
}

func contactID(c *models.Contact) uuid.UUID { return c.ID }

func contactOrder(wanted *models.ContactOrder) paging.Order[models.Contact] {
	order := paging.Order[models.Contact]{
		Name: "contacts/name", Column: "name_key", Type: "text",
		Key: func(c *models.Contact) string { return c.NameKey },
		ID:  contactID,
	}
	if wanted == nil {
		return order
	}
	switch wanted.Field {
	case models.ContactOrderFieldName:
	case models.ContactOrderFieldCreatedAt:
		order.Name, order.Column, order.Type = "contacts/created_at", "created_at", "timestamptz"
		order.Key = func(c *models.Contact) string { return paging.TimeKey(c.CreatedAt) }
	case models.ContactOrderFieldUpdatedAt:
		order.Name, order.Column, order.Type = "contacts/updated_at", "updated_at", "timestamptz"
		order.Key = func(c *models.Contact) string { return paging.TimeKey(c.UpdatedAt) }
	}
	if wanted.Direction == models.SortDirectionDesc {
		order.Desc = true
		order.Name += "/desc"
	}
	return order
}

func contactColumns(sel selection.Set) []string {
	return sel.Columns(func(field string) []string {
		switch field {
		case "name", "email", "phone", "status", "tags", "source", "notes", "version":
			return []string{field}
		case "preferredName":
			return []string{"preferred_name"}
		case "taxId":
			return []string{"tax_id"}
		case "birthDate":
			return []string{"birth_date"}
		case "externalReference":
			return []string{"external_reference"}
		case "createdAt":
			return []string{"created_at"}
		case "updatedAt":
			return []string{"updated_at"}
		}
		return nil
	})
}
