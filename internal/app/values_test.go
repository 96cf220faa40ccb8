package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// TestValues_OfALaterMutationAreJudgedBeforeTheFirstWrites has a first mutation
// that would write, and in a later one a value that is wrong.
func TestValues_OfALaterMutationAreJudgedBeforeTheFirstWrites(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	owner := api.NewServer(t, d).As(t, clinic, models.RoleOwner)
	const first, below = `a: createContact(input: {name: "Written"}) { contact { id } }`, `{ contact { id } userErrors { code } }`
	before := everyRow(t, d)
	for _, c := range []struct {
		name, query string
		variables   map[string]any
		place       string
	}{
		{"a Date in a literal", `mutation { %s b: createContact(input: {name: "x", birthDate: "2026-02-30"}) %s }`, nil, "input.birthDate"},
		{"a Date in a variable", `mutation($d: Date) { %s b: createContact(input: {name: "x", birthDate: $d}) %s }`, map[string]any{"d": "2026-02-30"}, "$d"},
		{"a Date in a default", `mutation($d: Date = "2026-02-30") { %s b: createContact(input: {name: "x", birthDate: $d}) %s }`, nil, "$d"},
		{"a Date in an input object", `mutation($i: CreateContactInput!) { %s b: createContact(input: $i) %s }`, map[string]any{"i": map[string]any{"name": "x", "birthDate": "2026-02-30"}}, "$i.birthDate"},
		{"a Date in a fragment", `mutation { %s ...F } fragment F on Mutation { b: createContact(input: {name: "x", birthDate: "2026-02-30"}) %s }`, nil, "input.birthDate"},
		{"a DateTime that is a number", `mutation($s: DateTime!) { %s b: scheduleAppointment(input: {contactId: "x", practitionerId: "x", startsAt: $s}) { userErrors { code } } c: createContact(input: {name: "x"}) %s }`, map[string]any{"s": 5}, "$s"},
		{"a null where a default let it pass", `mutation($n: String = "x") { %s b: createContact(input: {name: $n}) %s }`, map[string]any{"n": nil}, "$n"},
		{"a number that is no number of ours", `mutation($v: Int) { %s b: updateContact(input: {id: "x", expectedVersion: $v}) %s }`, map[string]any{"v": 3000000000}, "$v"},
		{"such a number in a literal", `mutation { %s b: updateContact(input: {id: "x", expectedVersion: 3000000000}) %s }`, nil, "input.expectedVersion"},
		{"a nested field's DateTime", `mutation($t: DateTime) { %s b: createContact(input: {name: "x"}) { contact { appointments(range: {from: $t}) { totalCount } } } c: createContact(input: {name: "x"}) %s }`, map[string]any{"t": 5}, "$t"},
		{"a list that is too long", `mutation($l: [String!]) { %s b: createContact(input: {name: "x", tags: $l}) %s }`, map[string]any{"l": make([]string, 1001)}, "$l"},
		{"a filter that is too long", `mutation($s: [AppointmentStatus!]) { %s b: createContact(input: {name: "x"}) { contact { appointments(status: $s) { totalCount } } } c: createContact(input: {name: "x"}) %s }`, map[string]any{"s": strings.Split(strings.Repeat("NO_SHOW,", 100)+"NO_SHOW", ",")}, "$s"},
	} {
		answer := owner.Do(t, fmt.Sprintf(c.query, first, below), c.variables, "Accept", "application/graphql-response+json")
		assert.Equal(t, http.StatusBadRequest, answer.Status, "%s: %s", c.name, answer.Body)
		if !assert.Len(t, answer.Errors, 1, "%s: %s", c.name, answer.Body) {
			continue
		}
		assert.Equal(t, "BAD_USER_INPUT", answer.Errors[0].Extensions.Code, c.name)
		assert.Empty(t, answer.Errors[0].Path, "%s: no field has run", c.name)
		assert.True(t, strings.HasPrefix(answer.Errors[0].Message, c.place+" "), "%s: %s", c.name, answer.Body)
		assert.NotContains(t, string(answer.Body), "02-30", c.name)
		assert.NotContains(t, string(answer.Body), "3000000000", c.name)
	}
	assert.Equal(t, before, everyRow(t, d), "the first mutation wrote")
	owner.Must(t, "mutation { "+first+" }", nil, nil)
	require.NotEqual(t, before, everyRow(t, d), "the look at every row sees what it writes")
}

