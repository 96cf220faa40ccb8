package live_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

// What is written anywhere is told on every instance, by both protocols, as it is then.
func TestSubscribe_TellsOfWritesOnEveryInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner, elsewhere := w.one.As(t, w.clinic, models.RoleOwner), w.two.As(t, w.clinic, models.RoleOwner)
	one, two := open(t, w.one, owner), open(t, w.two, elsewhere)
	for _, s := range []socket{one, two} {
		s.subscribe("a", changed, map[string]any{"events": []string{"CONTACT_CREATED"}, "after": w.after})
	}
	sse := stream(t, elsewhere, w.two, body(changed, map[string]any{"after": w.after}))
	require.Equal(t, http.StatusOK, sse.status)
	require.Equal(t, "text/event-stream; charset=utf-8", sse.header.Get("Content-Type"))
	require.Equal(t, "no", sse.header.Get("X-Accel-Buffering"))

	id := models.KindContact.Global(w.contact(t, w.clinic, "Rita Lobo"))
	first, ok := sse.next()
	require.True(t, ok)
	told := first.answer(t)
	require.Equal(t, id, told.Data.Changed.EntityID)
	require.Equal(t, "Rita Lobo", told.Data.Changed.Entity.Name)
	require.Equal(t, told.Data.Changed.ID, first.ID)
	require.Equal(t, first.ID, told.Extensions.LastEventID)
	for _, s := range []socket{one, two} {
		m := s.hear()
		require.Equal(t, "a", m.ID)
		require.Equal(t, id, m.answer(t).Data.Changed.EntityID)
	}

	one.say("complete", "a", nil)
	one.subscribe("b", "{ clinic { name } }", nil)
	require.JSONEq(t, `{"data":{"clinic":{"name":"Clínica aurora"}}}`, string(one.hear().Payload))
	require.Equal(t, message{ID: "b", Type: "complete"}, one.hear())
	one.say("ping", "", map[string]any{"n": 1})
	require.Equal(t, "pong", one.hear().Type)
}

// Each field of Subscription: its events, its filter, and going on after one of them.
func TestSubscribe_EachFieldGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner, elsewhere := w.one.As(t, w.clinic, models.RoleOwner), w.two.As(t, w.clinic, models.RoleOwner)
	appointments := `subscription($of: ID) { appointmentChanged(practitionerId: $of) { id status practitioner { id } } }`
	mine := w.clinic.Practitioners[0]
	s := open(t, w.one, owner)
	s.say("subscribe", "mine", map[string]any{
		"query": appointments, "variables": map[string]any{"of": models.KindPractitioner.Global(mine)}, "extensions": map[string]any{"lastEventId": w.after},
	})
	theirs := w.d.Appointment(t, w.clinic, 0, 1, at(9), hour)
	own := w.d.Appointment(t, w.clinic, 0, 0, at(9), hour)
	first := s.hear().answer(t)
	require.Equal(t, models.KindAppointment.Global(own), first.Data.AppointmentChanged.ID)
	s.say("complete", "mine", nil)
	w.d.Exec(t, "UPDATE appointments SET status = 'confirmado' WHERE id = $1", own)
	w.d.Exec(t, "UPDATE appointments SET status = 'confirmado' WHERE id = $1", theirs)

	// On the other instance, after what was seen.
	s = open(t, w.two, elsewhere)
	s.say("subscribe", "on", map[string]any{
		"query": appointments, "variables": map[string]any{"of": models.KindPractitioner.Global(mine)},
		"extensions": map[string]any{"lastEventId": first.Extensions.LastEventID},
	})
	second := s.hear().answer(t)
	require.Equal(t, models.KindAppointment.Global(own), second.Data.AppointmentChanged.ID)
	require.Equal(t, "CONFIRMED", second.Data.AppointmentChanged.Status)

	// Handed to another practitioner, it is told to both: whose it was takes it off the day.
	w.d.Exec(t, "UPDATE appointments SET practitioner_id = $2, starts_at = $3, ends_at = $4 WHERE id = $1", own, w.clinic.Practitioners[1], at(13), at(14))
	third := s.hear().answer(t)
	require.Equal(t, models.KindAppointment.Global(own), third.Data.AppointmentChanged.ID)
	require.Equal(t, models.KindPractitioner.Global(w.clinic.Practitioners[1]), third.Data.AppointmentChanged.Practitioner.ID)
	w.d.Exec(t, "UPDATE appointments SET notes = 'no longer mine' WHERE id = $1", own)
	last := w.d.Appointment(t, w.clinic, 0, 0, at(11), hour)
	require.Equal(t, models.KindAppointment.Global(last), s.hear().answer(t).Data.AppointmentChanged.ID)

	// All practitioners', by GET and Last-Event-ID, as an EventSource goes on.
	query := url.Values{"query": {"subscription { appointmentChanged { id status } }"}}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.two.URL+"/graphql?"+query.Encode(), http.NoBody)
	require.NoError(t, err)
	sse := begin(t, elsewhere, r, cancel, "Last-Event-ID", first.Extensions.LastEventID)
	for _, id := range []string{models.KindAppointment.Global(own), models.KindAppointment.Global(theirs)} {
		e, ok := sse.next()
		require.True(t, ok)
		require.Equal(t, id, e.answer(t).Data.AppointmentChanged.ID)
	}
}

const hour = time.Hour

// at is an hour of a day far from any other.
func at(hours int) time.Time { return time.Date(2027, 3, 9, hours, 0, 0, 0, time.UTC) }
