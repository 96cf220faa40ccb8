package live_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/live"
	"github.com/taskmed/taskmed/internal/outbox"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// fields are those of the schema's Subscription.
func fields(t *testing.T) (*ast.Schema, []*ast.FieldDefinition) {
	t.Helper()
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	var all []*ast.FieldDefinition
	for _, field := range schema.Subscription.Fields {
		if !strings.HasPrefix(field.Name, "__") {
			all = append(all, field)
		}
	}
	require.NotEmpty(t, all)
	return schema, all
}

// A field without a source of events is named at start, and so is a source too many.
func TestCheck_NamesWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	schema, all := fields(t)
	require.NoError(t, live.Check(schema))
	for _, field := range all {
		require.ErrorContains(t, live.CheckWithout(schema, field.Name), "Subscription."+field.Name+" has no source of events")
	}
	fewer, without := *schema, *schema.Subscription // the schema itself is shared
	without.Fields = slices.DeleteFunc(slices.Clone(without.Fields), func(f *ast.FieldDefinition) bool { return f.Name == all[0].Name })
	fewer.Subscription = &without
	require.ErrorContains(t, live.Check(&fewer), "there is a source of Subscription."+all[0].Name)
}

// entities are one of each kind that events happen to, as far as this test furnishes them.
func entities(t *testing.T, w world, clinic *testkit.Clinic) map[models.Kind]uuid.UUID {
	t.Helper()
	conversation, message := models.NewID(), models.NewID()
	w.d.Exec(t, "INSERT INTO conversations (clinic_id, id, contact_id, channel) VALUES ($1, $2, $3, 'web')", clinic.ID, conversation, clinic.Contacts[0])
	w.d.Exec(t, "INSERT INTO messages (clinic_id, id, conversation_id, direction, body, status) VALUES ($1, $2, $3, 'inbound', $4, 'entregue')", clinic.ID, message, conversation, canary)
	return map[models.Kind]uuid.UUID{
		models.KindContact: clinic.Contacts[0], models.KindAppointment: w.d.Appointment(t, clinic, 0, 0, at(11), hour),
		models.KindConversation: conversation, models.KindMessage: message,
	}
}

// Promise I7 and the conformance of each field, made from the schema: every role is told
// by every field what it may read, and of nothing else; no field tells of another clinic;
// what is gone is passed over.
func TestSubscription_EachFieldTellsEachRoleWhatItMayRead(t *testing.T) {
	t.Parallel()
	schema, all := fields(t)
	table, err := rights.New(schema)
	require.NoError(t, err)
	w := newWorld(t)
	other := w.d.NewClinic(t, "boreal")
	own, foreign := entities(t, w, w.clinic), entities(t, w, other)
	after := w.latest(t, w.clinic)
	raise := func(clinic uuid.UUID, event models.WebhookEvent, id uuid.UUID) {
		w.d.Exec(t, "INSERT INTO outbox (clinic_id, event, entity_kind, entity_id) VALUES ($1, $2, $3, $4)", clinic, event, outbox.Events()[event].Kind, id)
	}
	known := slices.DeleteFunc(slices.Sorted(maps.Keys(outbox.Events())), func(e models.WebhookEvent) bool { return own[outbox.Events()[e].Kind] == uuid.Nil })
	for _, event := range known {
		kind := outbox.Events()[event].Kind
		raise(other.ID, event, foreign[kind])
		raise(w.clinic.ID, event, foreign[kind]) // it is not this clinic's: gone, for all that it can see
		raise(w.clinic.ID, event, own[kind])
	}
	w.latest(t, w.clinic)
	for _, role := range models.AllRole {
		s := open(t, w.one, w.one.As(t, w.clinic, role))
		for _, field := range all {
			object := field.Type.Name()
			s.say("subscribe", field.Name, map[string]any{
				"query":      "subscription { told: " + field.Name + " { __typename id } }",
				"extensions": map[string]any{"lastEventId": after},
			})
			if !table.May(role, "Subscription", field.Name) {
				m := s.hear()
				assert.Equal(t, "error", m.Type, "%s %s", role, field.Name)
				assert.Contains(t, string(m.Payload), "FORBIDDEN")
				continue
			}
			var want, got []string
			for _, event := range known {
				of := outbox.Events()[event]
				if !table.MayRead(role, of.Object) || object != "Change" && of.Object != object || field.Name == "messageReceived" && event != models.WebhookEventMessageReceived {
					continue
				}
				if object == "Change" {
					want = append(want, string(event)+" of another", string(event))
				} else {
					want = append(want, of.Kind.Global(own[of.Kind]))
				}
			}
			for range want {
				m := s.hear()
				require.Equal(t, "next", m.Type, "%s %s: %s", role, field.Name, m.Payload)
				require.Contains(t, string(m.Payload), `"__typename":"`+object+`"`)
				got = append(got, string(m.Payload))
			}
			if object != "Change" {
				for n, id := range want {
					require.Contains(t, got[n], id, "%s %s", role, field.Name)
				}
			}
			require.NotContains(t, fmt.Sprint(got), models.KindContact.Global(foreign[models.KindContact]))
			s.say("complete", field.Name, nil)
		}
		require.NoError(t, s.CloseNow())
	}
}
