package app_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

const (
	createContact = `mutation ($input: CreateContactInput!) { answer: createContact(input: $input) { contact { id } userErrors { code field message entityIds } } }`
	updateContact = `mutation ($input: UpdateContactInput!) { answer: updateContact(input: $input) { contact { id } userErrors { code field message entityIds } } }`
	schedule      = `mutation ($input: ScheduleAppointmentInput!) { answer: scheduleAppointment(input: $input) { appointment { id } alternatives { startsAt } userErrors { code field message entityIds } } }`
	complete      = `mutation ($input: AppointmentStepInput!) { answer: completeAppointment(input: $input) { appointment { id } userErrors { code field message entityIds } } }`
	updateRecord  = `mutation ($input: UpdateMedicalRecordInput!) { answer: updateMedicalRecord(input: $input) { medicalRecord { id } userErrors { code field message entityIds } } }`
	contactByID   = `query ($id: ID!) { answer: contact(id: $id) { id } }`
	contactList   = `query ($first: Int, $last: Int, $after: String) { answer: contacts(first: $first, last: $last, after: $after) { nodes { id } } }`
	dayList       = `query ($range: DateTimeRange!) { answer: appointments(filter: {range: $range}) { nodes { id } } }`
	search        = `query ($text: String!) { answer: searchContacts(query: $text) { nodes { id } } }`
	byTag         = `query ($text: String!) { answer: contacts(filter: {tag: $text}) { nodes { id } } }`
)

// TestBadInput_IsToldAndNothingIsWritten sends what clients get wrong, and what
// they try, and looks at every row afterwards.
func TestBadInput_IsToldAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinicIn(t, "new-york", "America/New_York")
	other := furnished(t, d, "other")
	server := api.NewServer(t, d, api.At(time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)))
	owner := server.As(t, clinic, models.RoleOwner)

	contact, practitioner := models.KindContact.Global(clinic.Contacts[0]), models.KindPractitioner.Global(clinic.Practitioners[0])
	service := models.KindService.Global(clinic.Services[0])
	appointment := models.KindAppointment.Global(d.Appointment(t, clinic, 0, 0, time.Date(2026, time.March, 3, 14, 0, 0, 0, time.UTC), 30*time.Minute))
	unknown := models.KindContact.Global(models.NewID())
	var cursor struct {
		Answer struct{ PageInfo struct{ EndCursor string } }
	}
	owner.Must(t, `{ answer: appointments(first: 1) { pageInfo { endCursor } } }`, nil, &cursor)

	booking := func(changes map[string]any) map[string]any {
		input := map[string]any{"contactId": contact, "practitionerId": practitioner, "serviceId": service, "startsAt": "2026-03-03T15:00:00Z"}
		maps.Copy(input, changes)
		return map[string]any{"input": input}
	}
	named := func(changes map[string]any) map[string]any {
		input := map[string]any{"name": "Ana Souza"}
		maps.Copy(input, changes)
		return map[string]any{"input": input}
	}
	const gone = "" // null, without an error
	before := everyRow(t, d)
	for _, c := range []struct {
		name, query string
		variables   map[string]any
		// code is extensions.code, or the user error's at field.
		code, field string
	}{
		{"an unknown id", contactByID, map[string]any{"id": unknown}, gone, ""},
		{"a foreign id", contactByID, map[string]any{"id": other.ids[models.KindContact]}, gone, ""},
		{"a malformed id", contactByID, map[string]any{"id": "contact_0"}, "BAD_USER_INPUT", ""},
		{"an id of another kind", contactByID, map[string]any{"id": practitioner}, "BAD_USER_INPUT", ""},
		{"an upper-case id", contactByID, map[string]any{"id": strings.ToUpper(contact)}, "BAD_USER_INPUT", ""},
		{"an unknown id to change", updateContact, map[string]any{"input": map[string]any{"id": unknown, "name": "x"}}, "NOT_FOUND", "id"},
		{"a foreign id to change", updateContact, map[string]any{"input": map[string]any{"id": other.ids[models.KindContact], "name": "x"}}, "NOT_FOUND", "id"},
		{"a malformed id to change", updateContact, map[string]any{"input": map[string]any{"id": "contact_0", "name": "x"}}, "INVALID", "id"},
		{"a stale version", updateContact, map[string]any{"input": map[string]any{"id": contact, "expectedVersion": 7, "name": "x"}}, "STALE", "expectedVersion"},
		{"a name taken away", updateContact, map[string]any{"input": map[string]any{"id": contact, "name": nil}}, "REQUIRED", "name"},
		{"a cursor of another list", contactList, map[string]any{"after": cursor.Answer.PageInfo.EndCursor}, "BAD_USER_INPUT", ""},
		{"no cursor at all", contactList, map[string]any{"after": "🦷"}, "BAD_USER_INPUT", ""},
		{"first: 0", contactList, map[string]any{"first": 0}, "BAD_USER_INPUT", ""},
		{"first: 101", contactList, map[string]any{"first": 101}, "BAD_USER_INPUT", ""},
		{"first: -1", contactList, map[string]any{"first": -1}, "BAD_USER_INPUT", ""},
		{"first and last", contactList, map[string]any{"first": 1, "last": 1}, "BAD_USER_INPUT", ""},
		{"an end before its start", dayList, map[string]any{"range": map[string]any{"from": "2026-03-03T00:00:00Z", "to": "2026-03-02T00:00:00Z"}}, "BAD_USER_INPUT", ""},
		{"a booking's end before its start", schedule, booking(map[string]any{"endsAt": "2026-03-03T14:30:00Z"}), "INVALID", "endsAt"},
		{"a date that does not exist", createContact, named(map[string]any{"birthDate": "1990-02-30"}), "BAD_USER_INPUT", ""},
		{"a time that does not exist", schedule, booking(map[string]any{"startsAt": "2026-02-30T10:00:00Z"}), "BAD_USER_INPUT", ""},
		{"a time without an offset", schedule, booking(map[string]any{"startsAt": "2026-03-03T10:00:00"}), "BAD_USER_INPUT", ""},
		{"a time in a DST gap", schedule, booking(map[string]any{"startsAt": "2026-03-08T02:30:00-05:00"}), "INVALID", "startsAt"},
		{"a name of 10,000 characters", createContact, named(map[string]any{"name": strings.Repeat("ã", 10_000)}), "TOO_LONG", "name"},
		{"a NUL byte", createContact, named(map[string]any{"name": "Ana\x00Souza"}), "INVALID", "name"},
		{"a NUL byte in a search", search, map[string]any{"text": "Ana\x00"}, "BAD_USER_INPUT", ""},
		{"a NUL byte in a filter", byTag, map[string]any{"text": "a\x00"}, "BAD_USER_INPUT", ""},
		{"an empty search", search, map[string]any{"text": "  "}, "BAD_USER_INPUT", ""},
		{"an empty name", createContact, named(map[string]any{"name": " "}), "REQUIRED", "name"},
		{"a CPF with a wrong digit", createContact, named(map[string]any{"taxId": "529.982.247-24"}), "INVALID", "taxId"},
		{"a CPF of one digit", createContact, named(map[string]any{"taxId": "111.111.111-11"}), "INVALID", "taxId"},
		{"an e-mail with a name", createContact, named(map[string]any{"email": "Ana <ana@example.com>"}), "INVALID", "email"},
		{"a phone of letters", createContact, named(map[string]any{"phone": "call me"}), "INVALID", "phone"},
		{"a birth in the future", createContact, named(map[string]any{"birthDate": "2030-01-01"}), "INVALID", "birthDate"},
		{"a status that may not follow", complete, map[string]any{"input": map[string]any{"id": appointment}}, "CONFLICT", ""},
		{"a time outside the hours", schedule, booking(map[string]any{"startsAt": "2026-03-03T03:00:00Z"}), "OUT_OF_HOURS", "startsAt"},
		{"a time that is taken", schedule, booking(map[string]any{"startsAt": "2026-03-03T14:15:00Z"}), "CONFLICT", "startsAt"},
		{"a foreign practitioner", schedule, booking(map[string]any{"practitionerId": other.ids[models.KindPractitioner]}), "NOT_FOUND", "practitionerId"},
		{"an unknown record", updateRecord, map[string]any{"input": map[string]any{"id": models.KindMedicalRecord.Global(models.NewID()), "title": "x"}}, "NOT_FOUND", "id"},
	} {
		answer := owner.Do(t, c.query, c.variables)
		requireRefusal(t, c.name, answer, c.code, c.field)
	}
	require.Equal(t, before, everyRow(t, d), "nothing was written")

	// What looks odd and is right: an emoji, and CPFs with and without punctuation.
	for _, input := range []map[string]any{
		named(map[string]any{"name": "Zoë 🦷", "taxId": "529.982.247-25"}), named(map[string]any{"taxId": "11144477735"}),
	} {
		requireRefusal(t, "right input", owner.Do(t, createContact, input), gone, "")
	}
	require.NotEqual(t, before, everyRow(t, d), "the look at every row sees what is written")
	requireRefusal(t, "a CPF that is taken", owner.Do(t, createContact, named(map[string]any{"taxId": "52998224725"})), "TAKEN", "taxId")
}

