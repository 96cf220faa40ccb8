package app_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

func TestImportCalendar_BlocksTimeOnceAndFollowsTheCalendar(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	reception, practitioner := k.as(models.RoleReceptionist), models.KindPractitioner.Global(k.clinic.Practitioners[0])
	single := "UID:a SEQUENCE:0 DTSTAMP:20261101T000000Z DTSTART:20261124T120000Z DTEND:20261124T130000Z SUMMARY:Congresso"
	series := "UID:b DTSTAMP:20261101T000000Z DTSTART;TZID=America/Sao_Paulo:20261125T100000 DURATION:PT1H RRULE:FREQ=WEEKLY;COUNT=3"
	k.made(reception, "addTimeOff", "timeOff", "id", map[string]any{"practitionerId": practitioner, "startsAt": "2026-12-24T12:00:00Z", "endsAt": "2026-12-24T13:00:00Z", "reason": "by hand"})
	byHand := "12-24 09:00-12-24 10:00 by hand"

	assert.Equal(t, imported{Added: 4, UserErrors: []mistake{}}, k.imports(reception, practitioner, ics(single, series)))
	assert.Equal(t, []string{"11-24 09:00-11-24 10:00 Congresso", "11-25 10:00-11-25 11:00", "12-02 10:00-12-02 11:00", "12-09 10:00-12-09 11:00", byHand}, k.away(practitioner))
	rows := func() int {
		return k.d.Count(t, "SELECT sum(hashtext(t::text || xmin::text))::bigint % 1000000007 FROM time_off t")
	}
	before := rows()
	assert.Equal(t, imported{UserErrors: []mistake{}}, k.imports(reception, practitioner, ics(series, single)), "again")
	exported := strings.ReplaceAll(ics(single, series), "DTSTAMP:20261101", "DTSTAMP:20261105")
	assert.Equal(t, imported{UserErrors: []mistake{}}, k.imports(reception, practitioner, exported), "exported anew")
	assert.Equal(t, before, rows(), "nothing was written")
	_, mistakes := k.do(reception, "scheduleAppointment", "appointment { id }", map[string]any{
		"contactId": models.KindContact.Global(k.clinic.Contacts[0]), "practitionerId": practitioner, "startsAt": "2026-12-02T13:30:00Z", "endsAt": "2026-12-02T14:00:00Z",
	})
	assert.Equal(t, []string{"OUT_OF_HOURS startsAt"}, mistakes, "the time is blocked")

	// One occurrence is moved onto another's time, one is called off, the single one moves.
	moved := "UID:b DTSTAMP:20261102T000000Z RECURRENCE-ID;TZID=America/Sao_Paulo:20261202T100000 DTSTART;TZID=America/Sao_Paulo:20261209T100000 DURATION:PT2H"
	off := "UID:b DTSTAMP:20261102T000000Z RECURRENCE-ID;TZID=America/Sao_Paulo:20261125T100000 DTSTART;TZID=America/Sao_Paulo:20261125T100000 STATUS:CANCELLED"
	later := strings.NewReplacer("SEQUENCE:0", "SEQUENCE:1", "T12", "T14", "T13", "T15").Replace(single)
	assert.Equal(t, imported{Updated: 2, Removed: 1, Skipped: 1, UserErrors: []mistake{}}, k.imports(reception, practitioner, ics(later, series, moved, off)))
	assert.Equal(t, []string{"11-24 11:00-11-24 12:00 Congresso", "12-09 10:00-12-09 11:00", "12-09 10:00-12-09 12:00", byHand}, k.away(practitioner)[:4])
	// An older file tells nothing new.
	assert.Equal(t, "11-24 11:00-11-24 12:00 Congresso", func() string {
		k.imports(reception, practitioner, ics(single, series, moved, off))
		return k.away(practitioner)[0]
	}())

	// A change of all wins over what it told before, whatever version an occurrence of it has.
	series2 := strings.Replace(series, "DTSTAMP", "SEQUENCE:1 DTSTAMP", 1)
	moved2 := strings.Replace(moved, "DTSTAMP", "SEQUENCE:5 DTSTAMP", 1)
	assert.Equal(t, imported{Skipped: 1, UserErrors: []mistake{}}, k.imports(reception, practitioner, ics(later, series2, moved2, off)))
	series3 := strings.NewReplacer("SEQUENCE:1", "SEQUENCE:2", "DURATION:PT1H", "DURATION:PT3H").Replace(series2)
	assert.Equal(t, imported{Updated: 1, Skipped: 1, UserErrors: []mistake{}}, k.imports(reception, practitioner, ics(later, series3, moved2, off)))
	assert.Equal(t, []string{"12-09 10:00-12-09 12:00", "12-09 10:00-12-09 13:00"}, k.away(practitioner)[1:3])

	// An invitation is no whole calendar, and another calendar is not this one.
	invitation := strings.Replace(ics("UID:c DTSTART:20261130T120000Z DTEND:20261130T130000Z"), "VERSION", "METHOD:REQUEST\r\nVERSION", 1)
	assert.Equal(t, imported{Added: 1, UserErrors: []mistake{}}, k.imports(reception, practitioner, invitation))
	other := strings.Replace(ics("UID:d DTSTART:20261201T120000Z DTEND:20261201T130000Z"), "-//x//y//EN", "-//other//EN", 1)
	assert.Equal(t, imported{Added: 1, UserErrors: []mistake{}}, k.imports(reception, practitioner, other))
	assert.Equal(t, imported{Removed: 4, UserErrors: []mistake{}}, k.imports(reception, practitioner, ics()), "all of the calendar's, and nothing else")
	assert.Equal(t, []string{"12-01 09:00-12-01 10:00", byHand}, k.away(practitioner))
}

