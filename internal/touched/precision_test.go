package touched_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit/graph"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// dependsOn are the tags of a query.
func (w *world) dependsOn(t *testing.T, document string) []touched.Tag {
	t.Helper()
	ctx, collector := touched.Collect(w.ctx)
	w.graph.Must(t, ctx, "{ "+document+" }", nil, nil)
	tags, reason := collector.Tags()
	require.Empty(t, reason)
	require.NotEmpty(t, tags)
	return tags
}

func (w *world) touches(t *testing.T, written, read []touched.Tag) bool {
	t.Helper()
	require.NotContains(t, written, touched.Everything)
	for _, tag := range written {
		if slices.Contains(read, tag) {
			return true
		}
	}
	return false
}

// dayView is what the diary shows of a clinic's day: appointments with whom they
// are about.
func (w *world) dayView(t *testing.T, day time.Time, days int) []touched.Tag {
	t.Helper()
	return w.dependsOn(t, "appointments"+graph.Args(map[string]any{
		"filter": map[string]any{"range": within(day, days)}, "first": 100,
	})+" { nodes { id startsAt contact { id name } } }")
}

func within(day time.Time, days int) models.DateTimeRange {
	return models.DateTimeRange{From: &day, To: new(day.AddDate(0, 0, days))}
}

func (w *world) contactPage(t *testing.T, contact uuid.UUID) []touched.Tag {
	t.Helper()
	return w.dependsOn(t, "contact"+graph.Args(map[string]any{"id": models.KindContact.Global(contact)})+
		" { name appointments { nodes { id } } nextAppointment { id } medicalRecords { nodes { id } } }")
}

func (w *world) week(t *testing.T, practitioner uuid.UUID, from time.Time) []touched.Tag {
	t.Helper()
	return w.dependsOn(t, "practitioner"+graph.Args(map[string]any{"id": models.KindPractitioner.Global(practitioner)})+
		" { appointments"+graph.Args(map[string]any{"range": within(from, 7)})+" { nodes { id } } }")
}

func (w *world) free(t *testing.T, practitioners []uuid.UUID, from time.Time) []touched.Tag {
	t.Helper()
	return w.dependsOn(t, w.availability(practitioners, within(from, 1)))
}

// availability asks for the free slots of some practitioners; of all if they are nil.
func (w *world) availability(practitioners []uuid.UUID, within models.DateTimeRange) string {
	args := map[string]any{"serviceId": models.KindService.Global(w.services[0]), "range": within}
	if practitioners != nil {
		args["practitionerIds"] = graph.Globals(models.KindPractitioner, practitioners)
	}
	return "availability" + graph.Args(args) + " { startsAt }"
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
		tags []touched.Tag
	}
	hit := []view{
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
		require.Contains(t, written, touched.Entity(models.KindAppointment, booked.ID))
		for _, v := range hit {
			require.True(t, w.touches(t, written, v.tags), "%s at %d", v.name, hour)
		}
		for _, v := range others {
			require.False(t, w.touches(t, written, v.tags), "%s at %d: %v, %v", v.name, hour, written, v.tags)
		}
		// Notes are nobody's question: only what shows this appointment changes, and
		// lists by the latest change.
		_, err = w.psql.Exec(t.Context(), "UPDATE appointments SET notes = 'x' WHERE id = $1", booked.ID)
		require.NoError(t, err)
		require.ElementsMatch(t, []touched.Tag{"appointment/updated", touched.Entity(models.KindAppointment, booked.ID)}, w.notified(t))
	}
}

// firstContacts is the contacts' first page, by name.
func (w *world) firstContacts(t *testing.T) []touched.Tag {
	t.Helper()
	return w.dependsOn(t, "contacts(first: 2) { nodes { id name } }")
}

