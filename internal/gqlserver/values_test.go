package gqlserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
)

// wrongs are values that a scalar does not take; CANARY and 02-30 must not come back.
func wrongs(definition *ast.Definition) []any {
	object, list := map[string]any{"key": "CANARY"}, []any{[]any{"CANARY"}}
	if definition.Kind == ast.Enum {
		return []any{"CANARY", written(`"CANARY"`), written(`{}`), 5, 1.5, true, object, list}
	}
	return map[string][]any{
		"Int":      {"CANARY", "5", 1.5, 3000000000, json.Number("1e400"), true, written("CANARY"), written("{}"), object, list},
		"Float":    {"CANARY", true, json.Number("1e400"), written("CANARY"), written("{}"), object, list},
		"Boolean":  {"CANARY", 1, "true", written("CANARY"), written("{}"), object, list},
		"String":   {5, 1.5, true, written("CANARY"), written("{}"), object, list},
		"ID":       {1.5, true, json.Number("99999999999999999999"), written("CANARY"), written("{}"), object, list},
		"Long":     {"CANARY", "5", 1.5, json.Number("99999999999999999999"), true, written("CANARY"), written("{}"), object, list},
		"DateTime": {5, 1.5, true, "CANARY", "", "2026-02-30T09:00:00Z", "2026-03-03T09:00:00", written("CANARY"), written("{}"), object, list},
		"Date":     {5, 1.5, true, "CANARY", "", "2026-02-30", "2026-03-03T09:00:00Z", written("CANARY"), written("{}"), object, list},
		"TimeZone": {5, true, "CANARY", "", "Local", "../UTC", written("CANARY"), written("{}"), object, list},
		"Currency": {5, true, "CANARY", "brl", "", written("CANARY"), written("{}"), object, list},
		// What JSON cannot be: a number too large to be kept as it was written.
		"JSON": {written("99999999999999999999"), written("{a: [1e400]}")},
	}[definition.Name]
}

// Promise Q3: whatever is wrong, wherever it stands and however it is sent, is
// refused before anything runs, and not told back.
func TestValues_AWrongOneIsRefusedBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil).always(`{}`)
	asked, leaves := 0, 0
	for _, p := range places() {
		definition := schemaOf().Types[p.typ.Name()]
		bad := wrongs(definition)
		require.NotEmpty(t, bad, "nobody says what a %s is not", definition.Name)
		leaves++
		for _, value := range bad {
			sent := []any{value}
			if p.typ.Elem != nil {
				sent = append(sent, []any{right(p.typ.Elem), value})
				if number, lone := value.([]any); lone && len(number) == 1 {
					sent = sent[1:] // a list of a list of a text is one too deep in a list alone
				}
			}
			for _, one := range sent {
				for _, way := range p.ways(one) {
					asked++
					ran := f.schema.executed.Load()
					out := f.post("OWNER", way.query, way.variables)
					about := fmt.Sprintf("%s: %v by %s: %s", p, one, way.way, out.Body)
					assert.Equal(t, ran, f.schema.executed.Load(), "%s ran", about)
					if assert.Equal(t, http.StatusBadRequest, out.Code, about) {
						assert.Regexp(t, `^(BAD_USER_INPUT|GRAPHQL_VALIDATION_FAILED)$`, anyCode(t, out), about)
					}
					assert.NotContains(t, out.Body.String(), "CANARY", about)
					assert.NotContains(t, out.Body.String(), "2026-02-30", about)
				}
			}
		}
		// The same with a right value runs, so that the refusals say something.
		for _, way := range p.ways(right(p.typ)) {
			ran := f.schema.executed.Load()
			out := f.post("OWNER", way.query, way.variables)
			require.Equal(t, http.StatusOK, out.Code, "%s by %s: %s %s", p, way.way, way.query, out.Body)
			require.Equal(t, ran+1, f.schema.executed.Load(), p)
		}
	}
	t.Logf("%d leaves, %d wrong requests", leaves, asked)
	require.Greater(t, leaves, 100, "the walk found the schema's leaves")
}

// anyCode is the code of an answer's errors, and nothing where they differ.
func anyCode(t *testing.T, out *httptest.ResponseRecorder) string {
	t.Helper()
	var answer shown
	require.NoError(t, json.Unmarshal(out.Body.Bytes(), &answer))
	found := ""
	for i, fault := range answer.Errors {
		if i > 0 && fault.Extensions.Code != found {
			return ""
		}
		found = fault.Extensions.Code
	}
	return found
}

// Where a value may not be null, a variable that may be is asked before anything runs.
func TestValues_ANullIsRefusedBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil).always(`{}`)
	asked := 0
	for _, p := range places() {
		if !p.typ.NonNull {
			continue
		}
		asked++
		query := p.document("($v: "+nullable(p.typ)+" = "+writtenAs(right(p.typ), p.typ)+")", p.selected(literalOf(p, written("$v"))))
		out := f.post("OWNER", query, `{"v": null}`)
		assert.Equal(t, http.StatusBadRequest, out.Code, "%s: %s", p, out.Body)
		assert.Equal(t, "BAD_USER_INPUT", anyCode(t, out), "%s: %s", p, out.Body)
		require.Equal(t, http.StatusOK, f.post("OWNER", query, "").Code, "%s", p)
	}
	require.Greater(t, asked, 20)
	assert.EqualValues(t, asked, f.schema.executed.Load(), "only what has its default ran")
}

