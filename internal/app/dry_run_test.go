package app_test

import (
	"encoding/json"
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

// TestDryRun_OfAnyMutationLeavesNoTrace dry-runs each mutation of the schema until one is
// answered without a user's mistakes.
func TestDryRun_OfAnyMutationLeavesNoTrace(t *testing.T) {
	t.Parallel()
	world := newSeeded(t, unbounded)
	owner := world.as(t, world.aurora, "owner")
	g := generatorFor(t, world.database, world.aurora, models.RoleOwner, owner, composedSeed)
	g.Faultless = true
	conn := world.database.Connect(t, world.database.SuperuserURL)
	g.Pool.IDs, g.Pool.Instants = widePool(t, world, conn), officeHours()
	before := fingerprint(t, conn, world.aurora)
	all, would := 0, 0
	for _, mutation := range g.Schema.Mutation.Fields {
		if strings.HasPrefix(mutation.Name, "__") {
			continue
		}
		if _, has := prepared()[mutation.Name]; has {
			continue
		}
		all++
		for range 40 {
			q := g.Rehearsed(mutation.Name)
			answer := owner.Do(t, q.Text, q.Variables)
			if strings.Contains(string(answer.Data), `"userErrors":[]`) && len(answer.Errors) == 0 {
				would++
				break
			}
		}
	}
	require.Greater(t, would, all*3/4, "of %d mutations few would have written anything", all)
	require.Equal(t, before, fingerprint(t, conn, world.aurora))
}

// TestDryRun_AnswersAsIfWrittenAtEveryDepth reads what was changed below the payload, by
// every way, and leaves no trace.
func TestDryRun_AnswersAsIfWrittenAtEveryDepth(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	d.Appointment(t, clinic, 0, 0, noon().AddDate(0, 0, 1), 30*time.Minute)
	owner := api.NewServer(t, d, api.At(noon())).As(t, clinic, models.RoleOwner)
	conn := d.Connect(t, d.SuperuserURL)
	before := fingerprint(t, conn, clinic)
	contact := contactID(clinic, 0)
	answer := owner.Do(t, `mutation {
		a: updateContact(input: {id: "`+contact+`", name: "Nome Novo"}) @dryRun {
			contact { name appointments { totalCount nodes { contact { name } } } }
			userErrors { code }
		}
		b: archiveContact(input: {id: "`+contact+`"}) @dryRun { contact { name status nextAppointment { contact { name status } } } userErrors { code } }
	}`, nil)
	require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
	require.Empty(t, answer.Errors)
	var data struct {
		A struct {
			Contact struct {
				Name         string
				Appointments struct {
					TotalCount int
					Nodes      []struct{ Contact struct{ Name string } }
				}
			}
		}
		B struct {
			Contact struct {
				Name, Status    string
				NextAppointment struct{ Contact struct{ Name, Status string } }
			}
		}
	}
	require.NoError(t, json.Unmarshal(answer.Data, &data))
	assert.Equal(t, "Nome Novo", data.A.Contact.Name)
	require.Equal(t, 1, data.A.Contact.Appointments.TotalCount)
	assert.Equal(t, "Nome Novo", data.A.Contact.Appointments.Nodes[0].Contact.Name, "what is below the payload is as it would be")
	assert.Equal(t, "ARCHIVED", data.B.Contact.NextAppointment.Contact.Status)
	assert.NotEqual(t, "Nome Novo", data.B.Contact.NextAppointment.Contact.Name, "the dry run before is taken back")
	require.Equal(t, before, fingerprint(t, conn, clinic))

	var told struct {
		Extensions struct {
			DryRun map[string]struct {
				Written, Invalidated []string
				Notified             []map[string]string
			}
		}
	}
	require.NoError(t, json.Unmarshal(answer.Body, &told))
	assert.Equal(t, []string{contact}, told.Extensions.DryRun["a"].Written)
	assert.Equal(t, []map[string]string{{"event": "CONTACT_UPDATED", "entityId": contact}}, told.Extensions.DryRun["a"].Notified)
	assert.Contains(t, told.Extensions.DryRun["b"].Invalidated, "contact/list")
	var after struct{ Contact struct{ Name string } }
	owner.Must(t, `{ contact(id: "`+contact+`") { name } }`, nil, &after)
	assert.NotEqual(t, "Nome Novo", after.Contact.Name)
}
