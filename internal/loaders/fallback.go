package loaders

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/vikstrous/dataloadgen"

	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/models"
)

const (
	// wait is how long a batch collects keys. It is the last resort's price.
	wait = time.Millisecond
	// batch bounds the keys of one statement.
	batch = 1000
)

// Loader finds one entity by an id.
type Loader[T any] = dataloadgen.Loader[uuid.UUID, *T]

// Set is one response's data loaders. It must never serve two responses: its
// keys are bare ids, and what it holds does not age.
type Set struct {
	from Sources

	Contacts         *Loader[models.Contact]
	Practitioners    *Loader[models.Practitioner]
	Services         *Loader[models.Service]
	Appointments     *Loader[models.Appointment]
	Records          *Loader[models.MedicalRecord]
	Amendments       *Loader[models.MedicalRecord]
	NextAppointments *Loader[models.Appointment]
	LastAppointments *Loader[models.Appointment]
	hours            *dataloadgen.Loader[uuid.UUID, []*models.WorkingHour]

	contactAppointments      lists[*paging.Page[models.Appointment]]
	practitionerAppointments lists[*paging.Page[models.Appointment]]
	contactRecords           lists[*paging.Page[models.MedicalRecord]]
	appointmentRecords       lists[*paging.Page[models.MedicalRecord]]
	timeOff                  lists[[]*models.TimeOff]
}

type setKey struct{}

// With returns a context with a new Set for one response. The Set's statements
// run in this context, so that they end with it.
func With(ctx context.Context, from Sources) context.Context {
	set := &Set{from: from}
	ctx = context.WithValue(ctx, setKey{}, set)
	set.Contacts = byID(ctx, from.batched("contacts"), from.People.ContactsByID, everyContact())
	set.Practitioners = byID(ctx, from.batched("practitioners"), from.People.PractitionersByID, everyPractitioner())
	set.Services = byID(ctx, from.batched("services"), from.People.ServicesByID, everyService())
	set.Appointments = byID(ctx, from.batched("appointments"), from.Diary.AppointmentsByID, everyAppointment())
	set.NextAppointments = byID(ctx, from.batched("nextAppointments"), from.Diary.NextAppointments, everyAppointment())
	set.LastAppointments = byID(ctx, from.batched("lastAppointments"), from.Diary.LastAppointments, everyAppointment())
	set.Records = byID(ctx, from.batched("records"), from.Chart.RecordsByID, everyRecord())
	set.Amendments = byID(ctx, from.batched("amendments"), from.Chart.AmendmentsOf, everyRecord())
	set.hours = newLoader(ctx, from.batched("workingHours"), from.Diary.WorkingHoursOf)
	return ctx
}

// From gives the response's Set.
func From(ctx context.Context) (*Set, error) {
	set, ok := ctx.Value(setKey{}).(*Set)
	if !ok {
		return nil, errors.New("loaders: no set in the context of this response")
	}
	return set, nil
}

// One loads one entity; that there is none is nil, as a relation's answer.
func One[T any](ctx context.Context, loader *Loader[T], id uuid.UUID) (*T, error) {
	entity, err := loader.Load(ctx, id)
	if errors.Is(err, dataloadgen.ErrNotFound) {
		return nil, nil //nolint:nilnil // null is the field's answer
	}
	return entity, err
}

// HoursOf loads a practitioner's weekly working hours.
func (s *Set) HoursOf(ctx context.Context, practitioner uuid.UUID) ([]*models.WorkingHour, error) {
	hours, err := s.hours.Load(ctx, practitioner)
	if errors.Is(err, dataloadgen.ErrNotFound) {
		return nil, nil
	}
	return hours, err
}

// ContactAppointments loads a page of a contact's appointments.
func (s *Set) ContactAppointments(ctx context.Context, contact uuid.UUID, query scheduling.AppointmentQuery) (*paging.Page[models.Appointment], error) {
	return s.contactAppointments.load(ctx, s.from.batched("contactAppointments"), query, contact, func(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]*paging.Page[models.Appointment], error) {
		return s.from.Diary.AppointmentsOfContacts(ctx, ids, query, everyAppointment())
	})
}

// PractitionerAppointments loads a page of a practitioner's appointments.
func (s *Set) PractitionerAppointments(ctx context.Context, practitioner uuid.UUID, query scheduling.AppointmentQuery) (*paging.Page[models.Appointment], error) {
	return s.practitionerAppointments.load(ctx, s.from.batched("practitionerAppointments"), query, practitioner, func(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]*paging.Page[models.Appointment], error) {
		return s.from.Diary.AppointmentsOfPractitioners(ctx, ids, query, everyAppointment())
	})
}