// given makes the fixture keep what each operation's fields are given.
func (f *fixture) given() *map[string]map[string]any {
	var last map[string]map[string]any
	f.schema.answer = func(ctx context.Context) *graphql.Response {
		op := graphql.GetOperationContext(ctx)
		last = map[string]map[string]any{}
		gather(op, op.Operation.SelectionSet, "", last)
		return &graphql.Response{Data: json.RawMessage(`{}`)}
	}
	return &last
}

func gather(op *graphql.OperationContext, set ast.SelectionSet, path string, into map[string]map[string]any) {
	for _, selection := range set {
		switch selected := selection.(type) {
		case *ast.Field:
			into[path+"."+selected.Alias] = selected.ArgumentMap(op.Variables)
			gather(op, selected.SelectionSet, path+"."+selected.Alias, into)
		case *ast.InlineFragment:
			gather(op, selected.SelectionSet, path, into)
		case *ast.FragmentSpread:
			gather(op, op.Doc.Fragments.ForName(selected.Name).SelectionSet, path, into)
		}
	}
}

// lists are the places that take a list of leaves.
func lists(t *testing.T) []place {
	t.Helper()
	var found []place
	for _, p := range places() {
		if p.typ.Elem != nil {
			found = append(found, p)
		}
	}
	require.Greater(t, len(found), 8)
	return found
}

// A value alone stands for a list of one (GraphQL, section 3.11), at every depth
// and however it comes: whoever reads arguments is given a list.
func TestValues_ALoneOneIsAListOfOne(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	given := f.given()
	for _, p := range lists(t) {
		one := right(p.typ.Elem)
		var want map[string]map[string]any
		for i, way := range append(p.ways([]any{one}), p.ways(one)...) {
			out := f.post("OWNER", way.query, way.variables)
			require.Equal(t, http.StatusOK, out.Code, "%s by %s: %s", p, way.way, out.Body)
			if i == 0 {
				want = *given
				require.Contains(t, fmt.Sprint(want), fmt.Sprintf("[%v]", one))
			}
			assert.Equal(t, want, *given, "%s by %s", p, way.way)
		}
	}
}

// ordered are the lists in which places and doubles count.
func ordered(p place) bool { return p.mutation && len(p.before) == 0 || p.field.Name == "nodes" }

// No list is longer than its bound, wherever it stands; those that are sets
// have each value once.
func TestValues_ListsAreBoundedAndSetsHaveNoDoubles(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	given := f.given()
	for _, p := range lists(t) {
		most := 100
		if p.mutation && p.before == "" {
			most = 1000
		}
		list := make([]any, most+1)
		for i := range list {
			list[i] = right(p.typ.Elem)
		}
		for _, way := range p.ways(list) {
			ran := f.schema.executed.Load()
			out := f.post("OWNER", way.query, way.variables)
			assert.Equal(t, http.StatusBadRequest, out.Code, "%s by %s", p, way.way)
			assert.Contains(t, out.Body.String(), fmt.Sprintf("takes %d values at most", most), "%s by %s", p, way.way)
			assert.Equal(t, ran, f.schema.executed.Load())
		}
		want := 1
		if ordered(p) {
			want = most
		}
		for _, way := range p.ways(list[:most]) {
			out := f.post("OWNER", way.query, way.variables)
			require.Equal(t, http.StatusOK, out.Code, "%s by %s: %s", p, way.way, out.Body)
			assert.Equal(t, want, longestIn(*given), "%s by %s", p, way.way)
		}
	}
}

func longestIn(value any) int {
	longest := 0
	switch v := value.(type) {
	case map[string]map[string]any:
		for _, child := range v {
			longest = max(longest, longestIn(child))
		}
	case map[string]any:
		for _, child := range v {
			longest = max(longest, longestIn(child))
		}
	case []any:
		longest = len(v)
	}
	return longest
}

func TestValues_LongListsCostNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil).always(`{}`)
	list := `["NO_SHOW"` + strings.Repeat(`,"NO_SHOW"`, 60_000) + `]`
	var query strings.Builder
	for i := range 50 {
		fmt.Fprintf(&query, "a%d: appointments(first: 1, filter: $f) { totalCount } ", i)
	}
	out := f.post("PARTNER", "query($f: AppointmentFilter) {"+query.String()+"}", `{"f": {"status": `+list+`}}`)
	assert.Equal(t, http.StatusBadRequest, out.Code)
	assert.Contains(t, out.Body.String(), "$f.status takes 100 values at most")
	assert.Zero(t, f.schema.executed.Load())
}
