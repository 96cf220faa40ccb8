package app_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// deskMonday is a Monday, 08:00 in São Paulo.
var deskMonday = time.Date(2026, time.November, 23, 11, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // an instant

// mistake is a user error as clients see it.
type mistake struct {
	Code      string
	Field     []string
	Message   string
	EntityIDs []string
}

func (m mistake) String() string { return m.Code + " " + strings.Join(m.Field, ".") }

// desk sets a clinic up by mutations.
type desk struct {
	t      *testing.T
	d      *testkit.Database
	server *api.Server
	clinic *testkit.Clinic
}

func newDesk(t *testing.T) desk {
	t.Helper()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	d.NewClinic(t, "horizonte")
	return desk{t, d, api.NewServer(t, d, api.At(deskMonday)), clinic}
}

func (k desk) as(role models.Role) *api.Client { return k.server.As(k.t, k.clinic, role) }

// do runs a mutation with one input and gives what its payload has at a field, and
// the mistakes in words.
func (k desk) do(client *api.Client, mutation, selection string, input map[string]any) (payload map[string]any, mistakes []string) {
	k.t.Helper()
	text := fmt.Sprintf("mutation ($input: %s%sInput!) { got: %s(input: $input) { %s userErrors { code field message entityIds } } }",
		strings.ToUpper(mutation[:1]), mutation[1:], mutation, selection)
	var answer struct{ Got json.RawMessage }
	client.Must(k.t, text, map[string]any{"input": input}, &answer)
	require.NoError(k.t, json.Unmarshal(answer.Got, &payload))
	var errors struct{ UserErrors []mistake }
	require.NoError(k.t, json.Unmarshal(answer.Got, &errors))
	for _, one := range errors.UserErrors {
		require.NotEmpty(k.t, one.Message)
		mistakes = append(mistakes, one.String())
	}
	return payload, mistakes
}

// made runs a mutation that must succeed, and gives what its payload has at a field.
func (k desk) made(client *api.Client, mutation, field, selection string, input map[string]any) map[string]any {
	k.t.Helper()
	payload, mistakes := k.do(client, mutation, field+" { "+selection+" }", input)
	require.Empty(k.t, mistakes, mutation)
	object, _ := payload[field].(map[string]any)
	require.NotNil(k.t, object, mutation)
	return object
}

// ids of a list of objects.
func idsOf(list any) []string {
	ids := []string{}
	all, _ := list.([]any)
	for _, one := range all {
		object, _ := one.(map[string]any)
		ids = append(ids, fmt.Sprint(object["id"]))
	}
	return ids
}

func (k desk) week(from, to int) []map[string]any {
	var week []map[string]any
	for _, day := range []string{"MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"} {
		week = append(week, map[string]any{"weekday": day, "fromMinute": from, "toMinute": to})
	}
	return week
}

func TestDesk_SetsAPractitionerUpAndBooksThem(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	owner, desk := k.as(models.RoleOwner), k.as(models.RoleReceptionist)

	service := k.made(owner, "createService", "service", "id name durationMinutes price { amountMinor currency } active version",
		map[string]any{"name": "Acupuntura", "durationMinutes": 40, "price": map[string]any{"amountMinor": 18000}})
	assert.Equal(t, map[string]any{
		"id": service["id"], "name": "Acupuntura", "durationMinutes": 40.0, "active": true, "version": 1.0,
		"price": map[string]any{"amountMinor": 18000.0, "currency": "BRL"},
	}, service)
	practitioner := k.made(owner, "createPractitioner", "practitioner", "id version services { totalCount nodes { name practitioners { nodes { name } } } }",
		map[string]any{"name": "Dra. Nina Rocha", "color": "#0F766E", "serviceIds": []any{service["id"]}})
	assert.Equal(t, map[string]any{"totalCount": 1.0, "nodes": []any{map[string]any{
		"name": "Acupuntura", "practitioners": map[string]any{"nodes": []any{map[string]any{"name": "Dra. Nina Rocha"}}},
	}}}, practitioner["services"])

	slots := "query ($p: [ID!], $s: ID!, $r: DateTimeRange!) { availability(practitionerIds: $p, serviceId: $s, range: $r) { startsAt } }"
	asked := map[string]any{"p": []any{practitioner["id"]}, "s": service["id"], "r": map[string]any{"from": deskMonday, "to": deskMonday.Add(24 * time.Hour)}}
	var free struct{ Availability []struct{ StartsAt string } }
	desk.Must(t, slots, asked, &free)
	assert.Empty(t, free.Availability, "nobody works yet")

	week := k.made(owner, "setWorkingHours", "practitioner", "version workingHours { weekday fromMinute toMinute }",
		map[string]any{"practitionerId": practitioner["id"], "expectedVersion": practitioner["version"], "workingHours": k.week(480, 720)})
	assert.Len(t, week["workingHours"], 5)
	assert.Greater(t, week["version"], practitioner["version"])
	desk.Must(t, slots, asked, &free)
	require.Len(t, free.Availability, 14, "every quarter of an hour at which 40 minutes fit into four hours, seen at once though the answer before was kept")

	booked := k.made(desk, "scheduleAppointment", "appointment", "id endsAt nextSteps", map[string]any{
		"contactId": models.KindContact.Global(k.clinic.Contacts[0]), "practitionerId": practitioner["id"], "serviceId": service["id"],
		"startsAt": free.Availability[0].StartsAt,
	})
	assert.Equal(t, []any{"CONFIRM", "CHECK_IN", "NO_SHOW", "CANCEL", "RESCHEDULE"}, booked["nextSteps"])

	// What no longer fits is named, and stays.
	payload, mistakes := k.do(owner, "setWorkingHours", "outside { id }", map[string]any{"practitionerId": practitioner["id"], "workingHours": k.week(600, 720)})
	require.Empty(t, mistakes)
	assert.Equal(t, []string{fmt.Sprint(booked["id"])}, idsOf(payload["outside"]))
	payload, _ = k.do(owner, "setWorkingHours", "outside { id }", map[string]any{"practitionerId": practitioner["id"], "workingHours": k.week(480, 720)})
	assert.Empty(t, idsOf(payload["outside"]))

	for _, whose := range []any{practitioner["id"], nil} {
		payload, mistakes = k.do(owner, "addTimeOff", "timeOff { id practitioner { id } } within { id }", map[string]any{
			"practitionerId": whose, "startsAt": deskMonday, "endsAt": deskMonday.Add(4 * time.Hour), "reason": "Reforma",
		})
		require.Empty(t, mistakes)
		assert.Equal(t, []string{fmt.Sprint(booked["id"])}, idsOf(payload["within"]))
		desk.Must(t, slots, asked, &free)
		assert.Empty(t, free.Availability, "away, or closed")
		_, mistakes = k.do(desk, "scheduleAppointment", "alternatives { startsAt }", map[string]any{
			"contactId": models.KindContact.Global(k.clinic.Contacts[1]), "practitionerId": practitioner["id"], "serviceId": service["id"],
			"startsAt": deskMonday.Add(90 * time.Minute),
		})
		assert.Equal(t, []string{"OUT_OF_HOURS startsAt"}, mistakes)
		var closures struct{ Clinic struct{ Closures []any } }
		desk.Must(t, "query ($r: DateTimeRange!) { clinic { closures(range: $r) { id reason practitioner { id } } } }", map[string]any{"r": asked["r"]}, &closures)
		off, _ := payload["timeOff"].(map[string]any)
		if whose == nil {
			assert.Equal(t, []any{map[string]any{"id": off["id"], "reason": "Reforma", "practitioner": nil}}, closures.Clinic.Closures)
			_, mistakes = k.do(desk, "removeTimeOff", "timeOff { id }", map[string]any{"id": off["id"]})
			assert.Equal(t, []string{"FORBIDDEN id"}, mistakes)
		} else {
			assert.Empty(t, closures.Clinic.Closures)
		}
		k.made(owner, "removeTimeOff", "timeOff", "id", map[string]any{"id": off["id"]})
		desk.Must(t, slots, asked, &free)
		assert.Len(t, free.Availability, 11)
	}

	// Another zone moves the hours, not the appointments.
	payload, mistakes = k.do(owner, "updateClinic", "clinic { timeZone name version slotGridMinutes pixKey } outside { id }", map[string]any{
		"timeZone": "Asia/Tokyo", "name": "Aurora", "slotGridMinutes": 20, "pixKey": "aurora@example.com",
	})
	require.Empty(t, mistakes)
	assert.Equal(t, map[string]any{"timeZone": "Asia/Tokyo", "name": "Aurora", "slotGridMinutes": 20.0, "pixKey": "aurora@example.com", "version": 2.0}, payload["clinic"])
	assert.Equal(t, []string{fmt.Sprint(booked["id"])}, idsOf(payload["outside"]))
}

func TestDesk_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	owner := k.as(models.RoleOwner)
	practitioner, service := models.KindPractitioner.Global(k.clinic.Practitioners[0]), models.KindService.Global(k.clinic.Services[0])
	nobody, nothing := models.KindPractitioner.Global(models.NewID()), models.KindService.Global(models.NewID())
	before := k.d.Count(t, "SELECT count(*) + (SELECT sum(version) FROM practitioners) + (SELECT sum(version) FROM services) + (SELECT sum(version) FROM clinics) FROM working_hours")
	for _, wrong := range []struct {
		mutation string
		input    map[string]any
		mistakes []string
	}{
		{"createPractitioner", map[string]any{"name": " ", "color": "red", "memberId": "x", "serviceIds": []any{"y"}}, []string{"REQUIRED name", "INVALID color", "INVALID memberId", "INVALID serviceIds.0"}},
		{"createPractitioner", map[string]any{"name": "Ana", "memberId": models.KindMember.Global(models.NewID())}, []string{"NOT_FOUND memberId"}},
		{"createPractitioner", map[string]any{"name": "Ana", "serviceIds": []any{service, nothing}}, []string{"NOT_FOUND serviceIds.1"}},
		{"updatePractitioner", map[string]any{"id": nobody, "name": "Ana"}, []string{"NOT_FOUND id"}},
		{"updatePractitioner", map[string]any{"id": practitioner, "expectedVersion": 9, "name": "Ana"}, []string{"STALE expectedVersion"}},
		{"updatePractitioner", map[string]any{"id": practitioner, "active": nil, "name": nil}, []string{"REQUIRED name", "REQUIRED active"}},
		{"setPractitionerServices", map[string]any{"practitionerId": practitioner, "serviceIds": []any{nothing}}, []string{"NOT_FOUND serviceIds.0"}},
		{"createService", map[string]any{"name": "Consulta", "durationMinutes": 0, "price": map[string]any{"amountMinor": -1}}, []string{"INVALID durationMinutes", "INVALID price.amountMinor"}},
		{"createService", map[string]any{"name": "Consulta", "durationMinutes": 30, "price": map[string]any{"amountMinor": 1, "currency": "EUR"}}, []string{"INVALID price.currency"}},
		{"updateService", map[string]any{"id": nothing}, []string{"NOT_FOUND id"}},
		{"updateService", map[string]any{"id": service, "expectedVersion": 9}, []string{"STALE expectedVersion"}},
		{"setWorkingHours", map[string]any{"practitionerId": practitioner, "workingHours": append(k.week(480, 720),
			map[string]any{"weekday": "MONDAY", "fromMinute": 700, "toMinute": 800}, map[string]any{"weekday": "FRIDAY", "fromMinute": 800, "toMinute": 1500})}, []string{"INVALID workingHours.5", "INVALID workingHours.6.toMinute"}},
		{"setWorkingHours", map[string]any{"practitionerId": nobody, "workingHours": []any{}}, []string{"NOT_FOUND practitionerId"}},
		{"addTimeOff", map[string]any{"practitionerId": nobody, "startsAt": deskMonday, "endsAt": deskMonday.Add(time.Hour)}, []string{"NOT_FOUND practitionerId"}},
		{"addTimeOff", map[string]any{"startsAt": deskMonday, "endsAt": deskMonday}, []string{"INVALID endsAt"}},
		{"removeTimeOff", map[string]any{"id": models.KindTimeOff.Global(models.NewID())}, []string{"NOT_FOUND id"}},
		{"updateClinic", map[string]any{"expectedVersion": 9, "name": "x"}, []string{"STALE expectedVersion"}},
		{"updateClinic", map[string]any{"name": "", "slotGridMinutes": 0}, []string{"REQUIRED name", "INVALID slotGridMinutes"}},
	} {
		_, mistakes := k.do(owner, wrong.mutation, "__typename", wrong.input)
		assert.Equal(t, wrong.mistakes, mistakes, "%s %v", wrong.mutation, wrong.input)
	}
	assert.Equal(t, before, k.d.Count(t, "SELECT count(*) + (SELECT sum(version) FROM practitioners) + (SELECT sum(version) FROM services) + (SELECT sum(version) FROM clinics) FROM working_hours"), "nothing was written")

	// A dry run answers as if it had written, and writes nothing.
	var dry struct {
		CreatePractitioner struct{ Practitioner struct{ Name string } }
	}
	owner.Must(t, `mutation { createPractitioner(input: {name: "Seca"}) @dryRun { practitioner { name } } }`, nil, &dry)
	assert.Equal(t, "Seca", dry.CreatePractitioner.Practitioner.Name)
	assert.Zero(t, k.d.Count(t, "SELECT count(*) FROM practitioners WHERE name = 'Seca'"))
}

