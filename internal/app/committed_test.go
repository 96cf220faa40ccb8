package app_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// impatient gives up on a statement soon.
func impatient(settings *config.Config, _ *app.Options) {
	settings.StatementTimeout, settings.RequestTimeout = time.Second, 10*time.Second
}

// locked holds a table against everybody until the test ends or free is called.
func locked(t *testing.T, d *testkit.Database, table string) (free func()) {
	t.Helper()
	tx, err := d.Connect(t, d.SuperuserURL).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	return func() { require.NoError(t, tx.Rollback(t.Context())) }
}

// requireErrorAt wants errors at these paths, in any order, and nowhere else.
func requireErrorAt(t *testing.T, response *api.Response, paths ...string) {
	t.Helper()
	var got []string
	for _, e := range response.Errors {
		got = append(got, fmt.Sprint(e.Path))
	}
	require.ElementsMatch(t, paths, got, "%s", response.Body)
}

// TestCommitted_IsAnsweredThoughWhatIsBelowFails writes while what the payload
// selects below cannot be read: the entity is answered, and the error stands at
// its own path (promise Q2). Each write is in the database.
func TestCommitted_IsAnsweredThoughWhatIsBelowFails(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	appointment := models.KindAppointment.Global(d.Appointment(t, clinic, 0, 0, noon().AddDate(0, 0, 1), 30*time.Minute))
	owner := api.NewServer(t, d, api.At(noon()), impatient, api.WithoutCache()).As(t, clinic, models.RoleOwner)
	contact := contactID(clinic, 0)
	for _, test := range []struct{ name, table, mutation, path, count string }{
		{
			"a locked table below a new contact", "medical_records",
			`createContact(input: {name: "Rita Lobo"}) { contact { id medicalRecords { nodes { id } } } userErrors { code } }`,
			"[w contact medicalRecords]", "SELECT count(*) FROM contacts WHERE name = 'Rita Lobo'",
		},
		{
			"a locked table two levels below a new contact", "medical_records",
			`createContact(input: {name: "Rita Levi"}) { contact { id name appointments { nodes { medicalRecords { totalCount } } } medicalRecords(first: 1) { totalCount } } userErrors { code } }`,
			"[w contact medicalRecords]", "SELECT count(*) FROM contacts WHERE name = 'Rita Levi'",
		},
		{
			"a cursor that is none below a changed contact", "",
			`updateContact(input: {id: "` + contact + `", notes: "changed"}) { contact { id appointments(after: "x") { nodes { id } } } userErrors { code } }`,
			"[w contact appointments]", "SELECT count(*) FROM contacts WHERE notes = 'changed'",
		},
		{
			"a locked table below an appointment that was confirmed", "medical_records",
			`confirmAppointment(input: {id: "` + appointment + `"}) { appointment { id medicalRecords { nodes { id } } } userErrors { code } }`,
			"[w appointment medicalRecords]", "SELECT count(*) FROM appointments WHERE status = 'confirmado'",
		},
		{
			"a locked table beside the appointment's contact", "medical_records",
			`cancelAppointment(input: {id: "` + appointment + `"}) { appointment { id contact { name medicalRecords { nodes { id } } } } userErrors { code } }`,
			"[w appointment contact medicalRecords]", "SELECT count(*) FROM appointments WHERE status = 'cancelado'",
		},
		{
			"a locked table below a contact that was put away", "medical_records",
			`archiveContact(input: {id: "` + contact + `"}) { contact { id status medicalRecords { totalCount } } userErrors { code } }`,
			"[w contact medicalRecords]", "SELECT count(*) FROM contacts WHERE status = 'arquivado'",
		},
		{
			"a locked table of what may be null", "appointments",
			`updateContact(input: {id: "` + contactID(clinic, 1) + `", notes: "locked"}) { contact { id nextAppointment { id } } userErrors { code } }`,
			"[w contact nextAppointment]", "SELECT count(*) FROM contacts WHERE notes = 'locked'",
		},
	} {
		t.Run(test.name, func(t *testing.T) { //nolint:paralleltest // locks are in each other's way
			free := func() {}
			if test.table != "" {
				free = locked(t, d, test.table)
			}
			answer := owner.Do(t, "mutation { w: "+test.mutation+" }", nil)
			free()
			require.Equal(t, 1, d.Count(t, test.count), "it was written: %s", answer.Body)
			require.Equal(t, 200, answer.Status, "a write that was committed is told as failed: %s", answer.Body)
			requireErrorAt(t, answer, test.path)
			// medicalRecords and appointments cannot be null, so the entity, which can,
			// is; that it was written is told by the payload without userErrors.
			var data struct {
				W *struct{ UserErrors []any }
			}
			require.NoError(t, json.Unmarshal(answer.Data, &data))
			require.NotNil(t, data.W, "%s", answer.Body)
			require.Empty(t, data.W.UserErrors)
		})
	}
}

