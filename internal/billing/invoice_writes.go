package billing

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// CreateInvoice writes an invoice, and issues it unless the input says otherwise.
// Mistakes come back as models.Invalid.
func (l *Ledger) CreateInvoice(ctx context.Context, input models.CreateInvoiceInput) (*models.Invoice, error) {
	var in validate.Input
	draft := &models.Invoice{
		ID: models.NewID(), Status: models.InvoiceStatusDraft, DueDate: input.DueDate,
		ContactID: in.ID("contactId", models.KindContact, input.ContactID),
	}
	if input.AppointmentID != nil {
		id := in.ID("appointmentId", models.KindAppointment, *input.AppointmentID)
		draft.AppointmentID = &id
	}
	items := readItems(&in, input.Items)
	if err := in.Err(); err != nil {
		return nil, err
	}
	made, err := database.InTenant(ctx, l.db, func(tx *gorm.DB) (*models.Invoice, error) {
		if err := parties(tx, draft); err != nil {
			return nil, err
		}
		priced, err := price(tx, draft, items)
		if err != nil {
			return nil, err
		}
		if err := tx.Clauses(clause.Returning{}).Create(draft).Error; err != nil {
			return nil, err
		}
		if err := tx.Create(&priced).Error; err != nil {
			return nil, err
		}
		if input.Issue != nil && !*input.Issue {
			return draft, nil
		}
		return number(tx, draft, l.now())
	})
	if constraint, violated := database.Violation(err); violated && constraint == "idx_invoices_appointment" {
		return nil, l.billed(ctx, *draft.AppointmentID)
	}
	return made, err
}

// UpdateInvoice changes a draft. Mistakes come back as models.Invalid.
func (l *Ledger) UpdateInvoice(ctx context.Context, input models.UpdateInvoiceInput) (*models.Invoice, error) {
	var in validate.Input
	id := in.ID("id", models.KindInvoice, input.ID)
	due, dated := input.DueDate.ValueOK()
	if dated && due == nil {
		in.Add(models.UserErrorCodeRequired, "dueDate", "an invoice is due some day")
	}
	written, itemized := input.Items.ValueOK()
	var items []item
	if itemized {
		items = readItems(&in, written)
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	return database.InTenant(ctx, l.db, func(tx *gorm.DB) (*models.Invoice, error) {
		draft, err := lock(tx, "id", id, input.ExpectedVersion)
		if err != nil {
			return nil, err
		}
		if draft.Status != models.InvoiceStatusDraft {
			return nil, models.Refuse(models.UserErrorCodeImmutable, "id", "this invoice is issued: void it and write another one", draft.GetID())
		}
		changes := map[string]any{}
		if dated {
			changes["due_date"] = *due
		}
		if itemized {
			priced, err := price(tx, draft, items)
			if err != nil {
				return nil, err
			}
			if err := tx.Where("invoice_id = ?", id).Delete(&models.InvoiceItem{}).Error; err != nil {
				return nil, err
			}
			if err := tx.Create(&priced).Error; err != nil {
				return nil, err
			}
			changes["total_minor"] = draft.TotalMinor
		}
		if len(changes) == 0 {
			return draft, nil
		}
		return change(tx, draft, changes)
	})
}

// IssueInvoice gives a draft its number. Mistakes come back as models.Invalid.
func (l *Ledger) IssueInvoice(ctx context.Context, input models.IssueInvoiceInput) (*models.Invoice, error) {
	var in validate.Input
	id := in.ID("id", models.KindInvoice, input.ID)
	if err := in.Err(); err != nil {
		return nil, err
	}
	return database.InTenant(ctx, l.db, func(tx *gorm.DB) (*models.Invoice, error) {
		draft, err := lock(tx, "id", id, input.ExpectedVersion)
		if err != nil {
			return nil, err
		}
		if draft.Status != models.InvoiceStatusDraft {
			return nil, models.Refuse(models.UserErrorCodeConflict, "id", "this invoice is no draft any more", draft.GetID())
		}
		return number(tx, draft, l.now())
	})
}

// VoidInvoice ends an invoice of which nothing is paid. Mistakes come back as
// models.Invalid.
func (l *Ledger) VoidInvoice(ctx context.Context, input models.VoidInvoiceInput) (*models.Invoice, error) {
	var in validate.Input
	id := in.ID("id", models.KindInvoice, input.ID)
	reason := in.RequiredLines("reason", input.Reason, longestReason)
	if err := in.Err(); err != nil {
		return nil, err
	}
	return database.InTenant(ctx, l.db, func(tx *gorm.DB) (*models.Invoice, error) {
		invoice, err := lock(tx, "id", id, nil)
		switch {
		case err != nil:
			return nil, err
		case invoice.Status == models.InvoiceStatusVoid:
			return nil, models.Refuse(models.UserErrorCodeConflict, "id", "this invoice is void already", invoice.GetID())
		case invoice.PaidMinor > 0:
			return nil, models.Refuse(models.UserErrorCodeConflict, "id", "some of this invoice is paid: give that back first", invoice.GetID())
		}
		return change(tx, invoice, map[string]any{"status": models.InvoiceStatusVoid, "void_reason": reason})
	})
}

// parties looks whether an invoice's contact and appointment are there and go together.
// Locked: neither disappears meanwhile.
func parties(tx *gorm.DB, draft *models.Invoice) error {
	err := tx.Clauses(clause.Locking{Strength: "KEY SHARE"}).Select("id").Where("id = ?", draft.ContactID).Take(&models.Contact{}).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return models.Refuse(models.UserErrorCodeNotFound, "contactId", "this clinic has no such contact")
	}
	if err != nil || draft.AppointmentID == nil {
		return err
	}
	var appointment models.Appointment
	err = tx.Clauses(clause.Locking{Strength: "SHARE"}).Select("id", "contact_id").Where("id = ?", *draft.AppointmentID).Take(&appointment).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return models.Refuse(models.UserErrorCodeNotFound, "appointmentId", "this clinic has no such appointment")
	}
	if err == nil && appointment.ContactID != draft.ContactID {
		return models.Refuse(models.UserErrorCodeInvalid, "appointmentId", "this appointment is another contact's", appointment.GetID())
	}
	return err
}