func TestDesk_MembersComeGoAndAreChecked(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	owner, admin := k.as(models.RoleOwner), k.as(models.RoleAdmin)
	const all = "id subject name role practitioner { id } revokedAt version"
	practitioner := models.KindPractitioner.Global(k.clinic.Practitioners[0])

	made := k.made(admin, "addMember", "member", all, map[string]any{"subject": "nina", "name": "Nina", "role": "PRACTITIONER", "practitionerId": practitioner})
	assert.Equal(t, map[string]any{
		"id": made["id"], "subject": "nina", "name": "Nina", "role": "PRACTITIONER", "practitioner": map[string]any{"id": practitioner}, "revokedAt": nil, "version": 1.0,
	}, made)
	nina := k.server.AsSubject(t, k.clinic, "nina")
	var self struct {
		Viewer struct {
			Role         string
			Practitioner *struct{ ID string }
			Permissions  []string
		}
	}
	const viewer = "{ viewer { role practitioner { id } permissions } }"
	nina.Must(t, viewer, nil, &self)
	require.NotNil(t, self.Viewer.Practitioner)
	assert.Equal(t, practitioner, self.Viewer.Practitioner.ID)
	assert.Contains(t, self.Viewer.Permissions, "Mutation.startAppointment")
	assert.Contains(t, self.Viewer.Permissions, "MedicalRecord.body")
	assert.NotContains(t, self.Viewer.Permissions, "Mutation.addMember")
	assert.IsIncreasing(t, self.Viewer.Permissions)
	assert.NotEmpty(t, nina.Do(t, "{ clinic { members { nodes { id } } } }", nil).Errors, "members are owners' and admins' alone")

	_, mistakes := k.do(admin, "addMember", "member { id }", map[string]any{"subject": "nina", "role": "FINANCE"})
	assert.Equal(t, []string{"TAKEN subject"}, mistakes)
	_, mistakes = k.do(admin, "addMember", "member { id }", map[string]any{"subject": "rui", "role": "OWNER"})
	assert.Equal(t, []string{"FORBIDDEN role"}, mistakes)
	_, mistakes = k.do(admin, "updateMember", "member { id }", map[string]any{"id": made["id"], "role": "OWNER"})
	assert.Equal(t, []string{"FORBIDDEN role"}, mistakes)
	_, mistakes = k.do(admin, "updateMember", "member { id }", map[string]any{"id": made["id"], "expectedVersion": 9, "name": "N."})
	assert.Equal(t, []string{"STALE expectedVersion"}, mistakes)
	_, mistakes = k.do(admin, "updateMember", "member { id }", map[string]any{"id": models.KindMember.Global(models.NewID()), "name": "N."})
	assert.Equal(t, []string{"NOT_FOUND id"}, mistakes)

	changed := k.made(owner, "updateMember", "member", all, map[string]any{"id": made["id"], "role": "OWNER", "practitionerId": nil})
	assert.Equal(t, "OWNER", changed["role"])
	assert.Equal(t, "Nina", changed["name"])
	assert.Nil(t, changed["practitioner"])
	nina.Must(t, viewer, nil, &self)
	assert.Equal(t, "OWNER", self.Viewer.Role, "from the next request on")
	_, mistakes = k.do(admin, "revokeMember", "member { id }", map[string]any{"id": made["id"]})
	assert.Equal(t, []string{"FORBIDDEN id"}, mistakes)

	// The last owner stays.
	var list struct {
		Clinic struct {
			Members struct {
				Nodes []struct{ ID, Role, Subject string }
			}
		}
	}
	owner.Must(t, "{ clinic { members(first: 50) { nodes { id role subject } } } }", nil, &list)
	first := ""
	for _, member := range list.Clinic.Members.Nodes {
		if member.Role == "OWNER" && member.Subject != "nina" {
			first = member.ID
		}
	}
	k.made(nina, "revokeMember", "member", "revokedAt", map[string]any{"id": first})
	assert.NotEmpty(t, owner.Do(t, "{ viewer { role } }", nil).Errors, "whose membership ended is refused")
	_, mistakes = k.do(nina, "revokeMember", "member { id }", map[string]any{"id": made["id"]})
	assert.Equal(t, []string{"CONFLICT id"}, mistakes)
	_, mistakes = k.do(nina, "updateMember", "member { id }", map[string]any{"id": made["id"], "role": "ADMIN"})
	assert.Equal(t, []string{"CONFLICT id"}, mistakes)
	back := k.made(nina, "addMember", "member", "id revokedAt role", map[string]any{"subject": testkit.Subject("aurora", models.RoleOwner), "role": "ADMIN"})
	assert.Equal(t, map[string]any{"id": first, "revokedAt": nil, "role": "ADMIN"}, back)
}

