// Package loaders fetches what hangs below entities in one statement per level.
//
// The usual way is the look-ahead: the moment a list is known, so is everything
// that was asked for below it, and it is fetched and kept on the entities before
// their resolvers run. No timer is involved. What the look-ahead leaves out (an
// answer that shows the same entities at two places, which may want different
// things of them) is served by data loaders, which collect keys for a millisecond.
package loaders

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

// Sources are the packages that entities come from.
type Sources struct {
	People *people.Directory
	Diary  *scheduling.Diary
	Chart  *records.Chart
	// Batched, if set, is told how many keys a data loader is about to fetch at
	// once, and gives the context to do it under. What it returns is called after.
	Batched func(ctx context.Context, loader string, keys int) (context.Context, func(error))
	// Ahead, if set, is told likewise of a field that the look-ahead is about to
	// fetch for a number of parents, with all that was asked for below it.
	Ahead func(ctx context.Context, field string, parents int) (context.Context, func(error))
}

// LookAhead fetches below entities that were just read.
type LookAhead struct{ from Sources }

// NewLookAhead makes a LookAhead over its sources.
func NewLookAhead(from Sources) *LookAhead { return &LookAhead{from: from} }

// Contacts fetches what is selected below contacts.
func (l *LookAhead) Contacts(ctx context.Context, contacts []*models.Contact, sel selection.Set) error {
	return each(ctx, l.from, "Contact", contacts, sel, func(ctx context.Context, field selection.Field) error {
		switch field.Name {
		case "appointments":
			query, err := appointmentQuery(field)
			if err != nil {
				return err
			}
			place := PlaceOf(field.Set)
			pages, err := l.from.Diary.AppointmentsOfContacts(ctx, ids(contacts, contactID), query, place.Nodes)
			return l.pages(ctx, err, place, keep(contacts, field.Key, contactID, pages))
		case "nextAppointment":
			next, err := l.from.Diary.NextAppointments(ctx, ids(contacts, contactID), field.Set)
			return l.appointments(ctx, err, field.Set, keepOne(contacts, field.Key, contactID, next))
		case "lastAppointment":
			last, err := l.from.Diary.LastAppointments(ctx, ids(contacts, contactID), field.Set)
			return l.appointments(ctx, err, field.Set, keepOne(contacts, field.Key, contactID, last))
		case "medicalRecords":
			query, err := recordQuery(field)
			if err != nil {
				return err
			}
			place := PlaceOf(field.Set)
			pages, err := l.from.Chart.RecordsOfContacts(ctx, ids(contacts, contactID), query, place.Nodes)
			return l.recordPages(ctx, err, place, keep(contacts, field.Key, contactID, pages))
		}
		return nil
	})
}

// Appointments fetches what is selected below appointments.
func (l *LookAhead) Appointments(ctx context.Context, appointments []*models.Appointment, sel selection.Set) error {
	return each(ctx, l.from, "Appointment", appointments, sel, func(ctx context.Context, field selection.Field) error {
		switch field.Name {
		case "contact":
			contactOf := func(a *models.Appointment) uuid.UUID { return a.ContactID }
			found, err := l.from.People.ContactsByID(ctx, ids(appointments, contactOf), field.Set)
			return l.contacts(ctx, err, field.Set, keepOne(appointments, field.Key, contactOf, found))
		case "practitioner":
			practitionerOf := func(a *models.Appointment) uuid.UUID { return a.PractitionerID }
			found, err := l.from.People.PractitionersByID(ctx, ids(appointments, practitionerOf), field.Set)
			return l.practitioners(ctx, err, field.Set, keepOne(appointments, field.Key, practitionerOf, found))
		case "service":
			serviceOf := func(a *models.Appointment) uuid.UUID { return orNil(a.ServiceID) }
			found, err := l.from.People.ServicesByID(ctx, ids(appointments, serviceOf), field.Set)
			keepOne(appointments, field.Key, serviceOf, found)
			return err
		case "medicalRecords":
			query, err := recordQuery(field)
			if err != nil {
				return err
			}
			place := PlaceOf(field.Set)
			pages, err := l.from.Chart.RecordsOfAppointments(ctx, ids(appointments, appointmentID), query, place.Nodes)
			return l.recordPages(ctx, err, place, keep(appointments, field.Key, appointmentID, pages))
		}
		return nil
	})
}

