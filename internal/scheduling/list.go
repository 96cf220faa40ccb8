package scheduling

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/cachetag"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// AppointmentQuery says which appointments are listed, and which page of them.
// All conditions must hold; those that are nil hold for all.
type AppointmentQuery struct {
	// Range is where appointments begin.
	Range          *models.DateTimeRange
	PractitionerID *uuid.UUID
	ContactID      *uuid.UUID
	// Status lists the statuses wanted; an empty list that is not nil wants none.
	Status []models.AppointmentStatus
	// Order is STARTS_AT ASC if nil. Lists of a contact or a practitioner have
	// an order of their own and ignore it.
	Order   *models.AppointmentOrder
	Request paging.Request
	// Count asks for Page.Total, in a second statement.
	Count bool
}

// Appointments lists the clinic's appointments, in one statement.
func (d *Diary) Appointments(ctx context.Context, query AppointmentQuery, sel selection.Set) (*paging.Page[models.Appointment], error) {
	rows, err := query.list(query.order("appointments"), sel)
	if err != nil {
		return nil, err
	}
	if rows.Depends, err = d.dependsOn(ctx, &query); err != nil {
		return nil, err
	}
	return rows.Page(ctx, d.db, d.cursors)
}

// AppointmentsOfContacts gives each contact the same page of its appointments,
// latest first, in one statement for all.
func (d *Diary) AppointmentsOfContacts(
	ctx context.Context, ids []uuid.UUID, query AppointmentQuery, sel selection.Set,
) (map[uuid.UUID]*paging.Page[models.Appointment], error) {
	rows, err := query.list(byStart("contact.appointments", true), sel)
	if err != nil {
		return nil, err
	}
	rows.Depends = ofContacts(ctx, ids)
	return rows.PagePerParent(ctx, d.db, d.cursors, "contact_id",
		func(a *models.Appointment) uuid.UUID { return a.ContactID }, ids)
}

// AppointmentsOfPractitioners gives each practitioner the same page of their
// appointments, in order of their start, in one statement for all.
func (d *Diary) AppointmentsOfPractitioners(
	ctx context.Context, ids []uuid.UUID, query AppointmentQuery, sel selection.Set,
) (map[uuid.UUID]*paging.Page[models.Appointment], error) {
	rows, err := query.list(byStart("practitioner.appointments", false), sel)
	if err != nil {
		return nil, err
	}
	if rows.Depends, err = d.ofPractitioners(ctx, ids, query.Range); err != nil {
		return nil, err
	}
	return rows.PagePerParent(ctx, d.db, d.cursors, "practitioner_id",
		func(a *models.Appointment) uuid.UUID { return a.PractitionerID }, ids)
}

func (q *AppointmentQuery) list(order paging.Order[models.Appointment], sel selection.Set) (*paging.List[models.Appointment], error) {
	rows := &paging.List[models.Appointment]{
		Table: table, Kind: models.KindAppointment, Columns: columns(sel), Order: order, Request: q.Request, Count: q.Count,
	}
	if q.Range != nil {
		if q.Range.From != nil && q.Range.To != nil && q.Range.To.Before(*q.Range.From) {
			return nil, models.BadInput("the range ends before it begins")
		}
		if q.Range.From != nil {
			rows.Where("starts_at >= ?", *q.Range.From)
		}
		if q.Range.To != nil {
			rows.Where("starts_at < ?", *q.Range.To)
		}
	}
	if q.PractitionerID != nil {
		rows.Where("practitioner_id = ?", *q.PractitionerID)
	}
	if q.ContactID != nil {
		rows.Where("contact_id = ?", *q.ContactID)
	}
	if q.Status != nil {
		words, err := models.StoredWords(q.Status)
		if err != nil {
			return nil, err
		}
		rows.Where("status = ANY(?::text[])", words)
	}
	return rows, nil
}