// Two owners who send each other away at once: one of them stays.
func TestDesk_OfTwoOwnersWhoLeaveAtOnceOneStays(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	owner := k.as(models.RoleOwner)
	other := k.made(owner, "addMember", "member", "id", map[string]any{"subject": "nina", "role": "OWNER"})
	var first string
	var viewer struct {
		Clinic struct {
			Members struct {
				Nodes []struct{ ID, Role, Subject string }
			}
		}
	}
	owner.Must(t, "{ clinic { members(first: 50) { nodes { id role subject } } } }", nil, &viewer)
	for _, member := range viewer.Clinic.Members.Nodes {
		if member.Subject == testkit.Subject("aurora", models.RoleOwner) {
			first = member.ID
		}
	}
	const revoke = "mutation ($id: ID!) { revokeMember(input: {id: $id}) { userErrors { code } } }"
	done := make(chan bool)
	for client, id := range map[*api.Client]any{owner: first, k.server.AsSubject(t, k.clinic, "nina"): other["id"]} {
		go func() {
			defer func() { done <- true }()
			client.Do(t, revoke, map[string]any{"id": id})
		}()
	}
	<-done
	<-done
	assert.Equal(t, 1, k.d.Count(t, "SELECT count(*) FROM memberships WHERE clinic_id = $1 AND role = 'owner' AND revoked_at IS NULL", k.clinic.ID))
}