// MedicalRecords fetches what is selected below medical records.
func (l *LookAhead) MedicalRecords(ctx context.Context, records []*models.MedicalRecord, sel selection.Set) error {
	return each(ctx, l.from, "MedicalRecord", records, sel, func(ctx context.Context, field selection.Field) error {
		switch field.Name {
		case "contact":
			contactOf := func(r *models.MedicalRecord) uuid.UUID { return r.ContactID }
			found, err := l.from.People.ContactsByID(ctx, ids(records, contactOf), field.Set)
			return l.contacts(ctx, err, field.Set, keepOne(records, field.Key, contactOf, found))
		case "practitioner":
			practitionerOf := func(r *models.MedicalRecord) uuid.UUID { return r.PractitionerID }
			found, err := l.from.People.PractitionersByID(ctx, ids(records, practitionerOf), field.Set)
			return l.practitioners(ctx, err, field.Set, keepOne(records, field.Key, practitionerOf, found))
		case "appointment":
			appointmentOf := func(r *models.MedicalRecord) uuid.UUID { return orNil(r.AppointmentID) }
			found, err := l.from.Diary.AppointmentsByID(ctx, ids(records, appointmentOf), field.Set)
			return l.appointments(ctx, err, field.Set, keepOne(records, field.Key, appointmentOf, found))
		case "amends":
			amendedBy := func(r *models.MedicalRecord) uuid.UUID { return orNil(r.AmendsID) }
			found, err := l.from.Chart.RecordsByID(ctx, ids(records, amendedBy), field.Set)
			return l.records(ctx, err, field.Set, keepOne(records, field.Key, amendedBy, found))
		case "amendedBy":
			found, err := l.from.Chart.AmendmentsOf(ctx, ids(records, recordID), field.Set)
			return l.records(ctx, err, field.Set, keepOne(records, field.Key, recordID, found))
		}
		return nil
	})
}

// Practitioners fetches what is selected below practitioners.
func (l *LookAhead) Practitioners(ctx context.Context, practitioners []*models.Practitioner, sel selection.Set) error {
	return each(ctx, l.from, "Practitioner", practitioners, sel, func(ctx context.Context, field selection.Field) error {
		switch field.Name {
		case "workingHours":
			hours, err := l.from.Diary.WorkingHoursOf(ctx, ids(practitioners, practitionerID))
			for _, p := range practitioners {
				p.Put(field.Key, hours[p.ID])
			}
			return err
		case "timeOff":
			span, err := rangeArgument(field)
			if err != nil {
				return err
			}
			away, err := l.from.Diary.TimeOffOf(ctx, ids(practitioners, practitionerID), span)
			for _, p := range practitioners {
				p.Put(field.Key, away[p.ID])
			}
			return err
		case "appointments":
			query, err := appointmentQuery(field)
			if err != nil {
				return err
			}
			place := PlaceOf(field.Set)
			pages, err := l.from.Diary.AppointmentsOfPractitioners(ctx, ids(practitioners, practitionerID), query, place.Nodes)
			return l.pages(ctx, err, place, keep(practitioners, field.Key, practitionerID, pages))
		}
		return nil
	})
}

// Slots fetches what is selected below slots.
func (l *LookAhead) Slots(ctx context.Context, slots []*models.Slot, sel selection.Set) error {
	return each(ctx, l.from, "Slot", slots, sel, func(ctx context.Context, field selection.Field) error {
		if field.Name != "practitioner" {
			return nil
		}
		practitionerOf := func(s *models.Slot) uuid.UUID { return s.PractitionerID }
		found, err := l.from.People.PractitionersByID(ctx, ids(slots, practitionerOf), field.Set)
		return l.practitioners(ctx, err, field.Set, keepOne(slots, field.Key, practitionerOf, found))
	})
}

func (l *LookAhead) contacts(ctx context.Context, err error, sel selection.Set, found []*models.Contact) error {
	if err != nil {
		return err
	}
	return l.Contacts(ctx, found, sel)
}

func (l *LookAhead) appointments(ctx context.Context, err error, sel selection.Set, found []*models.Appointment) error {
	if err != nil {
		return err
	}
	return l.Appointments(ctx, found, sel)
}

func (l *LookAhead) records(ctx context.Context, err error, sel selection.Set, found []*models.MedicalRecord) error {
	if err != nil {
		return err
	}
	return l.MedicalRecords(ctx, found, sel)
}

func (l *LookAhead) practitioners(ctx context.Context, err error, sel selection.Set, found []*models.Practitioner) error {
	if err != nil {
		return err
	}
	return l.Practitioners(ctx, found, sel)
}

func (l *LookAhead) pages(ctx context.Context, err error, place Place, pages []*paging.Page[models.Appointment]) error {
	if err != nil || place.Shared {
		return err
	}
	return l.Appointments(ctx, items(pages), place.Nodes)
}

func (l *LookAhead) recordPages(ctx context.Context, err error, place Place, pages []*paging.Page[models.MedicalRecord]) error {
	if err != nil || place.Shared {
		return err
	}
	return l.MedicalRecords(ctx, items(pages), place.Nodes)
}
