package load

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const contact = "contact_1"

func sessionOf(clinic string) *session {
	return newSession(&site{Clinic: Clinic{ID: clinic}}, reception, 0)
}

// shows is what the oracle says of a version in an answer to a session.
func shows(o *Oracle, s *session, version int, asked time.Time) fault {
	what, _ := o.seen(s, contact, version, asked, time.Now())
	return what
}

func TestOracle_AnswersShowWhatWasAcknowledgedBeforeTheyWereAskedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		version int
		before  bool
		want    fault
	}{
		{"older than what was acknowledged before it was asked for", 1, false, olderThanAcknowledged},
		{"as it was acknowledged", 2, false, none},
		{"newer", 3, false, none},
		{"older, and asked for before the write was acknowledged", 1, true, none},
		{"without a version", 0, false, none},
	} {
		o := NewOracle()
		asked := time.Now()
		o.wrote(sessionOf("a"), contact, 2)
		if !c.before {
			asked = time.Now()
		}
		require.Equal(t, c.want, shows(o, sessionOf("a"), c.version, asked), c.name)
	}
}

func TestOracle_SessionsHaveAnOrderOfTheirOwn(t *testing.T) {
	t.Parallel()
	o := NewOracle()
	before := time.Now()
	writer, reader, other := sessionOf("a"), sessionOf("a"), sessionOf("a")
	o.wrote(writer, contact, 2)
	// All are asked for before anything was acknowledged: only sessions forbid them.
	require.Equal(t, olderThanOwn, shows(o, writer, 1, before))
	require.Equal(t, none, shows(o, reader, 2, before))
	require.Equal(t, olderThanRead, shows(o, reader, 1, before))
	require.Equal(t, none, shows(o, other, 1, before))
	require.Equal(t, none, shows(o, other, 3, before))
	require.Equal(t, olderThanShown, shows(o, sessionOf("a"), 2, time.Now()), "somebody was shown version 3")
}

func TestOracle_OutagesExcuseOthersWritesAlone(t *testing.T) {
	t.Parallel()
	o := NewOracle()
	writer, reader := sessionOf("a"), sessionOf("a")
	o.wrote(writer, contact, 2)
	mended := o.Outage(false)
	require.True(t, o.Excuses(time.Now(), time.Now().Add(time.Second)))
	require.Equal(t, olderThanAcknowledged, shows(o, reader, 1, time.Now()), "an instance that is away excuses errors alone")
	mended()
	mended = o.Outage(true)
	require.Equal(t, excused, shows(o, reader, 1, time.Now()))
	require.Equal(t, olderThanOwn, shows(o, writer, 1, time.Now()))
	require.Equal(t, none, shows(o, reader, 2, time.Now()))
	require.Equal(t, olderThanRead, shows(o, reader, 1, time.Now()))
	mended()
	require.Equal(t, olderThanAcknowledged, shows(o, sessionOf("a"), 1, time.Now()))
	require.False(t, o.Excuses(time.Now(), time.Now().Add(time.Second)))
}

func TestOracle_WritesOutsideTheAPINeedNotShowAtOnce(t *testing.T) {
	t.Parallel()
	o := NewOracle()
	committed := o.Outside("a", contact, 2)
	reader := sessionOf("a")
	require.Equal(t, none, shows(o, reader, 2, time.Now()))
	require.Equal(t, none, shows(o, reader, 1, time.Now()), "elsewhere it may not be known yet")
	committed(time.Now())
	require.Equal(t, olderThanAcknowledged, shows(o, sessionOf("a"), 1, time.Now()))
}

func TestOracle_KnowsForeignAndMissing(t *testing.T) {
	t.Parallel()
	o := NewOracle()
	before := time.Now()
	desk, other := sessionOf("a"), sessionOf("a")
	o.wrote(desk, contact, 1)
	require.Equal(t, foreign, shows(o, sessionOf("b"), 1, time.Now()), "an id that another clinic has shown before")

	const day, booked = "2026-11-23", "appointment_1"
	o.wrote(desk, booked, 1)
	o.booked("a", day, booked)
	in := func(s *session, shown map[string]bool, asked time.Time) fault {
		what, _ := o.missing(s, day, shown, asked, time.Now())
		return what
	}
	require.Equal(t, missing, in(other, nil, time.Now()))
	require.Equal(t, olderThanOwn, in(desk, nil, time.Now()))
	require.Equal(t, none, in(other, map[string]bool{booked: true}, time.Now()))
	require.Equal(t, none, in(other, nil, before))
	require.Equal(t, none, in(sessionOf("b"), nil, time.Now()))
	o.leaves("a", day, booked)
	require.Equal(t, none, in(other, nil, time.Now()))

	gone, _ := o.absent(other, booked, time.Now(), time.Now())
	require.Equal(t, missing, gone)
	gone, _ = o.absent(other, "contact_2", time.Now(), time.Now())
	require.Equal(t, none, gone)
}