// What a thief of the application's connection string would try.
func TestDesk_TheApplicationsRoleCannotMakeItselfAnOwner(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	thief := k.d.Connect(t, k.d.AppURL)
	_, err := thief.Exec(t.Context(), "SELECT set_config('app.clinic', $1, false)", k.clinic.ID.String())
	require.NoError(t, err)
	for _, sql := range []string{
		"INSERT INTO memberships (clinic_id, id, subject, role) VALUES (app_clinic(), gen_random_uuid(), 'thief', 'owner')",
		"UPDATE memberships SET subject = 'thief'", "UPDATE memberships SET role = 'owner'", "UPDATE memberships SET revoked_at = NULL",
		"DELETE FROM memberships",
		"INSERT INTO api_keys (clinic_id, id, name, role, key_hash, last_four) VALUES (app_clinic(), gen_random_uuid(), 'k', 'owner', sha256('k'), 'abcd')",
		"UPDATE api_keys SET revoked_at = NULL", "UPDATE api_keys SET role = 'owner'", "DELETE FROM api_keys",
		"SELECT member_add('thief', gen_random_uuid(), 'thief', NULL, 'owner')",
		"SELECT member_add('taskmed', gen_random_uuid(), 'thief', NULL, 'finance')",
		"SELECT member_add('" + testkit.Subject("aurora", models.RoleAdmin) + "', gen_random_uuid(), 'thief', NULL, 'owner')",
		"SELECT member_add('" + testkit.Subject("aurora", models.RoleOwner) + "', gen_random_uuid(), 'thief', NULL, 'owner')",
		"SELECT set_config('app.asker_proof', '99999999999:' || repeat('0', 64), true), member_add('" + testkit.Subject("aurora", models.RoleOwner) + "', gen_random_uuid(), 'thief', NULL, 'owner')",
		"SELECT * FROM asker_proof_key",
		"SELECT member_add('" + testkit.Subject("horizonte", models.RoleOwner) + "', gen_random_uuid(), 'thief', NULL, 'owner')",
		"SELECT member_change('thief', id, NULL, false, NULL, 'owner') FROM memberships",
		"SELECT member_revoke('thief', id, NULL) FROM memberships",
		"SELECT api_key_create('thief', gen_random_uuid(), 'k', 'owner', sha256('k'), 'abcd', NULL)",
		"SELECT api_key_revoke('thief', gen_random_uuid())",
		"SET ROLE taskmed_lookup", "SET SESSION AUTHORIZATION taskmed_owner",
	} {
		_, err := thief.Exec(t.Context(), sql)
		require.Error(t, err, sql)
	}
	assert.Zero(t, k.d.Count(t, "SELECT count(*) FROM memberships WHERE subject = 'thief'"))
	assert.Zero(t, k.d.Count(t, "SELECT count(*) FROM api_keys"))
}

