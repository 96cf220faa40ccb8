package web

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

func schema(t *testing.T) *ast.Schema {
	t.Helper()
	files, err := filepath.Glob("../graph/*.graphqls")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	sources := make([]*ast.Source, 0, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		sources = append(sources, &ast.Source{Name: file, Input: string(text)})
	}
	loaded, err := gqlparser.LoadSchema(sources...)
	require.NoError(t, err)
	return loaded
}

func someValues() map[string]string {
	values := dates(time.Date(2026, 11, 22, 15, 4, 5, 0, time.UTC))
	for _, name := range []string{"practitionerId", "serviceId", "contactId", "appointmentId"} {
		values[name] = name[:len(name)-2] + "_01h455vb4pex5vsknk084sn02q"
	}
	values["freeSlotStart"], values["freeSlotEnd"] = "2026-11-23T09:00:00Z", "2026-11-23T09:30:00Z"
	return values
}

func TestExamples_FitTheSchema(t *testing.T) {
	t.Parallel()
	api := schema(t)

	examples := Examples()
	files, err := filepath.Glob("examples/*.graphql")
	require.NoError(t, err)
	require.Len(t, examples, len(files))
	require.NotEmpty(t, files)
	for _, example := range examples {
		document, faults := gqlparser.LoadQueryWithRules(api, example.Query, rules.NewDefaultRules())
		require.Empty(t, faults, example.Name)
		require.Len(t, document.Operations, 1, example.Name)
		assert.NotEmpty(t, example.Title, example.Name)

		resolved, fault := Resolve(example.Variables, someValues())
		require.NoError(t, fault, example.Name)
		var variables map[string]any
		require.NoError(t, json.Unmarshal(resolved, &variables), example.Name)
		_, fault = validator.VariableValues(api, document.Operations[0], variables)
		require.NoError(t, fault, example.Name)
	}
	for name, query := range map[string]string{"clinic": clinicQuery, "diary": diaryQuery} {
		_, err := gqlparser.LoadQueryWithRules(api, query, rules.NewDefaultRules())
		require.Empty(t, err, name)
	}
	assert.Equal(t, "day-view", examples[0].Name)
	assert.Equal(t, "Day view", examples[0].Title)
	assert.Equal(t, "nodes", examples[9].Name)
}

// Whoever adds a field to a root writes an example that selects it, and says in
// docs/api.md what it is for.
func TestExamples_SelectEveryFieldOfTheRootsAndThePageNamesThem(t *testing.T) {
	t.Parallel()
	api := schema(t)
	page, err := os.ReadFile("../docs/api.md")
	require.NoError(t, err)
	selected := map[*ast.FieldDefinition]bool{}
	for _, example := range Examples() {
		document, faults := gqlparser.LoadQueryWithRules(api, example.Query, rules.NewDefaultRules())
		require.Empty(t, faults, example.Name)
		for _, chosen := range document.Operations[0].SelectionSet {
			if field, is := chosen.(*ast.Field); is {
				selected[field.Definition] = true
			}
		}
	}
	looked := 0
	for _, root := range []*ast.Definition{api.Query, api.Mutation, api.Subscription} {
		for _, field := range root.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			looked++
			assert.True(t, selected[field], "%s.%s has no example that selects it: write one, web/examples/NN-name.graphql", root.Name, field.Name)
			assert.True(t, regexp.MustCompile("`(subscription \\{ )?"+field.Name+`\b`).Match(page), "docs/api.md does not name %s.%s", root.Name, field.Name)
		}
	}
	assert.Greater(t, looked, 90)
}

func TestResolve_ReplacesWithinStrings(t *testing.T) {
	t.Parallel()

	resolved, err := Resolve(json.RawMessage(`{"a": "{{today}}", "b": "on {{today}} by {{name}}"}`),
		map[string]string{"today": "2026-11-22", "name": `Ana "Bia"`})
	require.NoError(t, err)
	assert.JSONEq(t, `{"a": "2026-11-22", "b": "on 2026-11-22 by Ana \"Bia\""}`, string(resolved))
}

func TestResolve_NamesWhatIsMissing(t *testing.T) {
	t.Parallel()

	_, err := Resolve(json.RawMessage(`{"a": "{{contactId}}"}`), map[string]string{"today": "2026-11-22"})
	require.ErrorIs(t, err, ErrUnresolved)
	require.ErrorContains(t, err, "contactId")
}

func TestValues_AskTheClinic(t *testing.T) {
	t.Parallel()
	var ranges map[string]any
	run := func(_ context.Context, query string, variables map[string]any) (json.RawMessage, error) {
		switch query {
		case clinicQuery:
			return json.RawMessage(`{"viewer": {"clinic": {"timeZone": "America/Sao_Paulo",
				"practitioners": {"nodes": [{"id": "practitioner_1", "services": {"nodes": [{"id": "service_1"}]}}]}}},
				"contacts": {"nodes": [{"id": "contact_1"}]}}`), nil
		case diaryQuery:
			ranges = variables
			return json.RawMessage(`{"appointments": {"nodes": [{"id": "appointment_1", "startsAt": "2026-11-24T01:00:00Z", "contact": {"id": "contact_2"}}]},
				"availability": [{"startsAt": "2026-11-23T09:00:00-03:00", "endsAt": "2026-11-23T09:30:00-03:00"}]}`), nil
		default:
			return nil, errors.New("another query")
		}
	}

	// 01:30 UTC on the 23rd is still the 22nd in São Paulo.
	values, err := Values(t.Context(), run, time.Date(2026, 11, 23, 1, 30, 0, 0, time.UTC))
	require.NoError(t, err)
	assert.Equal(t, map[string]string{
		"today": "2026-11-22", "tomorrow": "2026-11-23",
		"todayStart": "2026-11-22T00:00:00-03:00", "tomorrowStart": "2026-11-23T00:00:00-03:00",
		"nextWeekStart": "2026-11-30T00:00:00-03:00",
		// 01:00 UTC on the 24th is the evening of the 23rd there.
		"dayStart": "2026-11-23T00:00:00-03:00", "dayEnd": "2026-11-24T00:00:00-03:00",
		"practitionerId": "practitioner_1", "serviceId": "service_1",
		"contactId": "contact_2", "appointmentId": "appointment_1",
		"freeSlotStart": "2026-11-23T09:00:00-03:00", "freeSlotEnd": "2026-11-23T09:30:00-03:00",
	}, values)
	assert.Equal(t, map[string]string{"from": "2026-11-22T22:30:00-03:00", "to": "2026-11-30T00:00:00-03:00"}, ranges["next"])
}

func TestValues_OfAnEmptyClinicAreTheDates(t *testing.T) {
	t.Parallel()
	run := func(context.Context, string, map[string]any) (json.RawMessage, error) {
		return json.RawMessage(`{"viewer": {"clinic": {"timeZone": "UTC"}}}`), nil
	}

	values, err := Values(t.Context(), run, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	assert.Equal(t, "2026-11-22", values["today"])
	assert.Equal(t, "2026-11-22T00:00:00Z", values["dayStart"])
	assert.NotContains(t, values, "contactId")
}
