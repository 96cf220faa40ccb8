package app_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// subscribed is what a calendar client gets.
type subscribed struct {
	status int
	header http.Header
	body   string
}

// subscribe reads a feed as a calendar client does: without signing in.
func (k desk) subscribe(address string, headers ...string) subscribed {
	k.t.Helper()
	_, name, found := strings.Cut(address, "/calendar/")
	require.True(k.t, found, address)
	request, err := http.NewRequestWithContext(k.t.Context(), http.MethodGet, k.server.URL+"/calendar/"+name, http.NoBody)
	require.NoError(k.t, err)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	require.NoError(k.t, err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(k.t, err)
	return subscribed{answer.StatusCode, answer.Header, string(body)}
}

func (k desk) feed(client *api.Client, practitioner any) map[string]any {
	k.t.Helper()
	return k.made(client, "createCalendarFeed", "calendarFeed", "id url lastReadAt practitioner { id }", map[string]any{"practitionerId": practitioner})
}

func TestCalendarFeed_ShowsThePractitionersDiaryWithoutHealthData(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	k.d.Exec(t, "UPDATE practitioners SET name = 'Dra. Nina, \"Oncologia\"' WHERE clinic_id = $1 AND id = $2", k.clinic.ID, k.clinic.Practitioners[1])
	mine := k.d.Appointment(t, k.clinic, 0, 0, deskMonday.Add(time.Hour), 30*time.Minute)
	k.d.Exec(t, "UPDATE appointments SET notes = 'canary-note', service_id = $2, cancellation_reason = 'canary-reason', status = 'confirmado' WHERE id = $1", mine, k.clinic.Services[0])
	theirs := k.d.Appointment(t, k.clinic, 1, 1, deskMonday.Add(48*time.Hour), 30*time.Minute)
	k.d.Appointment(t, k.clinic, 2, 0, deskMonday.AddDate(0, 0, -91), 30*time.Minute)
	k.d.Appointment(t, k.clinic, 2, 0, deskMonday.AddDate(0, 0, 402), 30*time.Minute)

	owner := k.as(models.RoleOwner)
	feed := k.feed(owner, models.KindPractitioner.Global(k.clinic.Practitioners[0]))
	got := k.subscribe(fmt.Sprint(feed["url"]))
	require.Equal(t, http.StatusOK, got.status, got.body)
	assert.Equal(t, "text/calendar; charset=utf-8", got.header.Get("Content-Type"))
	assert.Equal(t, "private, no-cache", got.header.Get("Cache-Control"))
	assert.NotContains(t, strings.ReplaceAll(got.body, "\r\n", ""), "\n", "lines end in CRLF")
	for _, line := range []string{
		"UID:" + models.KindAppointment.Global(mine) + "@taskmed", "SEQUENCE:1", "DTSTART;TZID=America/Sao_Paulo:20261123T090000",
		"DTEND;TZID=America/Sao_Paulo:20261123T093000", "SUMMARY:A. S.", "STATUS:CONFIRMED", "TZID:America/Sao_Paulo",
	} {
		assert.Contains(t, got.body, line+"\r\n")
	}
	assert.Equal(t, 1, strings.Count(got.body, "BEGIN:VEVENT"), "neither others' nor what is too long ago or ahead")
	for _, secret := range []string{"canary", "Consulta", "Souza", "Silva", "Maria"} {
		assert.NotContains(t, got.body, secret)
	}

	whole := k.subscribe(fmt.Sprint(k.feed(owner, nil)["url"]))
	assert.Equal(t, 2, strings.Count(whole.body, "BEGIN:VEVENT"))
	assert.Contains(t, whole.body, `SUMMARY:J. S. · Dra. Nina\, "Oncologia"`)
	assert.Contains(t, whole.body, models.KindAppointment.Global(theirs))

	// Nothing changed: nothing is sent. A move shows under the same UID.
	again := k.subscribe(fmt.Sprint(feed["url"]), "If-None-Match", `W/"x", `+got.header.Get("ETag"))
	assert.Equal(t, http.StatusNotModified, again.status)
	assert.Empty(t, again.body)
	k.d.Exec(t, "UPDATE appointments SET starts_at = starts_at + interval '1 hour', ends_at = ends_at + interval '1 hour' WHERE id = $1", mine)
	moved := k.subscribe(fmt.Sprint(feed["url"]), "If-None-Match", got.header.Get("ETag"))
	require.Equal(t, http.StatusOK, moved.status)
	assert.Contains(t, moved.body, "SEQUENCE:2\r\n")
	assert.Contains(t, moved.body, "DTSTART;TZID=America/Sao_Paulo:20261123T100000\r\n")

	// What was called off is told for 30 days.
	k.d.Exec(t, "UPDATE appointments SET status = 'cancelado' WHERE id = $1", mine)
	off := k.subscribe(fmt.Sprint(feed["url"]))
	assert.Contains(t, off.body, "STATUS:CANCELLED\r\n")
	k.d.Exec(t, "ALTER TABLE appointments DISABLE TRIGGER appointments_touch")
	k.d.Exec(t, "UPDATE appointments SET updated_at = $2 WHERE id = $1", mine, deskMonday.AddDate(0, 0, -31))
	empty := k.subscribe(fmt.Sprint(feed["url"]))
	assert.NotContains(t, empty.body, "VEVENT")
	assert.Contains(t, empty.body, "BEGIN:VTIMEZONE", "an empty diary is a calendar, too")

	var read struct {
		CalendarFeeds []struct{ ID, LastReadAt, URL string }
	}
	owner.Must(t, "{ calendarFeeds { id url lastReadAt } }", nil, &read)
	require.Len(t, read.CalendarFeeds, 2)
	assert.Equal(t, feed["url"], read.CalendarFeeds[0].URL, "the address is shown again")
	assert.Equal(t, "2026-11-23T11:00:00Z", read.CalendarFeeds[0].LastReadAt)
}

func TestCalendarFeed_TellsARevokedAddressFromNone(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	owner := k.as(models.RoleOwner)
	feed := k.feed(k.as(models.RoleReceptionist), nil)
	address := fmt.Sprint(feed["url"])
	require.Equal(t, http.StatusOK, k.subscribe(address).status)

	last := address[len(address)-5]
	other := strings.Replace(address, string(last)+".ics", string("0123456789abcdefghjkmnpqrstvwxyz"[(strings.IndexByte("0123456789abcdefghjkmnpqrstvwxyz", last)+1)%32])+".ics", 1)
	unknown := k.subscribe(other)
	require.Equal(t, http.StatusNotFound, unknown.status)
	k.made(owner, "revokeCalendarFeed", "calendarFeed", "id", map[string]any{"id": feed["id"]})
	k.made(owner, "revokeCalendarFeed", "calendarFeed", "id", map[string]any{"id": feed["id"]})
	revoked := k.subscribe(address)
	for _, header := range []string{"X-Request-Id", "Date"} {
		unknown.header.Del(header)
		revoked.header.Del(header)
	}
	assert.Equal(t, unknown, revoked, "status, headers and body")
	for _, malformed := range []string{"/calendar/x.ics", "/calendar/" + strings.Repeat("z", 58) + ".ics", strings.TrimSuffix(address, ".ics"), address + ".ics", "/calendar/%00.ics"} {
		got := k.subscribe(malformed)
		assert.Equal(t, http.StatusNotFound, got.status, malformed)
		assert.Equal(t, unknown.body, got.body)
	}
	var read struct{ CalendarFeeds []struct{ ID string } }
	owner.Must(t, "{ calendarFeeds { id } }", nil, &read)
	assert.Empty(t, read.CalendarFeeds)
	assert.Zero(t, k.d.Count(t, "SELECT count(*) FROM calendar_feeds WHERE position($1::bytea in secret_hash) > 0", []byte(address[len(address)-10:])))
}

func TestCalendarFeed_IsOneClinics(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	other := k.d.NewClinic(t, "poente")
	k.d.Appointment(t, other, 0, 0, deskMonday.Add(time.Hour), 30*time.Minute)
	feed := k.feed(k.as(models.RoleAdmin), nil)
	assert.NotContains(t, k.subscribe(fmt.Sprint(feed["url"])).body, "VEVENT")

	foreign := k.server.As(t, other, models.RoleOwner)
	for _, id := range []any{feed["id"], models.KindCalendarFeed.Global(models.NewID())} {
		_, mistakes := k.do(foreign, "revokeCalendarFeed", "calendarFeed { id }", map[string]any{"id": id})
		assert.Equal(t, []string{"NOT_FOUND id"}, mistakes)
	}
	for _, practitioner := range []any{models.KindPractitioner.Global(k.clinic.Practitioners[0]), models.KindPractitioner.Global(models.NewID())} {
		_, mistakes := k.do(foreign, "createCalendarFeed", "calendarFeed { id }", map[string]any{"practitionerId": practitioner})
		assert.Equal(t, []string{"NOT_FOUND practitionerId"}, mistakes)
	}
	var read struct{ CalendarFeeds []struct{ ID string } }
	foreign.Must(t, "{ calendarFeeds { id } }", nil, &read)
	assert.Empty(t, read.CalendarFeeds)
	assert.Equal(t, http.StatusOK, k.subscribe(fmt.Sprint(feed["url"])).status)

	// A name that begins with another clinic's is nobody's.
	_, name, _ := strings.Cut(fmt.Sprint(feed["url"]), "/calendar/")
	clinic := strings.TrimPrefix(models.KindClinic.Global(other.ID), "clinic_")
	assert.Equal(t, http.StatusNotFound, k.subscribe("/calendar/"+clinic+name[26:]).status)
}

func TestCalendarFeed_DryRunsAndRolesAndTheirBound(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	var dry struct {
		Got struct{ CalendarFeed struct{ URL string } }
	}
	k.as(models.RoleOwner).Must(t, `mutation { got: createCalendarFeed(input: {}) @dryRun { calendarFeed { url } userErrors { code } } }`, nil, &dry)
	require.NotEmpty(t, dry.Got.CalendarFeed.URL)
	assert.Equal(t, http.StatusNotFound, k.subscribe(dry.Got.CalendarFeed.URL).status)
	for _, role := range []models.Role{models.RoleFinance, models.RolePartner} {
		answer := k.as(role).Do(t, `mutation { createCalendarFeed(input: {}) { calendarFeed { id } } }`, nil)
		require.NotEmpty(t, answer.Errors, role)
		assert.Equal(t, "FORBIDDEN", answer.Errors[0].Extensions.Code)
	}
	for range 199 {
		k.d.Exec(t, "INSERT INTO calendar_feeds (clinic_id, id, secret_hash) VALUES ($1, $2, sha256($3))", k.clinic.ID, models.NewID(), []byte(models.NewID().String()))
	}
	k.feed(k.as(models.RoleOwner), nil)
	_, mistakes := k.do(k.as(models.RoleOwner), "createCalendarFeed", "calendarFeed { id }", map[string]any{})
	assert.Equal(t, []string{"LIMIT "}, mistakes)
}

func TestCalendarFeed_TellsNothingByAnotherSecret(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	k := desk{t, d, api.NewServer(t, d, api.At(deskMonday)), clinic}
	d.Exec(t, "INSERT INTO calendar_feeds (clinic_id, id, secret_hash) VALUES ($1, $2, sha256('x'))", clinic.ID, models.NewID())
	var read struct{ CalendarFeeds []struct{ URL string } }
	k.as(models.RoleOwner).Must(t, "{ calendarFeeds { url } }", nil, &read)
	require.Len(t, read.CalendarFeeds, 1)
	assert.True(t, strings.HasSuffix(read.CalendarFeeds[0].URL, "/calendar/.ics"), read.CalendarFeeds[0].URL)
}

func TestCalendarChanges_FollowThePractitionersDiary(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	first := k.d.Appointment(t, k.clinic, 0, 0, deskMonday.Add(time.Hour), 30*time.Minute)
	other := k.d.NewClinic(t, "poente")
	k.d.Appointment(t, other, 0, 0, deskMonday.Add(time.Hour), 30*time.Minute)
	reception := k.as(models.RoleReceptionist)
	type changes struct {
		CalendarChanges struct {
			Changed []struct {
				ID      string
				Status  string
				Contact struct{ Name string }
			}
			RemovedIDs []string
			SyncToken  string
			HasMore    bool
		}
	}
	text := "query ($p: ID, $t: String, $n: Int) { calendarChanges(practitionerId: $p, syncToken: $t, first: $n) { changed { id status contact { name } } removedIds syncToken hasMore } }"
	practitioner := models.KindPractitioner.Global(k.clinic.Practitioners[0])
	ask := func(token any) changes {
		var got changes
		reception.Must(t, text, map[string]any{"p": practitioner, "t": token}, &got)
		return got
	}
	all := ask(nil)
	require.Len(t, all.CalendarChanges.Changed, 1)
	assert.Equal(t, models.KindAppointment.Global(first), all.CalendarChanges.Changed[0].ID)
	assert.Equal(t, "Ana Souza", all.CalendarChanges.Changed[0].Contact.Name)
	none := ask(all.CalendarChanges.SyncToken)
	assert.Empty(t, none.CalendarChanges.Changed)
	assert.Empty(t, none.CalendarChanges.RemovedIDs)

	booked := k.made(reception, "scheduleAppointment", "appointment", "id", map[string]any{
		"contactId": models.KindContact.Global(k.clinic.Contacts[1]), "practitionerId": practitioner,
		"startsAt": deskMonday.Add(3 * time.Hour), "endsAt": deskMonday.Add(4 * time.Hour),
	})
	k.made(reception, "rescheduleAppointment", "appointment", "id", map[string]any{
		"id": models.KindAppointment.Global(first), "practitionerId": models.KindPractitioner.Global(k.clinic.Practitioners[1]), "startsAt": deskMonday.Add(time.Hour),
	})
	next := ask(none.CalendarChanges.SyncToken)
	require.Len(t, next.CalendarChanges.Changed, 1)
	assert.Equal(t, booked["id"], next.CalendarChanges.Changed[0].ID)
	assert.Equal(t, []string{models.KindAppointment.Global(first)}, next.CalendarChanges.RemovedIDs)

	k.made(reception, "cancelAppointment", "appointment", "id", map[string]any{"id": booked["id"]})
	last := ask(next.CalendarChanges.SyncToken)
	require.Len(t, last.CalendarChanges.Changed, 1)
	assert.Equal(t, "CANCELLED", last.CalendarChanges.Changed[0].Status)

	for _, wrong := range []map[string]any{{"t": "x"}, {"n": 0}, {"n": 101}, {"p": "x"}, {"t": last.CalendarChanges.SyncToken}} {
		answer := reception.Do(t, text, wrong)
		require.NotEmpty(t, answer.Errors, wrong)
		assert.Equal(t, "BAD_USER_INPUT", answer.Errors[0].Extensions.Code)
	}
}

// imported is what importCalendar answers.
type imported struct {
	Added, Updated, Removed, Skipped int
	UserErrors                       []mistake
}

func (k desk) imports(client *api.Client, practitioner any, ics string) imported {
	k.t.Helper()
	var got struct{ Got imported }
	client.Must(k.t, "mutation ($input: ImportCalendarInput!) { got: importCalendar(input: $input) { added updated removed skipped userErrors { code field message entityIds } } }",
		map[string]any{"input": map[string]any{"practitionerId": practitioner, "ics": ics}}, &got)
	return got.Got
}

// away are the times that a practitioner is away, as local times.
func (k desk) away(practitioner any) []string {
	k.t.Helper()
	var got struct {
		Node struct {
			TimeOff []struct {
				StartsAt, EndsAt time.Time
				Reason           *string
			}
		}
	}
	k.as(models.RoleReceptionist).Must(k.t, `query ($p: ID!) { node(id: $p) { ... on Practitioner { timeOff(range: {from: "2026-06-01T00:00:00Z", to: "2027-06-01T00:00:00Z"}) { startsAt endsAt reason } } } }`,
		map[string]any{"p": practitioner}, &got)
	zone, err := time.LoadLocation("America/Sao_Paulo")
	require.NoError(k.t, err)
	all := []string{}
	for _, off := range got.Node.TimeOff {
		reason := ""
		if off.Reason != nil {
			reason = " " + *off.Reason
		}
		all = append(all, off.StartsAt.In(zone).Format("01-02 15:04")+"-"+off.EndsAt.In(zone).Format("01-02 15:04")+reason)
	}
	slices.Sort(all)
	return all
}

func ics(events ...string) string {
	text := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n"
	for _, event := range events {
		text += "BEGIN:VEVENT\r\n" + strings.ReplaceAll(event, " ", "\r\n") + "\r\nEND:VEVENT\r\n"
	}
	return text + "END:VCALENDAR\r\n"
}