func TestTags_NotesOfAContactTouchNoList(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	page := w.firstContacts(t)
	require.Contains(t, page, touched.Of("contact/list"))
	var last uuid.UUID
	for _, id := range w.clinic.Contacts {
		if !w.touches(t, []touched.Tag{touched.Entity(models.KindContact, id)}, page) {
			last = id
		}
	}
	require.NotEqual(t, uuid.Nil, last, "a contact that is not on the first page")
	text := "comes by bus"
	_, _, err := w.people.UpdateContact(w.ctx, models.UpdateContactInput{
		ID: models.KindContact.Global(last), Notes: graphql.OmittableOf(&text), Email: graphql.OmittableOf(new("a@b.example")),
	})
	require.NoError(t, err)
	written := w.raised.taken()
	require.False(t, w.touches(t, written, page), fmt.Sprint(written))
	require.True(t, slices.ContainsFunc(written, func(tag touched.Tag) bool { return strings.HasPrefix(string(tag), "contact/search/word=") }), "the address is searched by")
	_, _, err = w.people.UpdateContact(w.ctx, models.UpdateContactInput{ID: models.KindContact.Global(last), Name: graphql.OmittableOf(new("Aaron"))})
	require.NoError(t, err)
	require.True(t, w.touches(t, w.raised.taken(), page), "now they are first")
}

// What changes by itself says when.
func TestTags_WhatTimeChangesSaysWhen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	w.exec(t, "DELETE FROM medical_records")
	w.exec(t, "DELETE FROM invoices")
	w.exec(t, "DELETE FROM appointments")
	starts := w.now.Add(48 * time.Hour)
	w.Appointment(t, w.clinic, 0, 0, starts, time.Hour)
	until := func(document string) time.Time {
		ctx, collector := touched.Collect(w.ctx)
		w.graph.Must(t, ctx, "{ "+document+" }", nil, nil)
		return collector.Until()
	}
	ids := graph.Args(map[string]any{"ids": graph.Globals(models.KindContact, w.contacts[:2])})
	next := "nodes" + ids + " { ... on Contact { nextAppointment { id } } }"
	last := "nodes" + ids + " { ... on Contact { lastAppointment { id } } }"
	require.True(t, starts.Equal(until(next)))
	require.True(t, starts.Equal(until(last)), "then it will have been the last")
	w.now = starts.Add(time.Minute)
	require.Zero(t, until(next))
	require.Zero(t, until(last))

	w.exec(t, "DELETE FROM slot_holds")
	w.now = w.now.Add(30 * time.Second)
	from, to := w.now.Add(-time.Hour), w.now.Add(24*time.Hour)
	free := func() string { return w.availability(nil, models.DateTimeRange{From: &from, To: &to}) }
	first := func() time.Time {
		var answer struct {
			Availability []struct{ StartsAt time.Time }
		}
		w.graph.Must(t, w.ctx, "{ "+free()+" }", nil, &answer)
		return answer.Availability[0].StartsAt
	}
	require.True(t, first().Equal(until(free())), "then it is past")
	from = w.now.Add(time.Hour)
	require.True(t, first().Equal(until(free())))
	expires := time.Now().Add(20 * time.Minute).Truncate(time.Second)
	w.exec(t, "INSERT INTO slot_holds (clinic_id, id, practitioner_id, subject, starts_at, ends_at, expires_at) VALUES ($1, $2, $3, 'x', $4, $5, $6)",
		w.clinic.ID, models.NewID(), w.practitioners[0], from, from.Add(time.Hour), expires)
	require.True(t, expires.Equal(until(free())), "a hold runs out")
}

// A membership reaches across clinics, whose tags nobody would hear here.
func TestTags_MembershipsAreNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6)
	for _, document := range []string{"{ clinics { totalCount } }", "{ viewer { memberships { role } } }", "{ viewer { memberships { clinic { name } } } }"} {
		ctx, collector := touched.Collect(w.ctx)
		w.graph.Must(t, ctx, document, nil, nil)
		_, reason := collector.Tags()
		require.NotEmpty(t, reason, document)
	}
}