// TestCommitted_AnErrorBelowIsAtItsOwnPath asks for pages that cannot be, at every
// depth: the error stands at the list's path and empties what is nearest and may
// be null, nothing more.
func TestCommitted_AnErrorBelowIsAtItsOwnPath(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	d.Appointment(t, clinic, 0, 0, noon().AddDate(0, 0, 1), 30*time.Minute)
	server := api.NewServer(t, d, api.At(noon()), api.WithoutCache())
	owner := server.As(t, clinic, models.RoleOwner)
	id := map[string]any{"id": contactID(clinic, 0)}
	for _, test := range []struct {
		name, query, data string
		paths             []string
	}{
		{
			"a contact's appointment's records", `query($id: ID!) { contact(id: $id) { name nextAppointment { medicalRecords(after: "bad") { nodes { id } } } } }`,
			`{"contact":{"name":"Ana Souza","nextAppointment":null}}`,
			[]string{"[contact nextAppointment medicalRecords]"},
		},
		{
			"the same, twice and under aliases", `query($id: ID!) { contact(id: $id) { name a: nextAppointment { r: medicalRecords(after: "bad") { totalCount } } b: nextAppointment { medicalRecords { totalCount } } } }`,
			`{"contact":{"name":"Ana Souza","a":null,"b":{"medicalRecords":{"totalCount":0}}}}`,
			[]string{"[contact a r]"},
		},
		{
			"in each of a list", `{ contacts(first: 2) { nodes { name nextAppointment { medicalRecords(after: "bad") { totalCount } } } } }`,
			`{"contacts":{"nodes":[{"name":"Ana Souza","nextAppointment":null},{"name":"João Silva","nextAppointment":null}]}}`,
			[]string{"[contacts nodes 0 nextAppointment medicalRecords]"},
		},
		{
			"in edges", `{ contacts(first: 1) { edges { node { nextAppointment { id medicalRecords(first: 1, after: "bad") { totalCount } } } } } }`,
			`{"contacts":{"edges":[{"node":{"nextAppointment":null}}]}}`,
			[]string{"[contacts edges 0 node nextAppointment medicalRecords]"},
		},
		{
			"by node", `query($id: ID!) { node(id: $id) { ... on Contact { name nextAppointment { medicalRecords(before: "bad") { totalCount } } } } }`,
			`{"node":{"name":"Ana Souza","nextAppointment":null}}`,
			[]string{"[node nextAppointment medicalRecords]"},
		},
		{
			"beside what goes well", `query($id: ID!) { a: contact(id: $id) { appointments(after: "bad") { totalCount } } b: contact(id: $id) { name } }`,
			`{"a":null,"b":{"name":"Ana Souza"}}`,
			[]string{"[a appointments]"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			answer := owner.Do(t, test.query, id)
			require.JSONEq(t, test.data, string(answer.Data), "%s", answer.Body)
			requireErrorAt(t, answer, test.paths...)
			require.Equal(t, "BAD_USER_INPUT", answer.Errors[0].Extensions.Code)
		})
	}
}