func TestImportCalendar_RefusesAndSaysWhy(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	reception, practitioner := k.as(models.RoleReceptionist), models.KindPractitioner.Global(k.clinic.Practitioners[0])
	single := "UID:a DTSTART:20261124T120000Z DTEND:20261124T130000Z"
	for text, code := range map[string]string{
		"hello": "INVALID", ics(single)[:60]: "INVALID", ics(single) + strings.Repeat(" ", 2<<20): "LIMIT", strings.Repeat("BEGIN:VEVENT\n", 10_000): "INVALID",
	} {
		got := k.imports(reception, practitioner, text)
		require.Len(t, got.UserErrors, 1)
		assert.Equal(t, code+" ics", got.UserErrors[0].String())
	}
	for _, unknown := range []string{models.KindPractitioner.Global(models.NewID())} {
		assert.Equal(t, "NOT_FOUND practitionerId", k.imports(reception, unknown, ics(single)).UserErrors[0].String())
		foreign := k.server.As(t, k.d.NewClinic(t, "poente"), models.RoleOwner)
		assert.Equal(t, "NOT_FOUND practitionerId", k.imports(foreign, practitioner, ics(single)).UserErrors[0].String())
	}
	got := k.imports(reception, practitioner, ics(single, "UID:b DTSTART:20261124T120000Z DURATION:PT1H RRULE:FREQ=HOURLY"))
	assert.Equal(t, 1, got.Added)
	assert.Equal(t, 1, got.Skipped)
	require.Len(t, got.UserErrors, 1)
	assert.Contains(t, got.UserErrors[0].Message, `event "b"`)
	odd := k.imports(reception, practitioner, ics(single, "UID:\x00c\u0007 SUMMARY:a\x00b DTSTART:20261124T120000Z DURATION:PT1H"))
	assert.Equal(t, imported{Added: 1, UserErrors: []mistake{}}, odd, "characters that no text can have are left out")
	assert.Equal(t, 1, k.imports(reception, practitioner, ics(single)).Removed)
	answer := k.as(models.RolePartner).Do(t, `mutation ($p: ID!) { importCalendar(input: {practitionerId: $p, ics: ""}) { added } }`, map[string]any{"p": practitioner})
	require.NotEmpty(t, answer.Errors)
	assert.Equal(t, "FORBIDDEN", answer.Errors[0].Extensions.Code)

	var dry struct{ Got imported }
	reception.Must(t, "mutation ($p: ID!, $i: String!) { got: importCalendar(input: {practitionerId: $p, ics: $i}) @dryRun { added removed } }",
		map[string]any{"p": practitioner, "i": ics("UID:c DTSTART:20261125T120000Z DTEND:20261125T130000Z")}, &dry)
	assert.Equal(t, imported{Added: 1, Removed: 1}, dry.Got)
	assert.Equal(t, []string{"11-24 09:00-11-24 10:00"}, k.away(practitioner))
}

func TestImportCalendar_TakesItsOwnFeed(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	for n := range 5 {
		k.d.Appointment(t, k.clinic, n%3, 0, deskMonday.Add(time.Duration(n)*25*time.Hour), time.Duration(n+1)*10*time.Minute)
	}
	feed := k.subscribe(fmt.Sprint(k.feed(k.as(models.RoleOwner), models.KindPractitioner.Global(k.clinic.Practitioners[0]))["url"]))
	assert.Equal(t, 5, k.imports(k.as(models.RoleOwner), models.KindPractitioner.Global(k.clinic.Practitioners[1]), feed.body).Added)
	assert.Equal(t, 5, k.d.Count(t, `SELECT count(*) FROM time_off o JOIN appointments a USING (clinic_id, starts_at, ends_at)
		WHERE o.practitioner_id = $1 AND a.practitioner_id = $2 AND o.reason IS NULL`, k.clinic.Practitioners[1], k.clinic.Practitioners[0]))
}

func TestImportCalendar_TwoAtOnceWriteOnce(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	reception, practitioner := k.as(models.RoleReceptionist), models.KindPractitioner.Global(k.clinic.Practitioners[0])
	file := ics("UID:a DTSTART:20261124T120000Z DURATION:PT1H RRULE:FREQ=DAILY;COUNT=20", "UID:b DTSTART:20261124T150000Z DURATION:PT1H")
	answers := make(chan *api.Response, 6)
	for range cap(answers) {
		go func() {
			answers <- reception.Do(t, "mutation ($input: ImportCalendarInput!) { importCalendar(input: $input) { added updated removed } }",
				map[string]any{"input": map[string]any{"practitionerId": practitioner, "ics": file}})
		}()
	}
	added := 0
	for range cap(answers) {
		answer := <-answers
		require.Empty(t, answer.Errors)
		var got struct{ ImportCalendar imported }
		require.NoError(t, json.Unmarshal(answer.Data, &got))
		added += got.ImportCalendar.Added
		assert.Zero(t, got.ImportCalendar.Updated+got.ImportCalendar.Removed)
	}
	assert.Equal(t, 21, added)
	assert.Equal(t, 21, k.d.Count(t, "SELECT count(*) FROM time_off WHERE practitioner_id = $1", k.clinic.Practitioners[0]))
}
