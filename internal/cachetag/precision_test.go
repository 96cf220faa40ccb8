package cachetag_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/cachetag"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/models"
)

// dependsOn are the tags of a read.
func (w *world) dependsOn(t *testing.T, run func(ctx context.Context) error) []cachetag.Tag {
	t.Helper()
	ctx, collector := cachetag.Collect(w.ctx)
	require.NoError(t, run(ctx))
	tags, reason := collector.Tags()
	require.Empty(t, reason)
	require.NotEmpty(t, tags)
	return tags
}

func (w *world) touches(t *testing.T, written, read []cachetag.Tag) bool {
	t.Helper()
	require.NotContains(t, written, cachetag.Everything)
	for _, tag := range written {
		if slices.Contains(read, tag) {
			return true
		}
	}
	return false
}

// dayView is what the diary shows of a clinic's day: appointments with whom they
// are about.
func (w *world) dayView(t *testing.T, day time.Time, days int) []cachetag.Tag {
	t.Helper()
	return w.dependsOn(t, func(ctx context.Context) error {
		page, err := w.diary.Appointments(ctx, scheduling.AppointmentQuery{
			Range: &models.DateTimeRange{From: &day, To: new(day.AddDate(0, 0, days))}, Request: paging.Request{First: new(100)},
		}, selection.Of(selection.Field{Name: "contact"}, selection.Field{Name: "practitioner"}))
		if err != nil {
			return err
		}
		var contacts []uuid.UUID
		for _, appointment := range page.Items {
			contacts = append(contacts, appointment.ContactID)
		}
		_, err = w.people.ContactsByID(ctx, contacts, selection.Of(selection.Field{Name: "name"}))
		return err
	})
}

func (w *world) contactPage(t *testing.T, contact uuid.UUID) []cachetag.Tag {
	t.Helper()
	return w.dependsOn(t, func(ctx context.Context) error {
		ids := []uuid.UUID{contact}
		if _, err := w.people.ContactsByID(ctx, ids, selection.Set{}); err != nil {
			return err
		}
		if _, err := w.diary.AppointmentsOfContacts(ctx, ids, scheduling.AppointmentQuery{}, selection.Set{}); err != nil {
			return err
		}
		if _, err := w.diary.NextAppointments(ctx, ids, selection.Set{}); err != nil {
			return err
		}
		_, err := w.chart.RecordsOfContacts(ctx, ids, records.RecordQuery{}, selection.Set{})
		return err
	})
}

func (w *world) week(t *testing.T, practitioner uuid.UUID, from time.Time) []cachetag.Tag {
	t.Helper()
	return w.dependsOn(t, func(ctx context.Context) error {
		_, err := w.diary.AppointmentsOfPractitioners(ctx, []uuid.UUID{practitioner}, scheduling.AppointmentQuery{
			Range: &models.DateTimeRange{From: &from, To: new(from.AddDate(0, 0, 7))},
		}, selection.Set{})
		return err
	})
}

func (w *world) free(t *testing.T, practitioners []uuid.UUID, from time.Time) []cachetag.Tag {
	t.Helper()
	return w.dependsOn(t, func(ctx context.Context) error {
		_, err := w.diary.Availability(ctx, practitioners, w.services[0], models.DateTimeRange{From: &from, To: new(from.AddDate(0, 0, 1))})
		return err
	})
}

// A new appointment leaves all that it does not show up in as it was.
func TestTags_ANewAppointmentTouchesItsOwnDayAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	zone, err := time.LoadLocation("America/Sao_Paulo")
	require.NoError(t, err)
	next := w.now.In(zone).AddDate(0, 0, 10)
	day := time.Date(next.Year(), next.Month(), next.Day(), 0, 0, 0, 0, zone)
	ana, joao, first, second := w.contacts[0], w.contacts[1], w.practitioners[0], w.practitioners[1]
	w.exec(t, "DELETE FROM slot_holds")
	w.exec(t, "DELETE FROM time_off")
	w.notified(t)

	type view struct {
		name string
		tags []cachetag.Tag
	}
	touched := []view{
		{"its day", w.dayView(t, day, 1)},
		{"its week", w.dayView(t, day.AddDate(0, 0, -3), 7)},
		{"its contact's page", w.contactPage(t, ana)},
		{"its practitioner's week", w.week(t, first, day.AddDate(0, 0, -3))},
		{"its practitioner's free slots", w.free(t, []uuid.UUID{first}, day)},
		{"everybody's free slots", w.free(t, nil, day)},
	}
	others := []view{
		{"the day after", w.dayView(t, day.AddDate(0, 0, 1), 1)},
		{"the day before", w.dayView(t, day.AddDate(0, 0, -1), 1)},
		{"another contact's page", w.contactPage(t, joao)},
		{"another practitioner's week", w.week(t, second, day.AddDate(0, 0, -3))},
		{"its practitioner's next week", w.week(t, first, day.AddDate(0, 0, 4))},
		{"another practitioner's free slots", w.free(t, []uuid.UUID{second}, day)},
		{"its practitioner's free slots the day after", w.free(t, []uuid.UUID{first}, day.AddDate(0, 0, 1))},
		{"the contacts", w.firstContacts(t)},
	}
	for _, hour := range []int{9, 23} {
		starts := day.Add(time.Duration(hour) * time.Hour)
		booked, _, err := w.diary.Schedule(w.ctx, models.ScheduleAppointmentInput{
			ContactID: models.KindContact.Global(ana), PractitionerID: models.KindPractitioner.Global(first),
			StartsAt: starts, EndsAt: new(starts.Add(time.Hour)), AllowOutsideHours: new(true),
		})
		require.NoError(t, err)
		written := w.raised.taken()
		require.Contains(t, written, cachetag.Entity(models.KindAppointment, booked.ID))
		for _, v := range touched {
			require.True(t, w.touches(t, written, v.tags), "%s at %d", v.name, hour)
		}
		for _, v := range others {
			require.False(t, w.touches(t, written, v.tags), "%s at %d: %v, %v", v.name, hour, written, v.tags)
		}
		// Notes are nobody's question: only what shows this appointment changes.
		_, err = w.psql.Exec(t.Context(), "UPDATE appointments SET notes = 'x' WHERE id = $1", booked.ID)
		require.NoError(t, err)
		require.Equal(t, []cachetag.Tag{cachetag.Entity(models.KindAppointment, booked.ID)}, w.notified(t))
	}
}