// TestCommitted_EachOfSerialMutationsSeesWhatItWrote has several mutations in one
// request, whose payloads read the same things: none is shown what was there
// before it.
func TestCommitted_EachOfSerialMutationsSeesWhatItWrote(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	first := models.KindAppointment.Global(d.Appointment(t, clinic, 0, 0, noon().AddDate(0, 0, 1), 30*time.Minute))
	second := models.KindAppointment.Global(d.Appointment(t, clinic, 0, 0, noon().AddDate(0, 0, 2), 30*time.Minute))
	owner := api.NewServer(t, d, api.At(noon()), api.WithoutCache()).As(t, clinic, models.RoleOwner)
	variables := map[string]any{
		"contact": contactID(clinic, 0), "practitioner": models.KindPractitioner.Global(clinic.Practitioners[0]), "first": first, "second": second,
	}
	for _, test := range []struct{ name, mutation, data string }{
		{
			"a name seen from an appointment",
			`mutation($contact: ID!, $first: ID!, $second: ID!) {
				a: confirmAppointment(input: {id: $first}) { appointment { contact { name } } }
				b: updateContact(input: {id: $contact, name: "Ana Lima"}) { contact { name appointments { nodes { contact { name } } } } }
				c: confirmAppointment(input: {id: $second}) { appointment { contact { name } } }
			}`,
			`{"a":{"appointment":{"contact":{"name":"Ana Souza"}}},
			  "b":{"contact":{"name":"Ana Lima","appointments":{"nodes":[{"contact":{"name":"Ana Lima"}},{"contact":{"name":"Ana Lima"}}]}}},
			  "c":{"appointment":{"contact":{"name":"Ana Lima"}}}}`,
		},
		{
			"a name changed twice, seen from both nodes and edges",
			`mutation($contact: ID!) {
				a: updateContact(input: {id: $contact, name: "Ana Dias"}) { contact { ...Twice } }
				b: updateContact(input: {id: $contact, name: "Ana Reis"}) { contact { ...Twice } }
			} fragment Twice on Contact { appointments(first: 1) { nodes { contact { name } } edges { node { contact { name } } } } }`,
			`{"a":{"contact":{"appointments":{"nodes":[{"contact":{"name":"Ana Dias"}}],"edges":[{"node":{"contact":{"name":"Ana Dias"}}}]}}},
			  "b":{"contact":{"appointments":{"nodes":[{"contact":{"name":"Ana Reis"}}],"edges":[{"node":{"contact":{"name":"Ana Reis"}}}]}}}}`,
		},
		{
			"an appointment seen from its contact, by nodes and edges",
			`mutation($first: ID!, $second: ID!) {
				a: cancelAppointment(input: {id: $first}) { appointment { contact { nextAppointment { status id } appointments { nodes { status } edges { node { status } } } } } }
				b: cancelAppointment(input: {id: $second}) { appointment { contact { nextAppointment { status id } appointments { nodes { status } edges { node { status } } } } } }
			}`,
			`{"a":{"appointment":{"contact":{"nextAppointment":{"status":"CONFIRMED","id":"` + second + `"},"appointments":{"nodes":[{"status":"CONFIRMED"},{"status":"CANCELLED"}],"edges":[{"node":{"status":"CONFIRMED"}},{"node":{"status":"CANCELLED"}}]}}}},
			  "b":{"appointment":{"contact":{"nextAppointment":null,"appointments":{"nodes":[{"status":"CANCELLED"},{"status":"CANCELLED"}],"edges":[{"node":{"status":"CANCELLED"}},{"node":{"status":"CANCELLED"}}]}}}}}`,
		},
		{
			"a new record seen from its contact",
			`mutation($contact: ID!, $practitioner: ID!) {
				a: createMedicalRecord(input: {contactId: $contact, practitionerId: $practitioner, kind: EVOLUTION, title: "one", body: "b"}) { medicalRecord { contact { medicalRecords { totalCount nodes { title } edges { node { title } } } } } }
				b: createMedicalRecord(input: {contactId: $contact, practitionerId: $practitioner, kind: EVOLUTION, title: "two", body: "b"}) { medicalRecord { contact { medicalRecords { totalCount nodes { title } edges { node { title } } } } } }
			}`,
			`{"a":{"medicalRecord":{"contact":{"medicalRecords":{"totalCount":1,"nodes":[{"title":"one"}],"edges":[{"node":{"title":"one"}}]}}}},
			  "b":{"medicalRecord":{"contact":{"medicalRecords":{"totalCount":2,"nodes":[{"title":"two"},{"title":"one"}],"edges":[{"node":{"title":"two"}},{"node":{"title":"one"}}]}}}}}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) { //nolint:paralleltest // each goes on from where the last one ended
			answer := owner.Must(t, test.mutation, variables, nil)
			require.JSONEq(t, test.data, string(answer.Data))
		})
	}
}