func TestReason_IsWordsWithoutValues(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]string{
		`taskmed; fwd=miss; detail="first seen"`:                                                                    "first seen",
		`taskmed; fwd=miss; collapsed; detail="expired"`:                                                            "expired (waited)",
		`taskmed; fwd=miss; detail="invalidated by appointment/day=2026-11-22: written by createContact 2 s ago"`:   "invalidated by appointment/day=… by createContact",
		`taskmed; fwd=miss; detail="invalidated by contact:0193a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b: written 1m3s ago"`: "invalidated by contact:…",
		`taskmed; fwd=miss; detail="invalidated by contact/search/near=57: written 2 s ago"`:                        "invalidated by contact/search/near=…",
		`taskmed; fwd=bypass`:                             "fwd=bypass",
		`taskmed; fwd=bypass; detail="redis unreachable"`: "redis unreachable",
		`taskmed; fwd=miss`:                               "fwd=miss",
	} {
		hit, why := reason(status)
		require.False(t, hit)
		require.Equal(t, want, why)
	}
	hit, _ := reason("taskmed; hit")
	require.True(t, hit)
}

// TestRun_FindsAServerThatAnswersOldVersions plays the mix against a server that
// acknowledges writes and forgets them.
func TestRun_FindsAServerThatAnswersOldVersions(t *testing.T) {
	t.Parallel()
	shown := map[string]any{"id": contact, "version": 1, "name": "Ana Souza"}
	booked := map[string]any{"id": "appointment_1", "version": 1, "contact": shown}
	forgetful := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet { // a feed
			_, _ = w.Write([]byte("BEGIN:VCALENDAR\r\nUID:appointment_1@taskmed\r\nSEQUENCE:0\r\nEND:VCALENDAR\r\n"))
			return
		}
		var asked struct{ Query string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		written := map[string]any{"contact": map[string]any{"id": contact, "version": 2}, "appointment": nil, "medicalRecord": nil, "invoice": nil, "payment": nil, "conversation": nil, "message": nil}
		ids, diary := map[string]any{"nodes": []any{shown}}, map[string]any{"nodes": []any{booked}, "pageInfo": map[string]any{"hasNextPage": false}}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{
			"clinic": map[string]any{"practitioners": map[string]any{"nodes": []any{map[string]any{"id": contact, "services": ids}}}}, "contacts": ids, "searchContacts": ids, "conversations": ids, "conversation": shown,
			"contact": shown, "appointments": diary, "practitioner": map[string]any{"appointments": diary},
			"availability":  []any{map[string]any{"startsAt": time.Now()}},
			"createContact": written, "updateContact": written, "scheduleAppointment": written, "createMedicalRecord": written,
			"appointmentCounts": []any{}, "calendarChanges": map[string]any{"changed": []any{booked}, "syncToken": "token"}, "invoices": ids,
			"createCalendarFeed": map[string]any{"calendarFeed": map[string]any{"id": "feed", "url": "http://elsewhere/calendar/x.ics"}},
			"createInvoice":      written, "recordPayment": written, "startConversation": written, "markConversationRead": written, "sendMessage": written,
			"rescheduleAppointment": written, "confirmAppointment": written, "cancelAppointment": written,
		}})
	})
	server := httptest.NewServer(forgetful)
	defer server.Close()
	report, err := Run(context.WithoutCancel(t.Context()), Options{
		URLs: []string{server.URL}, Clinics: []Clinic{{ID: "clinic_a", Reception: "token", Practitioner: "token"}},
		Clients: 4, Rate: 400, Duration: 2 * time.Second, Writes: 10, Seed: 1,
	})
	require.NoError(t, err)
	require.Zero(t, report.Errors, "%v", report.Failures)
	require.GreaterOrEqual(t, report.Requests, 800)
	require.Positive(t, report.Stale, "versions that were acknowledged and are not shown")
	require.Positive(t, report.Faults[olderThanOwn.String()], "also to who wrote them")
	require.Zero(t, report.HitRate)
	require.Positive(t, report.Operations["DayView"].Reads)
	require.Positive(t, report.Operations["Thread"].Reads)
}