func (q *AppointmentQuery) order(name string) paging.Order[models.Appointment] {
	if q.Order == nil {
		return byStart(name, false)
	}
	desc := q.Order.Direction == models.SortDirectionDesc
	if q.Order.Field == models.AppointmentOrderFieldCreatedAt {
		return paging.Order[models.Appointment]{
			Name: named(name, "created_at", desc), Column: "created_at", Type: "timestamptz", Desc: desc,
			Key: func(a *models.Appointment) string { return instant(a.CreatedAt) }, ID: appointmentID,
		}
	}
	return byStart(name, desc)
}

func byStart(name string, desc bool) paging.Order[models.Appointment] {
	return paging.Order[models.Appointment]{
		Name: named(name, "starts_at", desc), Column: "starts_at", Type: "timestamptz", Desc: desc,
		Key: func(a *models.Appointment) string { return instant(a.StartsAt) }, ID: appointmentID,
	}
}

func named(list, column string, desc bool) string {
	if desc {
		return list + " by " + column + " desc"
	}
	return list + " by " + column
}

// instant is a time as Postgres reads it back without loss.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999999Z07:00") }

func list(columns []string) string { return strings.Join(columns, ", ") }

// NextAppointments finds, for each contact, the first appointment from now on
// that is neither cancelled nor over. Contacts without one are not in the map.
func (d *Diary) NextAppointments(ctx context.Context, contactIDs []uuid.UUID, sel selection.Set) (map[uuid.UUID]*models.Appointment, error) {
	next, err := d.onePerContact(ctx, contactIDs, sel,
		"starts_at >= $3 AND status NOT IN ('concluido', 'cancelado', 'faltou') ORDER BY starts_at, id")
	for _, appointment := range next {
		cachetag.Until(ctx, appointment.StartsAt)
	}
	return next, err
}

// LastAppointments finds, for each contact, the latest appointment that has
// begun and was neither cancelled nor missed. Contacts without one are not in
// the map.
func (d *Diary) LastAppointments(ctx context.Context, contactIDs []uuid.UUID, sel selection.Set) (map[uuid.UUID]*models.Appointment, error) {
	last, err := d.onePerContact(ctx, contactIDs, sel,
		"starts_at < $3 AND status NOT IN ('cancelado', 'faltou') ORDER BY starts_at DESC, id DESC")
	if err != nil || !cachetag.Collecting(ctx) {
		return last, err
	}
	return last, d.untilNextBegins(ctx, contactIDs)
}

// untilNextBegins bounds an answer about contacts by the next beginning of an
// appointment of theirs, after which that one is the last.
func (d *Diary) untilNextBegins(ctx context.Context, contactIDs []uuid.UUID) error {
	scope, err := tenant.From(ctx)
	if err != nil || len(contactIDs) == 0 {
		return err
	}
	begins, err := database.Value[*time.Time](database.Depends(ctx, ofContacts(ctx, contactIDs)...), d.db,
		"SELECT min(starts_at) FROM "+table+
			" WHERE clinic_id = $1 AND contact_id = ANY($2) AND starts_at >= $3 AND status NOT IN ('cancelado', 'faltou')",
		scope.ClinicID, contactIDs, d.now())
	if err == nil && begins != nil {
		cachetag.Until(ctx, *begins)
	}
	return err
}

// onePerContact runs the same search once per contact, inside one statement.
func (d *Diary) onePerContact(ctx context.Context, ids []uuid.UUID, sel selection.Set, which string) (map[uuid.UUID]*models.Appointment, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[uuid.UUID]*models.Appointment, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	selected := list(unique(append(columns(sel), "contact_id", "starts_at")))
	rows, err := database.Rows[models.Appointment](database.Depends(ctx, ofContacts(ctx, ids)...), d.db,
		"SELECT one.* FROM unnest($2::uuid[]) AS contact(id) CROSS JOIN LATERAL (SELECT "+selected+
			" FROM "+table+" WHERE clinic_id = $1 AND contact_id = contact.id AND "+which+" LIMIT 1) AS one",
		scope.ClinicID, unique(ids), d.now())
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		found[row.ContactID] = row
		cachetag.Add(ctx, cachetag.Entity(models.KindAppointment, row.ID))
	}
	return found, nil
}
