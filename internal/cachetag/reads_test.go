package cachetag_test

import (
	"context"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/models"
)

// read is a function of the clinic's packages with its arguments.
type read struct {
	name string
	run  func(ctx context.Context) (any, error)
}

// shown is what a client sees of a page.
func shown[T any](page *paging.Page[T], err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return map[string]any{"items": page.Items, "next": page.HasNext, "previous": page.HasPrevious, "total": page.Total}, nil
}

func shownOf[T any](pages map[uuid.UUID]*paging.Page[T], err error) (any, error) {
	if err != nil {
		return nil, err
	}
	all := map[uuid.UUID]any{}
	for id, page := range pages {
		all[id], _ = shown(page, nil)
	}
	return all, nil
}

func (w *world) selection(fields ...string) selection.Set {
	var set []selection.Field
	for _, name := range fields {
		if w.dice.IntN(2) == 0 {
			set = append(set, selection.Field{Name: name, Key: name})
		}
	}
	return selection.Of(set...)
}

func (w *world) request() paging.Request {
	if w.dice.IntN(4) == 0 {
		return paging.Request{Last: new(1 + w.dice.IntN(4))}
	}
	return paging.Request{First: new(1 + w.dice.IntN(6))}
}

// read draws one of all functions that answers are made of.
func (w *world) read() read {
	contact := w.selection("name", "preferredName", "email", "phone", "taxId", "birthDate", "status", "tags", "source", "notes",
		"externalReference", "version", "createdAt", "updatedAt")
	appointment := w.selection("contact", "practitioner", "service", "startsAt", "endsAt", "status", "cancellationReason", "notes",
		"overbooked", "externalReference", "version", "createdAt", "updatedAt")
	record := w.selection("contact", "practitioner", "appointment", "kind", "title", "body", "codes", "data", "signedAt", "digest",
		"amends", "version", "createdAt", "updatedAt")
	practitioner := w.selection("name", "specialty", "registration", "color", "active")
	service := w.selection("name", "durationMinutes", "price", "active")
	request, count, active := w.request(), w.dice.IntN(2) == 0, perhaps(w, w.dice.IntN(2) == 0)
	contacts, practitioners := some(w, w.contacts), some(w, w.practitioners)
	appointments, recordIDs, services := some(w, w.appointments), some(w, w.records), some(w, w.services)
	text, serviceID := one(w, []string{"ana", "sousa", "silva joão", "mar", "beatr", "5511", "98765", "11 98765-4321", "ana 21987", "carlad"}), one(w, w.services)
	span, openSpan, everyone := *w.span(), w.openSpan(), w.dice.IntN(2) == 0

	query := people.ContactQuery{Request: request, Count: count, Filter: w.contactFilter()}
	query.Order = perhaps(w, models.ContactOrder{Field: one(w, models.AllContactOrderField), Direction: one(w, models.AllSortDirection)})
	booked := scheduling.AppointmentQuery{Request: request, Count: count, Range: openSpan}
	if w.dice.IntN(4) == 0 {
		booked.Range = nil
	}
	if w.dice.IntN(3) == 0 {
		booked.Status = some(w, models.AllAppointmentStatus)
	}
	narrowed := booked
	narrowed.Order = perhaps(w, models.AppointmentOrder{Field: one(w, models.AllAppointmentOrderField), Direction: one(w, models.AllSortDirection)})
	switch w.dice.IntN(4) {
	case 0:
		narrowed.PractitionerID = new(one(w, w.practitioners))
	case 1:
		narrowed.ContactID = new(one(w, w.contacts))
	}
	about := records.RecordQuery{Request: request, Count: count}
	if w.dice.IntN(3) == 0 {
		about.Kinds = some(w, models.AllRecordKind)
	}

	return one(w, []read{
		{"Clinic", func(ctx context.Context) (any, error) { return w.people.Clinic(ctx) }},
		{"Practitioners", func(ctx context.Context) (any, error) {
			return shown(w.people.Practitioners(ctx, people.PractitionerQuery{Active: active, Request: request, Count: count}, practitioner))
		}},
		{"PractitionersByID", func(ctx context.Context) (any, error) {
			return w.people.PractitionersByID(ctx, practitioners, practitioner)
		}},
		{"Services", func(ctx context.Context) (any, error) {
			return shown(w.people.Services(ctx, people.ServiceQuery{Active: active, Request: request, Count: count}, service))
		}},
		{"ServicesByID", func(ctx context.Context) (any, error) { return w.people.ServicesByID(ctx, services, service) }},
		{"Contacts", func(ctx context.Context) (any, error) { return shown(w.people.Contacts(ctx, query, contact)) }},
		{"ContactsByID", func(ctx context.Context) (any, error) { return w.people.ContactsByID(ctx, contacts, contact) }},
		{"SearchContacts", func(ctx context.Context) (any, error) {
			return shown(w.people.SearchContacts(ctx, people.SearchQuery{Text: text, Request: paging.Request{First: new(3)}, Count: count}, contact))
		}},
		{"AppointmentsByID", func(ctx context.Context) (any, error) {
			return w.diary.AppointmentsByID(ctx, appointments, appointment)
		}},
		{"Appointments", func(ctx context.Context) (any, error) { return shown(w.diary.Appointments(ctx, narrowed, appointment)) }},
		{"AppointmentsOfContacts", func(ctx context.Context) (any, error) {
			return shownOf(w.diary.AppointmentsOfContacts(ctx, contacts, booked, appointment))
		}},
		{"AppointmentsOfPractitioners", func(ctx context.Context) (any, error) {
			return shownOf(w.diary.AppointmentsOfPractitioners(ctx, practitioners, booked, appointment))
		}},
		{"NextAppointments", func(ctx context.Context) (any, error) { return w.diary.NextAppointments(ctx, contacts, appointment) }},
		{"LastAppointments", func(ctx context.Context) (any, error) { return w.diary.LastAppointments(ctx, contacts, appointment) }},
		{"WorkingHoursOf", func(ctx context.Context) (any, error) { return w.diary.WorkingHoursOf(ctx, practitioners) }},
		{"TimeOffOf", func(ctx context.Context) (any, error) { return w.diary.TimeOffOf(ctx, practitioners, span) }},
		{"Availability", func(ctx context.Context) (any, error) {
			if everyone {
				return w.diary.Availability(ctx, nil, serviceID, span)
			}
			return w.diary.Availability(ctx, practitioners, serviceID, span)
		}},
		{"RecordsOfContacts", func(ctx context.Context) (any, error) {
			return shownOf(w.chart.RecordsOfContacts(ctx, contacts, about, record))
		}},
		{"RecordsOfAppointments", func(ctx context.Context) (any, error) {
			return shownOf(w.chart.RecordsOfAppointments(ctx, appointments, about, record))
		}},
		{"RecordsByID", func(ctx context.Context) (any, error) { return w.chart.RecordsByID(ctx, recordIDs, record) }},
		{"AmendmentsOf", func(ctx context.Context) (any, error) { return w.chart.AmendmentsOf(ctx, recordIDs, record) }},
	})
}

func (w *world) contactFilter() *models.ContactFilter {
	switch w.dice.IntN(6) {
	case 0:
		return &models.ContactFilter{Status: some(w, models.AllContactStatus)}
	case 1:
		return &models.ContactFilter{Tag: new("vip")}
	case 2:
		return &models.ContactFilter{ExternalReference: new("ref-1")}
	case 3:
		return &models.ContactFilter{CreatedAt: w.openSpan()}
	}
	return nil
}