// ContactRecords loads a page of a contact's medical records.
func (s *Set) ContactRecords(ctx context.Context, contact uuid.UUID, query records.RecordQuery) (*paging.Page[models.MedicalRecord], error) {
	return s.contactRecords.load(ctx, s.from.batched("contactRecords"), query, contact, func(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]*paging.Page[models.MedicalRecord], error) {
		return s.from.Chart.RecordsOfContacts(ctx, ids, query, everyRecord())
	})
}

// AppointmentRecords loads a page of the medical records about an appointment.
func (s *Set) AppointmentRecords(ctx context.Context, appointment uuid.UUID, query records.RecordQuery) (*paging.Page[models.MedicalRecord], error) {
	return s.appointmentRecords.load(ctx, s.from.batched("appointmentRecords"), query, appointment, func(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]*paging.Page[models.MedicalRecord], error) {
		return s.from.Chart.RecordsOfAppointments(ctx, ids, query, everyRecord())
	})
}

// TimeOff loads a practitioner's absences within a range.
func (s *Set) TimeOff(ctx context.Context, practitioner uuid.UUID, span models.DateTimeRange) ([]*models.TimeOff, error) {
	return s.timeOff.load(ctx, s.from.batched("timeOff"), span, practitioner, func(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID][]*models.TimeOff, error) {
		return s.from.Diary.TimeOffOf(ctx, ids, span)
	})
}

// lists are the loaders of a field with arguments: one per set of arguments.
type lists[V any] struct {
	mu      sync.Mutex
	loaders map[string]*dataloadgen.Loader[uuid.UUID, V]
}

func (l *lists[V]) load(
	ctx context.Context, around batched, arguments any, parent uuid.UUID, fetch func(context.Context, []uuid.UUID) (map[uuid.UUID]V, error),
) (V, error) {
	var none V
	key, err := json.Marshal(arguments)
	if err != nil {
		return none, err
	}
	l.mu.Lock()
	loader := l.loaders[string(key)]
	if loader == nil {
		if l.loaders == nil {
			l.loaders = map[string]*dataloadgen.Loader[uuid.UUID, V]{}
		}
		loader = newLoader(ctx, around, fetch)
		l.loaders[string(key)] = loader
	}
	l.mu.Unlock()
	value, err := loader.Load(ctx, parent)
	if errors.Is(err, dataloadgen.ErrNotFound) {
		return none, nil
	}
	return value, err
}

func byID[T any](
	ctx context.Context, around batched,
	fetch func(context.Context, []uuid.UUID, selection.Set) (map[uuid.UUID]*T, error), every selection.Set,
) *Loader[T] {
	return newLoader(ctx, around, func(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]*T, error) {
		return fetch(ctx, ids, every)
	})
}

// batched is what surrounds a loader's fetch of a number of keys.
type batched func(ctx context.Context, keys int) (context.Context, func(error))

// batched tells whoever wants to know what a loader fetches at once.
func (s Sources) batched(loader string) batched {
	return func(ctx context.Context, keys int) (context.Context, func(error)) {
		if s.Batched == nil {
			return ctx, func(error) {}
		}
		return s.Batched(ctx, loader, keys)
	}
}

// newLoader batches over a mapped fetch: rows find their keys by id, not by
// their place. The response's context goes to the statement, since the first
// waiting field's may be cancelled while others still wait.
func newLoader[V any](
	response context.Context, around batched, fetch func(context.Context, []uuid.UUID) (map[uuid.UUID]V, error),
) *dataloadgen.Loader[uuid.UUID, V] {
	return dataloadgen.NewMappedLoader(func(_ context.Context, ids []uuid.UUID) (map[uuid.UUID]V, error) {
		ctx, done := around(response, len(ids))
		found, err := fetch(ctx, ids)
		done(err)
		return found, err
	}, dataloadgen.WithWait(wait), dataloadgen.WithBatchCapacity(batch))
}

// What a loader reads cannot follow a selection: it reads all that its
// entity's fields need.

func everyContact() selection.Set {
	return named("name", "preferredName", "email", "phone", "taxId", "birthDate", "status", "tags", "source",
		"notes", "externalReference", "version", "createdAt", "updatedAt")
}

func everyPractitioner() selection.Set {
	return named("name", "specialty", "registration", "color", "active")
}

func everyService() selection.Set {
	return named("name", "durationMinutes", "price", "active")
}

func everyAppointment() selection.Set {
	return named("contact", "practitioner", "service", "startsAt", "endsAt", "status", "cancellationReason",
		"notes", "overbooked", "externalReference", "version", "createdAt", "updatedAt")
}

func everyRecord() selection.Set {
	return named("contact", "practitioner", "appointment", "kind", "title", "body", "codes", "data", "signedAt",
		"digest", "amends", "version", "createdAt", "updatedAt")
}

func named(names ...string) selection.Set {
	fields := make([]selection.Field, len(names))
	for i, name := range names {
		fields[i] = selection.Field{Name: name, Key: name}
	}
	return selection.Of(fields...)
}
