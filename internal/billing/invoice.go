// Package billing is the clinic's money: what contacts owe and have paid.
package billing

import (
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// Invoice is what a contact owes the clinic, as it is read.
func Invoice() entity.Declaration {
	money := func(columns ...string) []string { return append(columns, "currency") }
	return entity.Noun[models.Invoice]{
		Kind: models.KindInvoice,
		Age:  func(now time.Time, row *models.Invoice) time.Time { return row.AgeAt(now) },
		Columns: map[string][]string{
			"status": {"status", "overdue_at"},
			"pix":    append(money("total_minor", "paid_minor"), "status", "overdue_at", "pix_key", "payee"),
			"total":  money("total_minor"), "paid": money("paid_minor"), "balance": money("total_minor", "paid_minor"),
		},
		One: map[string]entity.One{
			"contact":     {Kind: models.KindContact, Column: "contact_id"},
			"appointment": {Kind: models.KindAppointment, Column: "appointment_id"},
		},
		Lists: []entity.List{
			{Field: "Query.invoices", Order: "due_date", Filter: invoiceFilter, Depends: dependsOnInvoices},
			{Field: "Contact.invoices", Parent: "contact_id", Order: "due_date", Desc: true, Filter: inStatus, Depends: dependsOnContacts},
		},
		Values: []entity.Value{{Field: "Contact.balance", Parent: "contact_id", SQL: owed, Read: readOwed}},
		First:  []entity.First{{Field: "Appointment.invoice", Parent: "appointment_id", Order: "created_at", Filter: notVoid}},
	}
}

// today is the day that it is in the clinic's zone, given an instant.
const today = "(SELECT (?::timestamptz AT TIME ZONE c.time_zone)::date FROM clinics c WHERE c.id = app_clinic())"

// inStatus selects invoices by what they are at the answer's instant: those that are
// owed are overdue once their due date has passed.
func inStatus(q *entity.Query, args entity.Args) error {
	wanted := entity.Arg[[]models.InvoiceStatus](args, "status")
	has := func(s models.InvoiceStatus) bool { return slices.Contains(wanted, s) }
	stored := wanted
	if has(models.InvoiceStatusOverdue) {
		stored = slices.DeleteFunc(slices.Clone(wanted), func(s models.InvoiceStatus) bool { return s == models.InvoiceStatusOverdue })
		stored = append(stored, models.InvoiceStatusOpen, models.InvoiceStatusPartiallyPaid)
	}
	if err := entity.In(q, "status", stored); err != nil {
		return err
	}
	for _, owed := range []models.InvoiceStatus{models.InvoiceStatusOpen, models.InvoiceStatusPartiallyPaid} {
		if !slices.Contains(stored, owed) || has(owed) && has(models.InvoiceStatusOverdue) {
			continue // not wanted at all, or both before it is overdue and after
		}
		passed := "due_date >= " + today
		if !has(owed) {
			passed = "due_date < " + today
		}
		if len(stored) == 1 {
			q.Where(passed, q.Now())
		} else {
			q.Where("(status <> ? OR "+passed+")", owed, q.Now())
		}
	}
	return nil
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

// untilMidnight declares that a list of invoices in some statuses is another one on the
// clinic's next day.
func untilMidnight(r *entity.Reading, ask *entity.Ask) {
	if entity.Arg[[]models.InvoiceStatus](ask.Args, "status") == nil || !r.Kept() {
		return
	}
	r.Find("SELECT (($2::timestamptz AT TIME ZONE time_zone)::date + 1::integer)::timestamp AT TIME ZONE time_zone FROM clinics WHERE id = $1",
		func(rows pgx.Rows) error {
			midnight, err := pgx.CollectOneRow(rows, pgx.RowTo[time.Time])
			if err == nil {
				r.Until(midnight)
			}
			return err
		}, r.Now())
}

// dependsOnContacts declares what decides which invoices contacts have, by status.
func dependsOnContacts(r *entity.Reading, ask *entity.Ask) error {
	untilMidnight(r, ask)
	for _, contact := range ask.Keys {
		r.Depends(touched.OnID("invoice", "contact", contact))
	}
	return nil
}

// dependsOnInvoices declares a contact's invoices where they alone are asked for.
func dependsOnInvoices(r *entity.Reading, ask *entity.Ask) error {
	untilMidnight(r, ask)
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
