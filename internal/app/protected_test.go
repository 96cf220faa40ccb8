package app_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// TestProtected_EachKeptAnswerNamesTheProtectedEntitiesInIt asks every query of
// the schema for all there is, with the ids of everything, and looks at what is
// kept beside each answer: exactly the ids of its contacts, appointments and
// medical records. Audit rows of hits are made of them (promise C10).
func TestProtected_EachKeptAnswerNamesTheProtectedEntitiesInIt(t *testing.T) {
	t.Parallel()
	d, redis := testkit.NewDatabase(t), testkit.NewRedis(t)
	own := furnished(t, d, "own")
	server := api.NewServer(t, d, withOwnRedis(redis))
	queries := everyQuery(own)
	queries["ByFragment"] = question{`query ByFragment($id: ID!) { a: node(id: $id) { ...C id } b: contact(id: $id) { ...C id } } fragment C on Contact { name appointments { edges { node { id status } } } }`, map[string]any{"id": own.ids[models.KindContact]}}
	queries["Twice"] = question{`query Twice($id: ID!) { contact(id: $id) { id } again: contact(id: $id) { id lastAppointment { id contact { id } } nextAppointment { id contact { id } } } }`, map[string]any{"id": own.ids[models.KindContact]}}
	want := map[string][]string{}
	var unkept []string
	// A link to a file is another at each reading, and no answer with one is kept.
	link := regexp.MustCompile(`(byteSize digest) url\b`)
	for name, q := range queries {
		q.text = link.ReplaceAllString(q.text, "$1")
		first := server.As(t, own.clinic, models.RoleOwner).Do(t, q.text, q.variables)
		require.Empty(t, first.Errors, name)
		if strings.Contains(status(first), "not cacheable") {
			unkept = append(unkept, name)
			continue
		}
		answer := untilHit(t, server.As(t, own.clinic, models.RoleOwner), q.text, q.variables)
		want[name] = shownIDs(t, answer.Data)
	}
	require.Subset(t, []string{"viewer", "clinics", "calendarChanges"}, unkept, "across clinics, or another at each reading")
	// There is something of each kind to be forgotten, and answers with nothing.
	all := strings.Join(slices.Concat(slices.Collect(func(yield func([]string) bool) {
		for _, ids := range want {
			if !yield(ids) {
				return
			}
		}
	})...), " ")
	for _, kind := range []models.Kind{models.KindContact, models.KindAppointment, models.KindMedicalRecord, models.KindInvoice} {
		require.Contains(t, all, own.ids[kind])
	}
	require.Empty(t, want["clinic"])

	inspector, err := answers.Inspect(t.Context(), answers.Config{RedisURL: redis.URL, ListenURL: d.AppURL, RedisTimeout: 20 * time.Second, Secret: secret(t)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = inspector.Close() })
	places, _, err := inspector.Sample(t.Context(), 1000, uuid.Nil)
	require.NoError(t, err)
	got := map[string][]string{}
	for _, place := range places {
		kept, err := inspector.Read(t.Context(), place)
		require.NoError(t, err)
		var about struct{ N string }
		require.NoError(t, json.Unmarshal(kept.Recipe, &about))
		slices.Sort(kept.Protected)
		got[about.N] = kept.Protected
	}
	require.Len(t, got, len(want))
	for name := range want {
		require.ElementsMatch(t, want[name], got[name], name)
	}
}

type question struct {
	text      string
	variables map[string]any
}

// everyQuery asks each query of the schema, by its name, for everything that
// there is of a clinic, some levels deep.
func everyQuery(own *furniture) map[string]question {
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	w := idWalker{schema: schema}
	queries := map[string]question{}
	for _, field := range schema.Query.Fields {
		if strings.HasPrefix(field.Name, "__") {
			continue
		}
		var declared, passed []string
		variables := map[string]any{}
		for _, argument := range field.Arguments {
			value := w.value(argument.Name, argument.Type, own)
			switch {
			case argument.Type.Name() == "ID" && (argument.Type.NonNull || field.Name == "slotCheck"): // it says how long a slot is
				value = idsFor(w, field, argument, own)
			case argument.Name == "query":
				value = "canary"
			case value == nil:
				continue
			}
			declared = append(declared, "$"+argument.Name+": "+argument.Type.String())
			passed = append(passed, argument.Name+": $"+argument.Name)
			variables[argument.Name] = value
		}
		text := "query " + field.Name
		if len(declared) > 0 {
			text += "(" + strings.Join(declared, ", ") + ")"
		}
		text += " { " + field.Name
		if len(passed) > 0 {
			text += "(" + strings.Join(passed, ", ") + ")"
		}
		queries[field.Name] = question{fmt.Sprintf("%s { %s } }", text, w.everything(field.Type.Name(), 3)), variables}
	}
	return queries
}

// idsFor is what an argument that wants an id, or ids, is given.
func idsFor(w idWalker, field *ast.FieldDefinition, argument *ast.ArgumentDefinition, own *furniture) any {
	var ids []string
	for _, kind := range w.kinds(field, []string{argument.Name}) {
		ids = append(ids, own.ids[kind])
	}
	if argument.Type.Elem == nil {
		return ids[len(ids)-1]
	}
	return ids
}

// shownIDs are the ids of protected entities in an answer, each once.
func shownIDs(t *testing.T, data json.RawMessage) []string {
	t.Helper()
	var ids []string
	protects := protectedKinds(t)
	var walk func(any)
	walk = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			if id, ok := v["id"].(string); ok {
				if kind, _, err := models.ParseGlobal(id); err == nil && protects[kind] && !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	var value any
	require.NoError(t, json.Unmarshal(data, &value))
	walk(value)
	return ids
}

// protectedKinds are the kinds of what the schema calls @phi.
func protectedKinds(t *testing.T) map[models.Kind]bool {
	t.Helper()
	schema, kinds := liveSchema(), map[models.Kind]bool{}
	for _, node := range schema.PossibleTypes["Node"] {
		if node.Directives.ForName("phi") != nil {
			kinds[models.Kind(strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(node.Name, "${1}_$2")))] = true
		}
	}
	require.True(t, kinds[models.KindContact] && kinds[models.KindMedicalRecord])
	return kinds
}
