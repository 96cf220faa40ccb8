package app_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit/api"
)

// noted is what a developer is shown.
type noted struct {
	Cost       int64
	Statements int64
	DurationMS float64 `json:"durationMs"`
	Fields     []struct {
		Path, Name string
		Count      int64
		TotalMS    float64 `json:"totalMs"`
	}
	MoreFields, MoreStatements int64
	SQL                        []struct {
		Text        string
		Count, Rows int64
		TotalMS     float64 `json:"totalMs"`
		Plan        *step
		NoPlan      string
	}
	Cache map[string]any
}

type step struct {
	Node, On, Using string
	Conditions      []string
	Below           []*step
}

func (s *step) all(into *[]string) {
	*into = append(*into, strings.TrimSpace(s.Node+" "+s.On+" "+s.Using))
	for _, below := range s.Below {
		below.all(into)
	}
}

func notedIn(t *testing.T, response *api.Response) noted {
	t.Helper()
	var body struct{ Extensions struct{ TaskMed *noted } }
	require.NoError(t, json.Unmarshal(response.Body, &body))
	require.NotNil(t, body.Extensions.TaskMed, "%s", response.Body)
	return *body.Extensions.TaskMed
}

const plans = "X-TaskMed-Explain"

func TestProfile_ShowsADeveloperFieldsStatementsAndPlans(t *testing.T) {
	t.Parallel()
	world := newSeeded(t)
	query, variables := readQuery(t, "day_view")
	owner := world.as(t, world.aurora, "owner")

	response := owner.Do(t, query, variables, plans, "plans")
	require.Empty(t, response.Errors)
	seen := notedIn(t, response)
	require.EqualValues(t, len(seen.SQL), seen.Statements, "the day view runs each of its statements once")
	require.NotEmpty(t, seen.SQL)
	require.Positive(t, seen.DurationMS)
	paths := map[string]string{}
	for _, field := range seen.Fields {
		paths[field.Path] = field.Name
	}
	require.Equal(t, "Query.appointments", paths["appointments"])
	require.Equal(t, "Query.appointments", seen.Fields[0].Name, "what took most comes first")
	require.Contains(t, paths, "appointments.nodes.contact", "lists' indices are not told apart")
	var steps []string
	for _, statement := range seen.SQL {
		require.NotNil(t, statement.Plan, "%s: %s", statement.Text, statement.NoPlan)
		require.EqualValues(t, 1, statement.Count)
		statement.Plan.all(&steps)
	}
	require.Contains(t, strings.Join(steps, "\n"), " Scan appointments ")
	require.Contains(t, strings.Join(steps, "\n"), "idx_appointments_clinic_")
	require.Contains(t, string(response.Body), "(current_setting(…::text))::uuid", "plans are made under row-level security")

	// Asked for again it comes from the cache: nothing was run, so there is nothing to plan.
	var hit noted
	require.Eventually(t, func() bool { // The cache may just have begun.
		hit = notedIn(t, owner.Do(t, query, variables, plans, "plans"))
		return hit.Cache["hit"] == true
	}, 20*time.Second, 50*time.Millisecond)
	require.Empty(t, hit.SQL)
	require.Empty(t, hit.Fields)
	// Past the cache, and without plans.
	again := notedIn(t, owner.Do(t, query, variables, "Cache-Control", "no-cache"))
	require.Len(t, again.SQL, len(seen.SQL))
	require.Nil(t, again.SQL[0].Plan)
	require.Empty(t, again.SQL[0].NoPlan)
}

func TestProfile_IsForDevelopersAlone(t *testing.T) {
	t.Parallel()
	world := newSeeded(t)
	query, variables := readQuery(t, "day_view")
	for _, role := range []string{"receptionist", "practitioner", "finance"} {
		response := world.as(t, world.aurora, role).Do(t, query, variables, plans, "plans")
		require.NotContains(t, string(response.Body), `"extensions":{"taskmed"`, role)
		require.NotContains(t, string(response.Body), "SELECT", role)
	}
	require.NotNil(t, notedIn(t, world.as(t, world.aurora, "owner").Do(t, query, variables)))
	// A developer of one clinic is none in another's.
	world.database.Exec(t, "UPDATE memberships SET permissions = '{}' WHERE clinic_id = $1", world.horizonte.ID)
	response := world.as(t, world.horizonte, "owner").Do(t, query, variables, plans, "plans")
	require.Empty(t, response.Errors)
	require.NotContains(t, string(response.Body), `"taskmed"`)
}

// What a statement was given is in neither its text nor its plan, and what writes is not planned.
func TestProfile_ShowsNoValueAndPlansNoWrite(t *testing.T) {
	t.Parallel()
	world := newSeeded(t)
	owner := world.as(t, world.aurora, "owner")
	const canary = "Kanarienvogel"
	before := world.database.Count(t, "SELECT count(*) FROM contacts")
	created := owner.Do(t, `mutation($name: String!) { createContact(input: {name: $name, phone: "+5511987654321"}) { contact { id } userErrors { message } } }`,
		map[string]any{"name": canary}, plans, "plans")
	require.Empty(t, created.Errors)
	require.Equal(t, before+1, world.database.Count(t, "SELECT count(*) FROM contacts"), "written once, not again by a plan")
	writes := 0
	for _, statement := range notedIn(t, created).SQL {
		if !strings.HasPrefix(strings.ToLower(statement.Text), "select") && !strings.HasPrefix(strings.ToLower(statement.Text), "with") {
			require.Nil(t, statement.Plan, statement.Text)
			require.NotEmpty(t, statement.NoPlan, statement.Text)
			writes++
		}
	}
	require.Positive(t, writes)
	searched := owner.Do(t, `query($q: String!) { searchContacts(query: $q, first: 3) { nodes { id } } contacts(filter: {status: ACTIVE}, first: 3) { nodes { id } } }`,
		map[string]any{"q": canary}, plans, "plans")
	require.Empty(t, searched.Errors)
	for _, response := range []*api.Response{created, searched} {
		require.NotContains(t, strings.ToLower(string(response.Body)), strings.ToLower(canary))
		require.NotContains(t, string(response.Body), "987654321")
		for _, statement := range notedIn(t, response).SQL {
			require.NotContains(t, statement.Text, "'", "a literal is left")
		}
	}
}

func TestProfile_IsBounded(t *testing.T) {
	t.Parallel()
	world := newSeeded(t, func(settings *config.Config, _ *app.Options) { settings.Metrics = false })
	var query strings.Builder
	query.WriteString("{")
	for i := range 40 {
		fmt.Fprintf(&query, " c%d: clinic { services(first: 1) { nodes { id } } practitioners(first: 1) { nodes { id } } }", i)
	}
	query.WriteString("}")
	response := world.as(t, world.aurora, "owner").Do(t, query.String(), nil)
	require.Empty(t, response.Errors)
	seen := notedIn(t, response)
	require.Len(t, seen.Fields, 100)
	require.Positive(t, seen.MoreFields)
}