// nextSteps says in Go what @allow says in the schema.
func TestNextSteps_AreWhatTheMutationsAllow(t *testing.T) {
	t.Parallel()
	table, err := rights.New(generated.NewExecutableSchema(generated.Config{}).Schema())
	require.NoError(t, err)
	mutations := map[models.AppointmentStep]string{
		models.AppointmentStepConfirm: "confirmAppointment", models.AppointmentStepCheckIn: "checkInAppointment", models.AppointmentStepStart: "startAppointment",
		models.AppointmentStepComplete: "completeAppointment", models.AppointmentStepNoShow: "markNoShow", models.AppointmentStepCancel: "cancelAppointment",
		models.AppointmentStepReschedule: "rescheduleAppointment", models.AppointmentStepUndo: "undoAppointmentStep",
	}
	require.Len(t, mutations, len(models.AllAppointmentStep))
	for _, role := range models.AllRole {
		var allowed, offered []models.AppointmentStep
		for _, step := range models.AllAppointmentStep {
			if table.May(role, "Mutation", mutations[step]) {
				allowed = append(allowed, step)
			}
		}
		seen := map[models.AppointmentStep]bool{}
		for _, status := range models.AllAppointmentStatus {
			for _, step := range (&models.Appointment{Status: status, Asker: role}).NextSteps() {
				seen[step] = true
			}
		}
		for _, step := range models.AllAppointmentStep {
			if seen[step] {
				offered = append(offered, step)
			}
		}
		assert.Equal(t, allowed, offered, role)
	}
}