// firstContacts is the contacts' first page, by name.
func (w *world) firstContacts(t *testing.T) []cachetag.Tag {
	t.Helper()
	return w.dependsOn(t, func(ctx context.Context) error {
		_, err := w.people.Contacts(ctx, people.ContactQuery{Request: paging.Request{First: new(2)}}, selection.Set{})
		return err
	})
}

func TestTags_NotesOfAContactTouchNoList(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	page := w.firstContacts(t)
	require.Contains(t, page, cachetag.Of("contact/list"))
	var last uuid.UUID
	for _, id := range w.clinic.Contacts {
		if !w.touches(t, []cachetag.Tag{cachetag.Entity(models.KindContact, id)}, page) {
			last = id
		}
	}
	require.NotEqual(t, uuid.Nil, last, "a contact that is not on the first page")
	text := "comes by bus"
	_, err := w.people.UpdateContact(w.ctx, models.UpdateContactInput{
		ID: models.KindContact.Global(last), Notes: graphql.OmittableOf(&text), Email: graphql.OmittableOf(new("a@b.example")),
	})
	require.NoError(t, err)
	written := w.raised.taken()
	require.False(t, w.touches(t, written, page), fmt.Sprint(written))
	require.Contains(t, written, cachetag.Of("contact/search"), "the address is searched by")
	_, err = w.people.UpdateContact(w.ctx, models.UpdateContactInput{ID: models.KindContact.Global(last), Name: graphql.OmittableOf(new("Aaron"))})
	require.NoError(t, err)
	require.True(t, w.touches(t, w.raised.taken(), page), "now they are first")
}

// What changes by itself says when.
func TestTags_WhatTimeChangesSaysWhen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	w.exec(t, "DELETE FROM medical_records")
	w.exec(t, "DELETE FROM appointments")
	starts := w.now.Add(48 * time.Hour)
	w.Appointment(t, w.clinic, 0, 0, starts, time.Hour)
	until := func(run func(ctx context.Context) error) time.Time {
		ctx, collector := cachetag.Collect(w.ctx)
		require.NoError(t, run(ctx))
		return collector.Until()
	}
	ids := w.contacts[:2]
	next := func(ctx context.Context) error {
		_, err := w.diary.NextAppointments(ctx, ids, selection.Set{})
		return err
	}
	last := func(ctx context.Context) error {
		_, err := w.diary.LastAppointments(ctx, ids, selection.Set{})
		return err
	}
	require.True(t, starts.Equal(until(next)))
	require.True(t, starts.Equal(until(last)), "then it will have been the last")
	w.now = starts.Add(time.Minute)
	require.Zero(t, until(next))
	require.Zero(t, until(last))

	w.exec(t, "DELETE FROM slot_holds")
	w.now = w.now.Add(30 * time.Second)
	from, to := w.now.Add(-time.Hour), w.now.Add(24*time.Hour)
	free := func(ctx context.Context) error {
		_, err := w.diary.Availability(ctx, nil, w.services[0], models.DateTimeRange{From: &from, To: &to})
		return err
	}
	require.Equal(t, w.now.Add(30*time.Second), until(free), "slots begin at whole minutes from now on")
	from = w.now.Add(time.Hour)
	require.Equal(t, from, until(free))
	expires := time.Now().Add(20 * time.Minute).Truncate(time.Second)
	w.exec(t, "INSERT INTO slot_holds (clinic_id, id, practitioner_id, subject, starts_at, ends_at, expires_at) VALUES ($1, $2, $3, 'x', $4, $5, $6)",
		w.clinic.ID, models.NewID(), w.practitioners[0], from, from.Add(time.Hour), expires)
	require.True(t, expires.Equal(until(free)), "a hold runs out")
}

// A membership reaches across clinics, whose tags nobody would hear here.
func TestTags_MembershipsAreNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6)
	ctx, collector := cachetag.Collect(w.ctx)
	_, err := w.people.Memberships(ctx)
	require.NoError(t, err)
	_, reason := collector.Tags()
	require.NotEmpty(t, reason)
}