// TestValues_ALoneOneAnswersAsItsList asks for the same in every way in which a
// list of one can be written: the answers are equal byte for byte.
func TestValues_ALoneOneAnswersAsItsList(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	start := time.Date(2026, time.March, 3, 14, 0, 0, 0, time.UTC)
	for i := range 3 {
		d.Appointment(t, clinic, 0, 0, start.Add(time.Duration(i)*time.Hour), 30*time.Minute)
	}
	d.Exec(t, "UPDATE appointments SET status = 'confirmado' WHERE clinic_id = $1 AND starts_at = $2", clinic.ID, start)
	owner := api.NewServer(t, d, api.WithoutCache()).As(t, clinic, models.RoleOwner)
	contact, practitioner := models.KindContact.Global(clinic.Contacts[0]), models.KindPractitioner.Global(clinic.Practitioners[0])
	list, lone := map[string]any{"v": []string{"SCHEDULED"}}, map[string]any{"v": "SCHEDULED"}
	twice := map[string]any{"v": []string{"SCHEDULED", "SCHEDULED"}}
	const page = `{ totalCount nodes { id status startsAt } }`
	for name, around := range map[string]string{
		"a contact's appointments":        `{ contact(id: "` + contact + `") { appointments(status: %s) ` + page + ` } }`,
		"a contact's, through its node":   `{ node(id: "` + contact + `") { ... on Contact { appointments(status: %s) ` + page + ` } } }`,
		"a contact's, in a list":          `{ contacts { nodes { id appointments(status: %s) ` + page + ` } } }`,
		"a practitioner's appointments":   `{ practitioner(id: "` + practitioner + `") { appointments(status: %s, range: {from: "2026-03-01T00:00:00Z", to: "2026-03-05T00:00:00Z"}) ` + page + ` } }`,
		"all appointments, by the filter": `{ appointments(filter: {status: %s}) ` + page + ` }`,
		"under an alias":                  `{ contact(id: "` + contact + `") { a: appointments(first: 1) ` + page + ` b: appointments(status: %s) ` + page + ` } }`,
	} {
		want := owner.Do(t, fmt.Sprintf(around, "[SCHEDULED]"), nil)
		require.Empty(t, want.Errors, "%s: %s", name, want.Body)
		require.Contains(t, string(want.Body), `"SCHEDULED"`, name)
		for way, got := range map[string]*api.Response{
			"a lone literal":            owner.Do(t, fmt.Sprintf(around, "SCHEDULED"), nil),
			"a literal twice":           owner.Do(t, fmt.Sprintf(around, "[SCHEDULED, SCHEDULED]"), nil),
			"a list in a variable":      owner.Do(t, "query($v: [AppointmentStatus!])"+fmt.Sprintf(around, "$v"), list),
			"twice in a variable":       owner.Do(t, "query($v: [AppointmentStatus!])"+fmt.Sprintf(around, "$v"), twice),
			"a lone one in a variable":  owner.Do(t, "query($v: [AppointmentStatus!])"+fmt.Sprintf(around, "$v"), lone),
			"a lone one in a default":   owner.Do(t, "query($v: [AppointmentStatus!] = SCHEDULED)"+fmt.Sprintf(around, "$v"), nil),
			"a variable inside a list":  owner.Do(t, "query($v: AppointmentStatus!)"+fmt.Sprintf(around, "[$v]"), lone),
			"a lone one for a non-null": owner.Do(t, "query($v: [AppointmentStatus!]!)"+fmt.Sprintf(around, "$v"), lone),
		} {
			assert.Equal(t, string(want.Body), string(got.Body), "%s: %s", name, way)
		}
	}
}

// TestValues_ALongFilterCostsNoStatement is the cheap request that slowed every
// clinic: fifty counts with 60,000 statuses each.
func TestValues_ALongFilterCostsNoStatement(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	partner := api.NewServer(t, d).As(t, clinic, models.RolePartner)
	var query strings.Builder
	for i := range 50 {
		fmt.Fprintf(&query, "a%d: appointments(first: 1, filter: $f) { totalCount } ", i)
	}
	text := "query($f: AppointmentFilter) {" + query.String() + "}"
	statuses := strings.Split(strings.Repeat("NO_SHOW,", 60_000)+"NO_SHOW", ",")
	answer := partner.Do(t, text, map[string]any{"f": map[string]any{"status": statuses}})
	require.Len(t, answer.Errors, 1, "%.300s", answer.Body)
	require.Equal(t, "$f.status takes 100 values at most", answer.Errors[0].Message)
	require.Equal(t, "BAD_USER_INPUT", answer.Errors[0].Extensions.Code)
	// As long as a filter may be, it is answered.
	answer = partner.Do(t, "query($f: AppointmentFilter) { appointments(filter: $f) { totalCount } }", map[string]any{"f": map[string]any{"status": statuses[:100]}})
	require.Empty(t, answer.Errors, "%.300s", answer.Body)
}