// billed is the refusal of a second invoice for an appointment; it names the first.
func (l *Ledger) billed(ctx context.Context, appointment uuid.UUID) error {
	first, err := database.InTenant(ctx, l.db, func(tx *gorm.DB) (*models.Invoice, error) {
		var found models.Invoice
		return &found, tx.Select("id").Where("appointment_id = ? AND status <> 'anulada'", appointment).Limit(1).Find(&found).Error
	})
	if err != nil {
		return err
	}
	const told = "this appointment has an invoice already: void that first"
	if first.ID == uuid.Nil {
		return models.Refuse(models.UserErrorCodeTaken, "appointmentId", told)
	}
	return models.Refuse(models.UserErrorCodeTaken, "appointmentId", told, first.GetID())
}

// item is an InvoiceItemInput that was read.
type item struct {
	service     *uuid.UUID
	description *string
	quantity    int
	price       *models.MoneyInput
}

func readItems(in *validate.Input, inputs []*models.InvoiceItemInput) []item {
	if len(inputs) == 0 || len(inputs) > mostItems {
		in.Add(models.UserErrorCodeInvalid, "items", "an invoice has 1 to 200 items")
		return nil
	}
	items := make([]item, len(inputs))
	for i, input := range inputs {
		items[i] = readItem(in, []string{"items", strconv.Itoa(i)}, input)
	}
	return items
}

func readItem(in *validate.Input, path []string, input *models.InvoiceItemInput) item {
	at := func(field string) []string { return append(slices.Clip(path), field) }
	read := item{quantity: 1, price: input.UnitPrice}
	if input.ServiceID != nil {
		id, err := models.KindService.Parse(*input.ServiceID)
		if err != nil {
			in.AddAt(models.UserErrorCodeInvalid, at("serviceId"), "this is no id of a service")
		}
		read.service = &id
	}
	var own validate.Input
	read.description = own.OptionalText("description", input.Description, longestDescription)
	in.Within(path, &own)
	if input.Quantity != nil {
		read.quantity = *input.Quantity
	}
	if read.quantity < 1 || read.quantity > mostOfOne {
		in.AddAt(models.UserErrorCodeInvalid, at("quantity"), "give 1 to 10,000")
	}
	if read.price != nil {
		money(in, at("unitPrice"), read.price, 0, "")
	}
	if read.service == nil {
		if read.description == nil {
			in.AddAt(models.UserErrorCodeRequired, at("description"), "say what it is, or which service")
		}
		if read.price == nil {
			in.AddAt(models.UserErrorCodeRequired, at("unitPrice"), "say what one costs, or which service it is")
		}
	}
	return read
}

// price makes the invoice's items of what was asked and of the services named there,
// and sets its currency and total.
func price(tx *gorm.DB, draft *models.Invoice, asked []item) ([]*models.InvoiceItem, error) {
	currency, err := own(tx)
	if err != nil {
		return nil, err
	}
	services, err := offered(tx, asked)
	if err != nil {
		return nil, err
	}
	var in validate.Input
	draft.Currency, draft.TotalMinor = currency, 0
	items := make([]*models.InvoiceItem, len(asked))
	for i, one := range asked {
		path := []string{"items", strconv.Itoa(i)}
		made := &models.InvoiceItem{
			ID: models.NewID(), InvoiceID: draft.ID, Position: i + 1, ServiceID: one.service, Quantity: one.quantity, Currency: currency,
		}
		if one.service != nil {
			service := services[*one.service]
			if service == nil {
				in.AddAt(models.UserErrorCodeNotFound, append(path, "serviceId"), "this clinic has no such service")
				continue
			}
			made.Description, made.UnitPriceMinor = service.Name, service.PriceMinor
		}
		if one.description != nil {
			made.Description = *one.description
		}
		if one.price != nil {
			made.UnitPriceMinor = money(&in, append(path, "unitPrice"), one.price, 0, currency)
		}
		draft.TotalMinor += int64(made.Quantity) * made.UnitPriceMinor
		items[i] = made
	}
	return items, in.Err()
}

// offered are the services that items name, by id.
func offered(tx *gorm.DB, asked []item) (map[uuid.UUID]*models.Service, error) {
	var ids []uuid.UUID
	for _, one := range asked {
		if one.service != nil {
			ids = append(ids, *one.service)
		}
	}
	known := map[uuid.UUID]*models.Service{}
	if len(ids) == 0 {
		return known, nil
	}
	var services []*models.Service
	if err := tx.Clauses(clause.Locking{Strength: "KEY SHARE"}).Where("id IN ?", ids).Find(&services).Error; err != nil {
		return nil, err
	}
	for _, service := range services {
		known[service.ID] = service
	}
	return known, nil
}
