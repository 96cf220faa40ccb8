// Package billing is the clinic's money: what contacts owe and have paid.
package billing

import (
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// Invoice is what a contact owes the clinic, as it is read.
func Invoice() entity.Declaration {
	money := func(columns ...string) []string { return append(columns, "currency") }
	return entity.Noun[models.Invoice]{
		Kind: models.KindInvoice,
		Columns: map[string][]string{
			"total": money("total_minor"), "paid": money("paid_minor"), "balance": money("total_minor", "paid_minor"),
		},
		One: map[string]entity.One{
			"contact":     {Kind: models.KindContact, Column: "contact_id"},
			"appointment": {Kind: models.KindAppointment, Column: "appointment_id"},
		},
		Lists: []entity.List{
			{Field: "Query.invoices", Order: "due_date", Filter: invoiceFilter, Depends: dependsOnInvoices},
			{Field: "Contact.invoices", Parent: "contact_id", Order: "due_date", Desc: true, Filter: inStatus},
		},
		First: []entity.First{{Field: "Appointment.invoice", Parent: "appointment_id", Order: "created_at", Filter: notVoid}},
	}
}

func inStatus(q *entity.Query, args entity.Args) error {
	return entity.In(q, "status", entity.Arg[[]models.InvoiceStatus](args, "status"))
}

func invoiceFilter(q *entity.Query, args entity.Args) error {
	if err := q.PointsAt("contact_id", "contactId", models.KindContact, entity.Arg[*string](args, "contactId")); err != nil {
		return err
	}
	if err := q.Days("due_date", entity.Arg[*models.DateRange](args, "dueDate")); err != nil {
		return err
	}
	return inStatus(q, args)
}

// notVoid leaves one invoice per appointment at most: the index that sees to it
// has the same condition, and serves it.
func notVoid(q *entity.Query, _ *entity.Reading) { q.Where("status <> 'anulada'") }

// dependsOnInvoices declares a contact's invoices where they alone are asked for.
func dependsOnInvoices(r *entity.Reading, ask *entity.Ask) error {
	global := entity.Arg[*string](ask.Args, "contactId")
	if global == nil {
		r.Depends(touched.Of("invoice/list"))
		return nil
	}
	contact, err := models.KindContact.Parse(*global)
	if err != nil {
		return err
	}
	r.Depends(touched.OnID("invoice", "contact", contact))
	return nil
}