func requireRefusal(t *testing.T, name string, answer *api.Response, code, field string) {
	t.Helper()
	if len(answer.Errors) > 0 {
		require.Equal(t, code, answer.Errors[0].Extensions.Code, "%s: %s", name, answer.Body)
		require.Empty(t, field, "%s: %s", name, answer.Body)
		require.NotEmpty(t, answer.Errors[0].Extensions.RequestID, name)
		return
	}
	var data struct {
		Answer struct {
			UserErrors []struct {
				Code  string
				Field []string
			}
		}
	}
	require.NoError(t, json.Unmarshal(answer.Data, &data), name)
	if code == "" {
		require.Empty(t, data.Answer.UserErrors, "%s: %s", name, answer.Body)
		return
	}
	require.NotEmpty(t, data.Answer.UserErrors, "%s: %s", name, answer.Body)
	require.Equal(t, code, data.Answer.UserErrors[0].Code, "%s: %s", name, answer.Body)
	if field != "" {
		require.Equal(t, []string{field}, data.Answer.UserErrors[0].Field, "%s: %s", name, answer.Body)
	}
}

// everyRow is a digest of all rows of all tenant tables, as the superuser sees them.
func everyRow(t *testing.T, d *testkit.Database) string {
	t.Helper()
	conn := d.Connect(t, d.SuperuserURL)
	var statement, digest string
	require.NoError(t, conn.QueryRow(t.Context(), `
		SELECT 'SELECT md5(string_agg(row, '','' ORDER BY row)) FROM (' || string_agg(format('SELECT %L || md5(t::text) AS row FROM %I t', relname, relname), ' UNION ALL ') || ') all_rows'
		FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relrowsecurity`).Scan(&statement))
	require.NoError(t, conn.QueryRow(t.Context(), statement).Scan(&digest))
	return digest
}
